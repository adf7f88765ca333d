"""A bank's loan desk: the book with its coverage, what waits for a decision, and margin calls."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep
from credit_api.credits.console import assets_page
from credit_api.http.fields import Id
from financing.base.quantities import Money, Rate
from financing.ledger.accounts import cash
from financing.lending.business_day.intraday import revalue_loans
from financing.lending.collateral.commands import end_reservation
from financing.lending.collateral.coverage import CoverageStatus
from financing.lending.collateral.pledge import PledgeState
from financing.lending.collateral.standing import LoanCoverage, loan_coverages
from financing.lending.loans.loan import LoanState
from financing.lending.unit import UnitOfWork

router = APIRouter(include_in_schema=False)
# What needs a person first comes first.
URGENCY = {
    status: place
    for place, status in enumerate(
        (
            CoverageStatus.LIQUIDATE,
            CoverageStatus.CALL,
            CoverageStatus.UNPRICED,
            CoverageStatus.WARN,
            CoverageStatus.HEALTHY,
        )
    )
}


@router.get("/console/desk")
def desk(page: PageDep) -> Response:
    """The book as it stands now."""
    return desk_page(page)


def desk_page(page: Page) -> Response:
    bank = page.principal("bank").organisation_id
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        book = [
            standing
            for standing in loan_coverages(unit, page.parts.parameters, unit.loans.of(organisation_id=bank), at)
            if standing.stored.loan.lender == bank
        ]
        reserved = [
            stored
            for stored in unit.pledges.of(bank)
            if stored.pledge.pledgee == bank and stored.pledge.state is PledgeState.RESERVED
        ]
        decisions = [record for record in unit.decisions.of(bank) if record.application.lender == bank]
        drawn = {standing.stored.decision_id for standing in book}
        calls = unit.calls.of(bank)
        money = unit.ledger.balance(cash(bank))
    active = [each for each in book if each.stored.loan.state is LoanState.ACTIVE]
    active.sort(key=lambda each: (URGENCY[each.coverage.status], -(each.coverage.ltv.bps if each.coverage.ltv else 0)))
    return page.render(
        "desk.html",
        active=active,
        closed=[each for each in book if each.stored.loan.state is not LoanState.ACTIVE],
        totals=totals(active),
        reserved=reserved,
        borrowers=sorted({stored.pledge.pledgor for stored in reserved if at < stored.pledge.expires_at}),
        decisions=decisions,
        drawn=drawn,
        calls=calls,
        cash=Money(money.available),
        at=at,
    )


def totals(active: list[LoanCoverage]) -> tuple[Money, Money | None, Rate | None]:
    """Debt, market value and their ratio over a book; without a value when one loan's collateral has no price."""
    debt = sum((each.debt.total for each in active), Money(0))
    values = [each.coverage.market for each in active if each.coverage.market is not None]
    if len(values) < len(active):
        return debt, None, None
    market = sum(values, Money(0))
    return debt, market, Rate.ratio_up(debt, market) if market else None


@router.post("/console/desk/revaluation")
def revalue_book(post: PostDep) -> Response:
    """Mark the bank's active loans now: calls that are due are made, cured ones closed."""
    return post.commit(revalue_loans.given, to="/console/desk", flash="revalued", again=desk_page)


@router.post("/console/pledges/{pledge_id}/void")
def void(post: PostDep, pledge_id: Id) -> Response:
    """Give a reservation up, as either party; a lapsed one is ended as expired."""
    bank = post.page.principal().kind == "bank"
    home = "/console/desk" if bank else "/console/assets"

    return post.commit(
        lambda: end_reservation.given(pledge_id),
        to=f"{home}#pledges",
        flash="pledge_ended",
        again=desk_page if bank else assets_page,
    )
