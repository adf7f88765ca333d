"""App factory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from credit_api.app import errors
from credit_api.app.wiring import Parts
from credit_api.auctions import api as auctions
from credit_api.audit import api as audit
from credit_api.audit.keeping import keep_time
from credit_api.console import app as console
from credit_api.credits import api as assets
from credit_api.http.annotating import Annotate
from credit_api.http.callers import PartsDep
from credit_api.http.gate import Gate
from credit_api.http.paging import known_parameters
from credit_api.http.problems import add_problem_schemas
from credit_api.lending import days_api, loans_api, pledges_api
from credit_api.measuring import api as measuring
from credit_api.models import api as models
from credit_api.neutrality import api as neutrality
from credit_api.order_book import blocks_api as blocks
from credit_api.order_book import instruments_api as instruments
from credit_api.order_book import orders_api as orders
from credit_api.order_book import stream_api as market_stream
from credit_api.organisations import api as organisations
from credit_api.organisations import machines_api as machines
from credit_api.organisations import people_api as people
from credit_api.organisations import proposals_api as proposals
from credit_api.organisations import signing_api as signing_keys
from credit_api.over_the_counter import api as trading
from credit_api.prices import api as market
from credit_api.public import api as public_data
from credit_api.registry import api as registry
from credit_api.scores import api as credit
from credit_api.subjects import api as subjects
from financing.lending.unit import UnitOfWork

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
    async def lifespan(served: FastAPI) -> AsyncIterator[None]:
        parts: Parts = served.state.parts
        minutes = asyncio.create_task(keep_time(parts))
        try:
            yield
        finally:
            minutes.cancel()
            parts.close()

    app: FastAPI = FastAPIOffline(
        title="Tanxin", version=version("tanxin"), description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    app.state.parts = parts
    errors.install(app)
    app.add_middleware(Gate)
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
        neutrality,
        public_data,
        market,
        instruments,
        blocks,
        market_stream,
        trading,
        auctions,
        pledges_api,
        loans_api,
        days_api,
        people,
        machines,
        signing_keys,
        proposals,
        audit,
    ):
        app.include_router(routes.router, dependencies=[Depends(known_parameters)])
    app.include_router(machines.oauth)
    console.mount(app)

    @app.get("/healthz", tags=["operations"], dependencies=[Depends(known_parameters)])
    def health(parts: PartsDep) -> Health:
        """Whether the service can read its books."""
        with parts.reading() as connection:
            return Health(status="ok", ledger_entry=UnitOfWork(connection).ledger.head().entry_id)

    described = app.openapi
    app.openapi = lambda: add_problem_schemas(described())  # type: ignore[method-assign]
    return app
