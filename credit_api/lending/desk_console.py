"""A bank's loan desk: the book with its coverage, what waits for a decision, and margin calls."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep
from credit_api.credits.console import assets_page
from credit_api.http.routing import Router
from financing.base.commands import Id
from financing.base.quantities import Money
from financing.ledger.accounts import cash
from financing.lending.business_day.intraday import revalue_loans
from financing.lending.collateral.commands import end_reservation
from financing.lending.collateral.marking import marked_book, most_urgent, totals_of
from financing.lending.collateral.standing import loan_coverages
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)
# What needs a person first comes first.
SHOWN, CALLS = 50, 12


@router.get("/console/desk")
def desk(page: PageDep) -> Response:
    """The book as it stands now."""
    return desk_page(page)


def desk_page(page: Page) -> Response:
    bank = page.principal("bank").organisation_id
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        book, _ = marked_book(unit, page.parts.parameters, at, bank_id=bank)
        active = loan_coverages(unit, page.parts.parameters, unit.loans.numbered(most_urgent(book, SHOWN)), at)
        ended = unit.loans.ended(bank, page.window("closed"))
        closed = ended.map(lambda stored: list(loan_coverages(unit, page.parts.parameters, stored, at)))
        reserved = unit.pledges.reserved_for(bank, window=page.window("pledges"))
        borrowers = unit.pledges.pledgors(bank, at, 1)
        decisions = unit.decisions.by_bank(bank, page.window("decisions"))
        drawn = unit.loans.drawn_on([record.decision_id for record in decisions])
        calls, open_calls = unit.calls.of(bank, page.window("calls", CALLS)), unit.calls.count_open(bank)
        money = unit.ledger.balance(cash(bank))
    return page.render(
        "desk.html",
        active=active,
        closed=closed,
        totals=totals_of(book),
        reserved=reserved,
        borrowers=borrowers,
        decisions=decisions,
        drawn=drawn,
        calls=calls,
        open_calls=open_calls,
        cash=Money(money.available),
        at=at,
    )


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
