"""One loan, for its lender and its borrower: debt, coverage, margin call, cures, and what each may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, PostDep, inputs_of
from credit_api.http.routing import Router
from credit_api.over_the_counter.dealing import asset_names
from credit_api.prices.charts import collateral_charts
from financing.base.authority import HOLDERS
from financing.base.commands import Given, Id
from financing.base.context import Context
from financing.base.errors import FinancingError
from financing.base.quantities import Money, Price, business_date
from financing.base.storage.paging import Window
from financing.ledger.accounts import cash
from financing.lending.collateral.commands import (
    AmendRegistration,
    PostPledge,
    ReleasePledge,
    amend_registration,
    post_pledge,
    release_pledge,
)
from financing.lending.collateral.disposal import DisposalGround, DisposalLot, plan_disposal, reserve_price
from financing.lending.collateral.disposing import ListCollateral, ground_of, list_collateral
from financing.lending.collateral.standing import LoanCoverage, loan_coverage
from financing.lending.loans.classification import RiskClass
from financing.lending.loans.commands import history_of, schedule_of
from financing.lending.origination.commands import AccrueLoan, RepayLoan, accrue_loan, repay_loan
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.valuation.pools import PoolValue

R = TypeVar("R")
router = Router(include_in_schema=False)
# How many reserved pledges a form lets its reader choose from.
CHOICES = 200


@router.get("/console/loans/{loan_id}")
def loan(page: PageDep, loan_id: Id) -> Response:
    """The loan as it stands now."""
    return loan_page(page, loan_id)


def loan_page(page: Page, loan_id: str) -> Response:
    context = page.context()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        standing = loan_coverage(unit, context, loan_id)
        owed = standing.stored.loan
        context.require_party(owed.lender, owed.borrower)
        drawings = collateral_charts(page, unit, standing)
        topups = unit.pledges.reserved_for(owed.lender, pledgor_id=owed.borrower, at=context.at, window=Window(CHOICES))
        calls = unit.calls.on_loan(loan_id, page.window("calls"))
        listings = unit.otc.listings_of_pledges(
            [held.pledge.pledge_id for held in standing.pledges], page.window("listings")
        )
        names = asset_names(unit, (each.asset for each in listings))
        available = unit.ledger.balance(cash(owed.borrower)).available
        schedule = schedule_of(unit, context, loan_id)
        events = history_of(unit, context, loan_id, page.window("events"))
        undrawn = _undrawn(unit, context, standing)
    ground, plan = _disposal(context, standing)
    return page.render(
        "loan.html",
        standing=standing,
        loan=owed,
        seen=standing.coverage,
        lender=owed.lender == context.actor.id,
        drawings=drawings,
        topups=topups,
        amendment=inputs_of(AmendRegistration),
        calls=calls,
        listings=listings,
        names=names,
        cash=Money(available),
        ground=ground,
        plan=plan,
        reserves=_reserves(standing),
        fallen=schedule.fallen_due.instalments(),
        ahead=schedule.to_come.instalments(),
        events=events,
        risk_class=RiskClass(int(standing.stored.book.risk_class[0])).name.lower(),
        stage=int(standing.stored.book.stage[0]),
        allowance=Money(int(standing.stored.book.allowance[0])),
        undrawn=undrawn,
        buyers=[each for each in page.of_kind(*HOLDERS) if each.id not in {owed.lender, owed.borrower}],
        at=context.at,
        today=business_date(context.at),
    )


def _undrawn(unit: UnitOfWork, context: Context, standing: LoanCoverage) -> Money | None:
    """What is left of the commitment, or None when the product allows no further tranche."""
    stored = standing.stored
    product = context.parameters.product(stored.product, stored.terms.signed_on)
    tranches = unit.loans.count_events(stored.terms.number, "disbursement")
    left = stored.committed - stored.loan.drawn
    return left if tranches < product.tranches_max and left > Money(0) else None


def _disposal(context: Context, standing: LoanCoverage) -> tuple[DisposalGround | None, tuple[DisposalLot, ...]]:
    """On which ground the lender may sell now, if any, and what would pay the debt: a preview by the rules."""
    product = context.parameters.running_product(standing.stored.product, business_date(context.at))
    try:
        ground = ground_of(context, standing, product)
    except FinancingError:
        return None, ()
    assert isinstance(standing.pool, PoolValue)
    return ground, plan_disposal(standing.debt.total, standing.pool, product)


def _reserves(standing: LoanCoverage) -> dict[str, Price]:
    """The reserve price of each credit asset in the pool."""
    if not isinstance(standing.pool, PoolValue):
        return {}
    return {line.lot.asset: reserve_price(line) for line in standing.pool.lines}


def on_loan(
    post: Post, loan_id: str, given: Callable[[], Given[UnitOfWork, R]], flash: str | Callable[[R], str]
) -> Response:
    """Commit what is asked of a loan and show the loan again, whether it was done or refused."""
    return post.commit(given, to=f"/console/loans/{loan_id}", flash=flash, again=lambda page: loan_page(page, loan_id))


@router.post("/console/loans/{loan_id}/repayments")
def repay(post: PostDep, loan_id: Id) -> Response:
    """Repay from the borrower's settlement balance; a margin call that this cures is closed."""
    return on_loan(
        post,
        loan_id,
        lambda: repay_loan.given(loan_id, post.read(RepayLoan)),
        lambda done: "cured" if done.standing.call is None and post.checked("called") else "repaid",
    )


@router.post("/console/loans/{loan_id}/topups")
def top_up(post: PostDep, loan_id: Id) -> Response:
    """Post a reserved pledge to the loan, as its lender."""
    return on_loan(
        post,
        loan_id,
        lambda: post_pledge.given(post.text("pledge_id"), post.read(PostPledge, loan_id=loan_id)),
        "topped_up",
    )


@router.post("/console/loans/{loan_id}/accruals")
def accrue(post: PostDep, loan_id: Id) -> Response:
    """Book interest up to today, as the lender."""
    today = business_date(post.page.parts.clock())
    return on_loan(post, loan_id, lambda: accrue_loan.given(loan_id, post.read(AccrueLoan, on=today)), "accrued")


@router.post("/console/loans/{loan_id}/releases/{pledge_id}")
def release(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Return pledged credits, as the lender, if what remains covers the debt."""
    return on_loan(post, loan_id, lambda: release_pledge.given(pledge_id, post.read(ReleasePledge)), "released")


@router.post("/console/loans/{loan_id}/registrations/{pledge_id}")
def amend(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Record an amended or extended registration of a posted pledge, as the lender."""
    return on_loan(
        post, loan_id, lambda: amend_registration.given(pledge_id, post.read(AmendRegistration)), "registration_amended"
    )


@router.post("/console/loans/{loan_id}/disposals/{pledge_id}")
def dispose(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """List pledged credits for one buyer, as the lender, when coverage or an uncured call allows it."""
    days_max = rules_of(post.page.context()).listing_days_max
    return on_loan(
        post,
        loan_id,
        lambda: list_collateral.given(
            pledge_id, post.read(ListCollateral, expires_at=post.days_ahead("days", days_max))
        ),
        "collateral_listed",
    )
