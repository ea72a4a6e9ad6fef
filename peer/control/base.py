"""What all requests and answers on the control socket have in common. Owns these bases, and the two plain answers."""

import msgspec


class Request(msgspec.Struct, frozen=True, tag_field="do", kw_only=True, forbid_unknown_fields=True):
    """Base of the requests."""


class Reply(msgspec.Struct, frozen=True, tag_field="reply", kw_only=True):
    """Base of the answers. `--json` prints them without the `reply` field."""


class Done(Reply, frozen=True, tag="done"):
    """It was done; `message` is for people."""

    message: str = ""


class Failure(Reply, frozen=True, tag="failure"):
    """It was not done. `message` says what happened and what to do; `status` is the command's exit status."""

    message: str
    status: int = 1
