"""Every answer carries a request id and the headers that keep a browser from being used against the user.

Plain ASGI: a wrapper that reads answers to the end would hold back a stream and cost a task a request.
"""

from __future__ import annotations

import secrets

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_api.audit.model import an_id
from credit_api.audit.trace import tracing

POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'"
)
# The interactive API documents carry inline scripts of their own; nothing else does.
DOCS_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; worker-src blob:; frame-ancestors 'none'"  # noqa: E501


class Annotate:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request_id = an_id(request.headers.get("X-Request-ID")) or secrets.token_hex(8)
        request.state.request_id = request_id
        path = scope["path"]
        started = False

        async def annotated(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                docs = path.startswith(("/docs", "/static-offline-docs"))
                headers["Content-Security-Policy"] = DOCS_POLICY if docs else POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                if path.startswith("/v1"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        with tracing(request_id):
            try:
                await self._app(scope, receive, annotated)
            except Exception as error:
                if started:
                    raise
                # The framework would answer this outside of every middleware, and so without these headers.
                response = await scope["app"].exception_handlers[Exception](request, error)
                await response(scope, receive, annotated)
