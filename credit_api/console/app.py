"""Mounts the console's pages on the service, and turns refusals into pages where a browser asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from credit_api.app.errors import Unauthenticated, status_of
from credit_api.auctions import console as auctions
from credit_api.audit.refusals import untold
from credit_api.certificates import console as certificates
from credit_api.console import home
from credit_api.console.pages import HEADERS, STATIC, Shown, open_page
from credit_api.console.posting import shown
from credit_api.credits import console as assets
from credit_api.credits import holdings_console as holdings
from credit_api.credits import ledger_console as records
from credit_api.http.callers import parts_of
from credit_api.http.pipeline import REFUSALS
from credit_api.lending import decisions_console as decisions
from credit_api.lending import desk_console as desk
from credit_api.lending import loan_changes_console as loan_changes
from credit_api.lending import loans_console as loans
from credit_api.lending import products_console as products
from credit_api.lending import servicing_console as servicing
from credit_api.measuring import findings_console as verifying
from credit_api.measuring import metering_console as metering
from credit_api.measuring import registering_console as registering
from credit_api.measuring import verification_console as verification
from credit_api.models import console as models
from credit_api.models import privacy_console as privacy
from credit_api.neutrality import certificates_console as neutral_certificates
from credit_api.neutrality import console as neutrality
from credit_api.order_book import console as book
from credit_api.organisations import console as entry
from credit_api.organisations import people_console as people
from credit_api.over_the_counter import deals_console as deals
from credit_api.over_the_counter import listings_console as listings
from credit_api.prices import console as market
from credit_api.public import console as public
from credit_api.scores import console as customers
from credit_api.subjects import console as record

MACHINES = ("/v1/", "/docs", "/openapi.json", "/healthz", "/static-offline-docs", "/console/static/")
Handler = Callable[[Request, Exception], Awaitable[Response] | Response]


def mount(app: FastAPI) -> None:
    """Add the console's routes and static files to the service."""
    app.mount("/console/static", StaticFiles(directory=STATIC), name="console-static")
    for views in (
        home,
        entry,
        people,
        customers,
        desk,
        decisions,
        loans,
        loan_changes,
        servicing,
        products,
        assets,
        holdings,
        metering,
        verification,
        verifying,
        registering,
        market,
        book,
        models,
        privacy,
        record,
        records,
        certificates,
        public,
        neutral_certificates,
        neutrality,
        listings,
        auctions,
        deals,
    ):
        app.include_router(views.router)
    for kind, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _pages_for_browsers(handler))


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks: it says so, and the address is not one of the API's."""
    return "text/html" in request.headers.get("Accept", "") and not request.url.path.startswith(MACHINES)


def _pages_for_browsers(handler: Any) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        await _tell(request, error)
        if not wants_page(request):
            answer: Response = await handler(request, error)
            return answer
        if isinstance(error, Unauthenticated) and request.method == "GET":
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?{urlencode({'back': back})}", status_code=303, headers=HEADERS)
        if not isinstance(error, (*REFUSALS, HTTPException, RequestValidationError)):
            await handler(request, error)  # the API's handler writes the failure to the log
        return await run_in_threadpool(_page, request, error)

    return handle


async def _tell(request: Request, error: Exception) -> None:
    """Let the audit trail know of a refusal, unless a command told of it."""
    parts = parts_of(request)
    event = untold(request, parts, _shown(error).code)
    if event is not None:
        await asyncio.wrap_future(parts.audit.submit(event))


def _page(request: Request, error: Exception) -> Response:
    page = open_page(request, parts_of(request))
    page.shown = _shown(error)
    return page.render("problem.html")


def _shown(error: Exception) -> Shown:
    if isinstance(error, REFUSALS):
        return shown(error)
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
        return Shown(code, error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        facts = tuple((".".join(str(part) for part in item["loc"][1:]), item["msg"]) for item in error.errors())
        return Shown("invalid_request", 422, "the address does not fit what this page takes", facts)
    return Shown("internal_error", status_of("internal_error"), "the service failed; nothing of this was stored")
