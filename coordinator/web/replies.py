"""How answers leave: MessagePack bodies, and the HTTP status of each refusal. Owns that mapping only."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coordinator.ports import StorageUnavailable
from protocol.codec import encode
from protocol.messages import MEDIA_TYPE, Refusal, RefusalCode

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

STATUS: Final[Mapping[RefusalCode, int]] = {
    RefusalCode.MALFORMED: 400,
    RefusalCode.TOO_LARGE: 413,
    RefusalCode.UNAUTHENTICATED: 401,
    RefusalCode.DENIED: 403,
    RefusalCode.NOT_FOUND: 404,
    RefusalCode.CONFLICT: 409,
    RefusalCode.USED: 410,
    RefusalCode.EXPIRED: 410,
    RefusalCode.RATE_LIMITED: 429,
    RefusalCode.OLD_CLIENT: 426,
    RefusalCode.SERVER_FULL: 507,
    RefusalCode.CATCHING_UP: 503,
    RefusalCode.UNAVAILABLE: 503,
}


def answer(reply: object) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of a reply or refusal."""
    body = encode(reply)
    headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("cache-control", "no-store")]
    if not isinstance(reply, Refusal):
        return 200, headers, body
    if reply.retry_after_ms:
        headers.append(("retry-after", str(-(-reply.retry_after_ms // 1000))))
    return STATUS[reply.code], headers, body


async def send_answer(send: Send, reply: object, *, kind: str = "http.response") -> None:
    """Send it as a whole response; `kind` is `websocket.http.response` to refuse a socket."""
    status, headers, body = answer(reply)
    raw = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": f"{kind}.start", "status": status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})


def storage_refusal(error: StorageUnavailable) -> Refusal:
    """What a device is told when the storage fails."""
    if error.full:
        return Refusal(RefusalCode.SERVER_FULL, "the server's disk is full", 10_000)
    return Refusal(RefusalCode.UNAVAILABLE, "the server's storage is not available", 2_000)
