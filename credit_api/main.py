"""App factory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from credit_api import errors
from credit_api.annotating import Annotate
from credit_api.commands import PartsDep
from credit_api.console import app as console
from credit_api.routes import (
    assets,
    blocks,
    credit,
    instruments,
    lending,
    loan_life,
    market,
    market_stream,
    measuring,
    models,
    neutrality,
    orders,
    organisations,
    public_data,
    registry,
    securities,
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
    app.add_middleware(Annotate)
    # The router asks each in turn: orders come in by the hundred a second, so they are asked first.
    for routes in (
        orders,
        organisations,
        credit,
        subjects,
        models,
        assets,
        measuring,
        registry,
        securities,
        neutrality,
        public_data,
        market,
        instruments,
        blocks,
        market_stream,
        trading,
        lending,
        loan_life,
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
