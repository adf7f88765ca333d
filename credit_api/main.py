"""App factory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from credit_api import errors
from credit_api.commands import PartsDep
from credit_api.console import app as console
from credit_api.routes import (
    assets,
    credit,
    lending,
    market,
    measuring,
    models,
    neutrality,
    organisations,
    public_data,
    registry,
    subjects,
    trading,
)
from credit_api.routes.problems import add_problem_schemas
from credit_api.wiring import Parts
from financing.persistence.unit_of_work import UnitOfWork

DESCRIPTION = """\
Privacy-preserving credit scores and loans on distributed carbon assets.

Money is in fen, credits in kg CO2e, energy in Wh, prices in fen per tonne, rates in basis points. Commands carry an
`Idempotency-Key`; refusals are RFC 9457 problems with a stable `code` (docs/errors.md).
"""
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'"
)
# The interactive API documents carry inline scripts of their own; nothing else does.
DOCS_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; worker-src blob:; frame-ancestors 'none'"  # noqa: E501


class Health(BaseModel):
    status: str
    ledger_entry: int


def create_app(parts: Parts) -> FastAPI:
    """The service on already assembled parts; it closes them when it stops."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        parts.close()

    app: FastAPI = FastAPIOffline(
        title="Tanxin", version=version("tanxin"), description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    app.state.parts = parts
    errors.install(app)
    app.middleware("http")(_annotate)
    for routes in (
        organisations,
        credit,
        subjects,
        models,
        assets,
        measuring,
        registry,
        neutrality,
        public_data,
        market,
        trading,
        lending,
    ):
        app.include_router(routes.router)
    console.mount(app)

    @app.get("/healthz", tags=["operations"])
    def health(parts: PartsDep) -> Health:
        """Whether the service can read its books."""
        with parts.reading() as connection:
            return Health(status="ok", ledger_entry=UnitOfWork(connection).ledger.head().entry_id)

    described = app.openapi
    app.openapi = lambda: add_problem_schemas(described())  # type: ignore[method-assign]
    return app


async def _annotate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Every answer carries a request id and the headers that keep a browser from being used against the user."""
    request.state.request_id = request.headers.get("X-Request-ID", "")[:64] or secrets.token_hex(8)
    try:
        response = await call_next(request)
    except Exception as error:
        # The framework would answer this outside of every middleware, and so without these headers.
        response = await request.app.exception_handlers[Exception](request, error)
    response.headers["X-Request-ID"] = request.state.request_id
    docs = request.url.path.startswith(("/docs", "/static-offline-docs"))
    response.headers["Content-Security-Policy"] = DOCS_POLICY if docs else POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.url.path.startswith("/v1"):
        response.headers["Cache-Control"] = "no-store"
    return response
