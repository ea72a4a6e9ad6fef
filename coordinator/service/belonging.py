"""Whether the directory of blocks is the one that the database is about. Owns the mark that both have.

A disk that is not mounted leaves an empty directory in its place. Blocks stored there would be hidden once it is back,
and those that are not found there would be taken for lost: so nothing is served until the right one is back.
"""

from pathlib import Path
from typing import Final

from coordinator.ports import Entropy, Files, MetadataStore

MARK_FILE: Final = "mark"
"""In the directory of blocks."""
_FACT: Final = "blocks"


class BlocksGone(Exception):
    """The directory of blocks is another one. The text says what to do."""


async def check_blocks(metadata: MetadataStore, files: Files, entropy: Entropy, directory: Path) -> None:
    """Compare the marks; where the database has none yet, both get one. Raises `BlocksGone`, `OSError`."""
    path = directory / MARK_FILE
    here = files.read(path)
    known = await metadata.run(lambda transaction: transaction.facts.get(_FACT))
    if known is None:
        if here is None:
            files.write(path, here := entropy.bytes(16).hex().encode(), private=True)
        token = here
        await metadata.run(lambda transaction: transaction.facts.put(_FACT, token))
    elif here is None or here.strip() != known.strip():
        raise BlocksGone(
            f"the blocks are not in {directory}: mount their disk or put them back (if they are lost for good, "
            f"write {known.decode()} into {path} and devices send again what they have)"
        )
