"""Which new file is one that vanished. Owns the last way to tell an entry: by what is in it. Pure."""

from collections.abc import Mapping

from protocol.ids import EntryId


def match_content(vanished: Mapping[EntryId, bytes], new: Mapping[EntryId, bytes]) -> dict[EntryId, EntryId]:
    """New entries and the vanished ones that they are, from the digests of both; what is ambiguous on either side is
    left out. Empty files have nothing to be recognised by: the caller leaves them out too."""
    gone, found = _single(vanished), _single(new)
    return {entry: gone[digest] for digest, entry in found.items() if digest in gone}


def _single(digests: Mapping[EntryId, bytes]) -> dict[bytes, EntryId]:
    by_digest: dict[bytes, list[EntryId]] = {}
    for entry, digest in digests.items():
        by_digest.setdefault(digest, []).append(entry)
    return {digest: entries[0] for digest, entries in by_digest.items() if len(entries) == 1}
