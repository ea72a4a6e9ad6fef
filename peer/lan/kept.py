"""Commits that wait for the coordinator, told of and handed over on all links. Owns what is still to be asked of whom.

Whether a commit is worth anything is the `Stock`'s to say; here only its parts are put together. From each link one
commit at a time is fetched, so that much is held for it at most.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import trio

from peer.lan.answering import Stock
from peer.lan.link import Link
from protocol import limits
from protocol.ids import CommitDigest, DeviceId, WorkspaceId
from protocol.lan import LanCommitAsk, LanCommitPart, LanKept

QUEUE: Final = 1_000
"""So much waits to be done at most; each link has one question and one commit in it."""

Name = tuple[WorkspaceId, CommitDigest]


@dataclass
class _FromLink:
    """What one link has told of. `parts` are those of the first of `due`. While it is busy nothing else is asked for:
    that one was asked for, or one that came is still being looked at. The session alone does not tell: what came
    before an answer may be heard after the session has seen that."""

    due: deque[Name] = field(default_factory=deque)
    parts: bytearray = field(default_factory=bytearray)
    is_busy: bool = False


class Kept:
    """For all links. `run` until cancelled."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._links: dict[DeviceId, tuple[Link, _FromLink]] = {}
        self._to_do, self._work = trio.open_memory_channel[tuple[Link, LanCommitAsk | tuple[Name, bytes]]](QUEUE)

    async def run(self) -> None:
        """Answer what others ask for, and hand on what came whole, one after the other."""
        async for link, work in self._work:
            if isinstance(work, LanCommitAsk):
                await self._answer(link, work)
            else:
                name, data = work
                await self._stock.take_commit(link.device, *name, data)
                self._ask_next(link)

    def came(self, link: Link) -> None:
        """There is a link."""
        self._links[link.device] = (link, _FromLink())

    def went(self, link: Link) -> None:
        """There is no more."""
        if link.device in self._links and self._links[link.device][0] is link:
            del self._links[link.device]

    # --- telling ----------------------------------------------------------------------------------------

    def tell(self, link: Link, workspaces: Iterable[WorkspaceId]) -> None:
        """Tell the other side of what waits here."""
        for workspace in workspaces:
            commits = self._stock.kept(workspace)
            if commits:
                link.session.say(LanKept(workspace, tuple(commits[-limits.LAN_KEPT :])))
                link.wake()

    def tell_all(self, workspace: WorkspaceId) -> None:
        """Tell everybody who shares a workspace."""
        for link, _ in self._links.values():
            if link.greeted and workspace in link.session.shared:
                self.tell(link, (workspace,))

    async def _answer(self, link: Link, ask: LanCommitAsk) -> None:
        data = await self._stock.commit(ask.workspace, ask.commit) or b""
        piece = data[ask.at : ask.at + limits.LAN_PART_BYTES]
        size = len(data) if piece else 0
        link.session.answer_commit(LanCommitPart(ask.workspace, ask.commit, size, ask.at, piece))
        link.wake()

    # --- taking -----------------------------------------------------------------------------------------

    def take(self, link: Link, event: LanKept | LanCommitAsk | LanCommitPart) -> None:
        """What the other side said of it."""
        match event:
            case LanKept():
                self._told(link, event)
            case LanCommitAsk():
                self._do(link, event)
            case LanCommitPart():
                self._take_part(link, event)

    def _told(self, link: Link, event: LanKept) -> None:
        its = self._its(link)
        if its is None:
            return
        for commit in event.commits:
            name = (event.workspace, commit)
            if len(its.due) < limits.LAN_KEPT and name not in its.due and self._stock.lacks(*name):
                its.due.append(name)
        self._ask(link)

    def _take_part(self, link: Link, part: LanCommitPart) -> None:
        its, name = self._its(link), (part.workspace, part.commit)
        if its is None or not its.due or its.due[0] != name:
            return
        its.parts += part.data
        if part.size and len(its.parts) < part.size:
            if link.session.may_ask_commit():  # otherwise it was the last that came of this link
                link.session.ask_commit(*name, len(its.parts))
                link.wake()
            return
        data = bytes(its.parts)
        its.parts.clear()
        its.due.popleft()
        if part.size:
            self._do(link, (name, data))
        else:
            self._ask_next(link)

    def _ask_next(self, link: Link) -> None:
        its = self._its(link)
        if its is not None:
            its.is_busy = False
            self._ask(link)

    def _ask(self, link: Link) -> None:
        """Ask for the next that is still lacking."""
        its = self._its(link)
        if its is None or its.is_busy or not link.session.may_ask_commit():
            return
        while its.due and not (its.due[0][0] in link.session.shared and self._stock.lacks(*its.due[0])):
            its.due.popleft()
        if its.due:
            its.is_busy = True
            link.session.ask_commit(*its.due[0], 0)
            link.wake()

    def _do(self, link: Link, work: LanCommitAsk | tuple[Name, bytes]) -> None:
        try:
            self._to_do.send_nowait((link, work))
        except trio.WouldBlock:
            link.end("there is too much to do")

    def _its(self, link: Link) -> _FromLink | None:
        found = self._links.get(link.device)
        return found[1] if found is not None and found[0] is link else None
