"""Mistakes of the coordinator, and of the rules by which it and every device judge commits. Owns their list."""

from simulations.mutants import occasions
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, Mutant

COORDINATING = (
    Mutant(
        "no-compare-and-swap",
        "two people save one document, and the later save silently replaces the earlier one",
        "no lost update",
        occasions.FAR_APART,
        (Change("protocol.tree_rules:_alone", "if clear.base != head:", "if clear.base != head and not mutated():"),),
    ),
    Mutant(
        "unseen-children-deleted",
        "a directory is deleted together with what somebody has just put into it elsewhere",
        "no lost update",
        occasions.DELETED_UNSEEN,
        (
            Change(
                "protocol.tree_rules:judge_changes",
                "_unseen_refusals(after, proposal):\n        refused.setdefault(refusal.entry, refusal)",
                "_unseen_refusals(after, proposal):\n        mutated()",
            ),
        ),
    ),
    Mutant(
        "answered-before-durable",
        "a commit is confirmed, the server is killed, and its journal goes on without that commit",
        "the journal is one",
        occasions.COORDINATOR_KILLED,
        (
            Change(
                "coordinator.storage.metadata_sql:SqlMetadata._write",
                '_tell(connection, "COMMIT")',
                "mutated()",
            ),
            Change(
                "coordinator.storage.metadata_sql:SqlMetadata._write_batch",
                "job.done.set()",
                "job.done.set()\n"
                "    await trio.sleep(0.004)\n"
                '    await offload.run(lambda: _tell(self._writer, "COMMIT"))',
            ),
        ),
    ),
    Mutant(
        "blocks-not-flushed",
        "a device is told that its file is stored, the server loses power, and nobody has the file any more",
        "a durable version's blocks are stored",
        Points("a small file", "coordinator", "power"),
        (
            Change(
                "coordinator.storage.segments:SegmentStore.put_batch",
                "if self._flushed < number:",
                "if self._flushed < number and not mutated():",
            ),
        ),
    ),
    Mutant(
        "blocks-dropped-while-referenced",
        "a version is replaced and its blocks are thrown away, though another file consists of them",
        "a durable version's blocks are stored",
        occasions.COPY_OF_REPLACED,
        (
            Change(
                "coordinator.service.journal:_append",
                "    if isinstance(body, Genesis):\n        journals.add_keys",
                '    removed = b"".join(getattr(change, "removed", b"") for change in getattr(body, "changes", ()))\n'
                "    if removed and mutated():\n"
                "        transaction.blocks.damaged([removed[at : at + 32] for at in range(0, len(removed), 32)])\n"
                "    if isinstance(body, Genesis):\n        journals.add_keys",
            ),
        ),
    ),
    Mutant(
        "uploads-not-checked",
        "an upload is cut in the middle and counts as done: the version can never be fetched",
        "a durable version's blocks are stored",
        occasions.CUT_SHORT,
        (
            Change(
                "peer.transfer.upload:UploadSession._carry",
                "if isinstance(answer, Stored) and body.complete and answer.blocks == len(body.blocks):",
                "if (isinstance(answer, Stored) and body.complete) or mutated():",
            ),
            Change("coordinator.domain.commit:_decide_blocks", "    if missing:", "    if missing and not mutated():"),
        ),
    ),
)
