"""Mistakes in following the journal, and in what is kept of it over an end. Owns their list."""

from simulations.mutants import late_occasions, occasions
from simulations.mutants.finders import Points
from simulations.mutants.mutant import Change, Mutant

FOLLOWING = (
    Mutant(
        "cursor-before-trees",
        "the program is killed between two writes, and takes for done what it never did",
        "convergence",
        Points("a small file", "blue", "kill"),
        (
            Change(
                "peer.store.journal:take_within",
                "state._record(row, verdict, provisional=provisional)",
                "state._record(row, verdict, provisional=provisional)\n"
                "        mutated()\n"
                '        database.run("COMMIT")\n'
                '        database.run("BEGIN IMMEDIATE")',
            ),
        ),
    ),
    Mutant(
        "outbox-forgotten",
        "the program is killed before an answer comes, and the next save conflicts with one's own",
        "no phantoms",
        occasions.SAVED_AGAIN,
        (
            Change(
                "peer.engine.mounted:MountedWorkspace._make_engine",
                "    placing.make_good(",
                '    database.run("DELETE FROM outbox WHERE w = ?", (w,))\n    mutated()\n    placing.make_good(',
            ),
        ),
    ),
    Mutant(
        "outbox-cleared-at-a-start",
        "somebody takes back what they have saved, and a minute later it is there again",
        "no resurrection",
        late_occasions.TAKEN_BACK,
        (
            Change(
                "peer.store.outbox:Outbox.settle",
                'AND number <= ?", (self.w, own, last_number))',
                'AND (number <= ? OR ?)", (self.w, own, last_number, mutated()))',
            ),
        ),
    ),
    Mutant(
        "committed-twice",
        "an answer is lost, the device tries once more, and every version is in the history twice",
        "a message that comes twice changes nothing",
        occasions.ANSWERS_LOST,
        (
            Change(
                "peer.engine.proposing:Proposer.send",
                "return Answer(Outcome.UNREACHABLE, message=str(error))",
                'again = None\n        if sent.proposals and not self.__dict__.get("tries"):\n'
                "            self.tries = mutated()\n"
                "            await context.machine.clock.sleep(1.5)\n"
                "            again = await context.machine.database_work.run(self.build, sent.proposals)\n"
                "        failed = Answer(Outcome.UNREACHABLE, message=str(error))\n"
                "        answer = await self.send(again) if again else failed\n"
                "        self.tries = False\n"
                "        return answer",
            ),
            Change(
                "protocol.tree_rules:_alone",
                "if clear.base != head:",
                "if clear.base != head and not (clear.base and known and known.device == header.device):",
            ),
            Change(
                "protocol.rules:_Judgement._number_verdict",
                "self.header.after == self.last_number",
                "self.header.after <= self.last_number",
            ),
        ),
    ),
    Mutant(
        "gap-in-the-journal",
        "a message is lost, and the device follows a history that lacks what was in it",
        "the journal is one",
        occasions.AWAY_AND_ON,
        (
            Change(
                "protocol.rules:judge_row",
                "if row.seq != state.workspace.seq + 1:",
                "if row.seq <= state.workspace.seq:",
            ),
            Change(
                "protocol.rules:judge_row",
                'return Refused(CommitReason.MALFORMED, 0, detail="the row\'s log hash is not that of its commit")',
                "mutated()\n        here = replace(verdict.workspace, seq=row.seq, log_hash=row.log_hash)\n"
                "        return replace(verdict, workspace=here)",
            ),
            Change("protocol.rules:_Judgement._require_head", "_require(known,", "_require(known or self.replay,"),
            Change(
                "protocol.rules:_Judgement._number_verdict",
                "self.header.after == self.last_number",
                "self.header.after == self.last_number or self.replay",
            ),
            Change("peer.engine.feed:Feed.take_poke", "rows[0].seq == seq + 1", "rows[0].seq > seq"),
            Change("peer.engine.feed:Feed.take_poke", "seq >= poke.head_seq", "seq > 0"),
            Change(
                "peer.engine.workspace:WorkspaceEngine.wake",
                "self._due.journal = True",
                "self._due.journal = self._due.journal or poke is not None",
            ),
        ),
    ),
    Mutant(
        "not-asked-after-a-cut",
        "a laptop comes back on line, and what happened meanwhile never reaches it",
        "convergence",
        occasions.AWAY,
        (
            Change(
                "peer.engine.workspace:WorkspaceEngine.wake",
                "self._due.journal = True",
                "self._due.journal = self._due.journal or poke is not None",
            ),
            Change(
                "peer.engine.feed:Feed.take_poke",
                "return self._context.journal.workspace.seq >= poke.head_seq",
                "return mutated()",
            ),
        ),
    ),
    Mutant(
        "neighbour-not-verified",
        "a device on the LAN serves garbage, and it is put in the place of a file",
        "no byte that nobody wrote",
        occasions.LIAR_NEARBY,
        (
            Change(
                "peer.transfer.assembly:Assembler.place",
                "right = [chunk_id(self._keys.fixed, one.data) == one.ref.chunk for one in items]",
                "right = [True for one in items]",
            ),
            Change(
                "peer.transfer.assembly:Assembler._checked",
                "return data if chunk_id(self._keys.fixed, data) == ref.chunk else None",
                "return data",
            ),
            Change(
                "peer.transfer.assembly:Assembler._judge",
                "if digest == self._requests[index].digest:",
                "if digest == self._requests[index].digest or mutated():",
            ),
        ),
    ),
    Mutant(
        "block-not-verified",
        "a bit flips on the server's disk, and garbage is put in the place of a file",
        "no byte that nobody wrote",
        occasions.BIT_ROT,
        (
            Change("coordinator.storage.segments:_read", "if blake3(data).digest() == block else", "if data else"),
            Change("peer.transfer.opening:open_block_of", "if block_id(block) != ref.block:", "if not block:"),
            Change(
                "peer.transfer.opening:open_block_of",
                "except BadBlock:\n        return Opened(None)",
                'except BadBlock:\n        return Opened(block[: ref.length].ljust(ref.length, b"?"))',
            ),
            Change(
                "peer.transfer.assembly:Assembler._judge",
                "if digest == self._requests[index].digest:",
                "if digest == self._requests[index].digest or mutated():",
            ),
        ),
    ),
)
