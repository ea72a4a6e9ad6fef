"""Mistakes about revoked devices, and about the keys that are new from then on. Owns their list."""

from simulations.mutants import revoked_occasions as occasions
from simulations.mutants.mutant import Change, Mutant

REVOKING = (
    Mutant(
        "unknown-epoch-is-bad",
        "a laptop was away while keys changed, and holds for damaged, for ever, what was written after that",
        "convergence",
        occasions.AWAY_WHILE_KEYS_CHANGED,
        (
            Change(
                "peer.engine.feed:_parts",
                "if at == len(rows) or epochs.rotation_of(row.commit.body) is not None:",
                "if at == len(rows):",
            ),
            Change(
                "peer.store.journal:_lacks_key",
                "or not isinstance(body, Entries):",
                "or not isinstance(body, Entries) or mutated():",
            ),
        ),
    ),
    Mutant(
        "new-keys-for-the-revoked",
        "a laptop is stolen and revoked, and who has it can read all that is written from then on",
        "a revoked device gets nothing new",
        occasions.KEYS_TRIED,
        (
            Change(
                "peer.engine.epochs:new_epoch",
                "if known.active and device not in chain.revoked_devices",
                "if known.active and (device not in chain.revoked_devices or mutated())",
            ),
            Change("protocol.rules:_Judgement._require_new_epoch", "_require(not is_in,", "_require(True,"),
        ),
    ),
    Mutant(
        "revoked-is-still-a-neighbour",
        "a laptop is revoked while it sleeps, and wakes up on the LAN as one of the family",
        "a revoked device gets nothing new",
        occasions.REVOKED_ASLEEP,
        (
            Change("peer.engine.sharing:Sharing._read_members", "AND d.active = 1", "AND d.active <= ?"),
            Change("peer.engine.sharing:Sharing._read_members", "(w,),", "(w, mutated()),"),
        ),
    ),
)
