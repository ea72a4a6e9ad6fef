"""What a PATH on the command line means. Owns making it absolute, since the daemon runs in another directory."""

import os
from pathlib import Path


def folder_meant(text: str) -> str:
    """A folder, by its real absolute path; it need not exist."""
    return os.path.realpath(Path(text).expanduser())


def path_meant(text: str) -> str:
    """An absolute path, or `WORKSPACE:path` as it is.

    A name with a colon that exists here is a path; `./` before a name says that it is one. The last name is not
    followed if it is a link: the link itself is meant.
    """
    if ":" in text and not _is_plainly_local(text) and not os.path.lexists(text):
        return text
    return absolute(text)


def absolute(text: str) -> str:
    """The absolute path, with links in the directories above it resolved."""
    parent, name = os.path.split(os.path.expanduser(text))
    if name in ("", ".", ".."):
        return os.path.realpath(os.path.join(parent, name))
    return os.path.join(os.path.realpath(parent), name)


def _is_plainly_local(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~"))


def listing_meant(text: str | None) -> tuple[str | None, str | None]:
    """What `ls` is to list, and what to try where that is not known: a bare name is a workspace before it is a path."""
    if text is None:
        return None, None
    if text in (".", "..") or _is_plainly_local(text):
        return absolute(text), None
    return text, absolute(text) if os.path.lexists(text) else None
