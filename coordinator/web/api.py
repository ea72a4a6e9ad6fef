"""The Quart application: every ordinary request by one typed dispatch, the notification socket, `/health`.

Owns decoding and encoding; who may ask how often, and how much, has been looked at by the `Door` before.
"""

import importlib.metadata
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from quart import Response, request, websocket
from quart_trio import QuartTrio

from coordinator import logs
from coordinator.ports import StorageUnavailable
from coordinator.service import blocks, endpoints, offers
from coordinator.service.context import Context, Session
from coordinator.web import notify
from coordinator.web.blocks import BlockStreams
from coordinator.web.nearby import Neighbourhood, seen_from
from coordinator.web.notify import Hub
from coordinator.web.replies import answer, storage_refusal
from protocol import limits, version
from protocol.codec import Malformed, decode
from protocol.messages import ENDPOINTS, NOTIFY_PATH, HaveRequest, LeaseRequest, PollRequest, Refusal, RefusalCode
from protocol.nearby import NearbyRequest

logger = logging.getLogger("coordinator.api")

SESSION = "shoal.session"
"""Key in a scope's `state`: the `Session` of the token, where one was needed."""
TOKEN = "device.token"  # noqa: S105  # the key's name
_BODY_S = 900
"""Longest time for a request's body; pauses in it are cut much earlier."""


def software_version() -> str:
    """The version of the package that runs."""
    try:
        return importlib.metadata.version("shoal")
    except importlib.metadata.PackageNotFoundError:
        return "source"


def make_api(context: Context, hub: Hub, streams: BlockStreams) -> QuartTrio:
    """The application; touches nothing until it is called."""
    app = QuartTrio("coordinator", static_folder=None, template_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=limits.REQUEST_BYTES,
        BODY_TIMEOUT=_BODY_S,
        RESPONSE_TIMEOUT=None,
        PROPAGATE_EXCEPTIONS=False,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
    )

    async def poll(context: Context, session: Session, asked: PollRequest) -> object:
        return await notify.poll(context, hub, session, asked)

    async def have(context: Context, session: Session, asked: HaveRequest) -> object:
        await streams.settle(session, asked.workspace)
        return await blocks.have(context, session, asked)

    async def lease(context: Context, session: Session, asked: LeaseRequest) -> object:
        await streams.settle(session, asked.workspace)
        return await offers.lease(context, session, asked)

    neighbourhood = Neighbourhood(hub)

    async def nearby(context: Context, session: Session, asked: NearbyRequest) -> object:
        return await neighbourhood.tell(context, session, asked, seen_from(request.scope))

    signed_in: dict[str, Callable[[Context, Session, Any], Awaitable[object]]] = {
        **endpoints.SIGNED_IN,
        "/v1/nearby": nearby,
        "/v1/poll": poll,
        "/v1/have": have,
        "/v1/lease": lease,
    }
    for path, (kind, _) in ENDPOINTS.items():
        use_case = _with_session(signed_in[path]) if path in signed_in else endpoints.OPEN[path]
        app.add_url_rule(path, endpoint=path, view_func=_view(context, kind, use_case), methods=["POST"])

    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"status": "ok", "version": software_version(), "protocol": [version.MAJOR, version.REVISION]}

    @app.websocket(NOTIFY_PATH)
    async def socket() -> None:
        state = websocket.scope["state"]
        await notify.serve_socket(context, hub, state[SESSION], state[TOKEN])

    @app.errorhandler(404)
    async def not_found(_error: Exception) -> Response:
        return _response(Refusal(RefusalCode.NOT_FOUND, "no such path"))

    @app.errorhandler(405)
    async def wrong_method(_error: Exception) -> Response:
        return _response(Refusal(RefusalCode.MALFORMED, "wrong method"), 405)

    return app


def _with_session(
    use_case: Callable[[Context, Session, Any], Awaitable[object]],
) -> Callable[[Context, Any], Awaitable[object]]:
    async def asked(context: Context, message: Any) -> object:
        return await use_case(context, request.scope["state"][SESSION], message)

    return asked


def _view(
    context: Context, kind: type, use_case: Callable[[Context, Any], Awaitable[object]]
) -> Callable[[], Awaitable[Response]]:
    async def view() -> Response:
        body = await request.get_data(cache=False, as_text=False)
        assert isinstance(body, bytes)
        try:
            message: Any = decode(kind, body, limits.REQUEST_BYTES)
        except Malformed as error:
            return _response(Refusal(RefusalCode.MALFORMED, str(error)[:500]))
        del body
        try:
            return _response(await use_case(context, message))
        except StorageUnavailable as error:
            logger.warning("the storage failed: %s", error)
            return _response(storage_refusal(error))
        except Exception:
            logger.exception("a request failed")
            said = f"the server failed; its log has more under request {logs.request_id.get()}"
            return _response(Refusal(RefusalCode.UNAVAILABLE, said, 1_000), 500)

    return view


def _response(reply: object, status: int | None = None) -> Response:
    usual, headers, body = answer(reply)
    return Response(body, status or usual, dict(headers))
