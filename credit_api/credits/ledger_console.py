"""The ledger as the acting organisation sees it."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console import formats
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep, shown
from credit_api.credits.schemas import EntryOut
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from financing.base.quantities import Carbon, Money
from financing.ledger.accounts import CNY_CODE
from financing.ledger.store import LedgerHead
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)
PAGE = 25


@router.get("/console/ledger")
def ledger(page: PageDep) -> Response:
    """Entries that touch the acting organisation, newest first, with its own postings."""
    return ledger_page(page)


def ledger_page(page: Page, verified: LedgerHead | None = None, blocks: int = 0) -> Response:
    me = page.principal().organisation_id
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        head = unit.ledger.head()
        booked = unit.ledger.entries(organisation_id=me, window=page.window("entries", PAGE))
    return page.render(
        "ledger.html",
        head=head,
        entries=booked.map(lambda entries: [EntryOut.model_validate(entry) for entry in entries]),
        verified=verified,
        blocks=blocks,
        amount=_amount,
    )


def _amount(asset: str, amount: int) -> str:
    """A posting in the unit of its asset."""
    return formats.money(Money(amount)) if asset == CNY_CODE else formats.tonnes(Carbon(amount))


@router.post("/console/ledger/verification")
def verify(post: PostDep) -> Response:
    """Recompute every hash, balance and serial number from the postings alone. Changes nothing."""
    page = post.page
    page.principal()
    try:
        with page.parts.reading() as connection:
            unit = UnitOfWork(connection)
            head, blocks = unit.ledger.verify(), unit.serials.verify()
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="verify", values=post.fields)
        return ledger_page(page)
    return ledger_page(page, verified=head, blocks=blocks)
