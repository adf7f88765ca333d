"""Pledges, decisions, loans, margin calls and disposals."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from credit_api.http.callers import PartsDep, PrincipalDep, require_kind
from credit_api.http.commands import IdempotencyDep, commit
from credit_api.http.fields import Id
from credit_api.http.problems import PROBLEMS
from credit_api.lending.loan_life_schemas import DisposalAuctionIn
from credit_api.lending.schemas import (
    AccrualIn,
    ApplicationIn,
    CallOut,
    DecisionOut,
    DisposalIn,
    LoanBook,
    LoanIn,
    LoanOut,
    OfferOut,
    PledgeIn,
    PledgeOut,
    PledgePostingIn,
    ReleaseIn,
    RepaymentIn,
    RepaymentOut,
)
from credit_api.over_the_counter.api import shown_auction
from credit_api.over_the_counter.schemas import AuctionOut
from credit_api.scores.scoring import usable_assessment
from financing.base.context import Context
from financing.base.quantities import Carbon, Money, Price
from financing.lending.business_day.intraday import revalue
from financing.lending.collateral.commands import (
    PostPledge,
    ReservePledge,
    expire_pledge,
    post_pledge,
    release_pledge,
    reserve_pledge,
    void_pledge,
)
from financing.lending.collateral.disposal_auction import AuctionCollateral, auction_collateral
from financing.lending.collateral.disposing import OfferCollateral, offer_collateral
from financing.lending.collateral.standing import look_at, stand
from financing.lending.origination.commands import (
    Apply,
    Disburse,
    accrue_loan,
    decide_application,
    disburse_loan,
    repay_loan,
)
from financing.lending.store import PledgedUse
from financing.lending.unit import UnitOfWork

router = APIRouter(prefix="/v1", tags=["lending"], responses=PROBLEMS)


@router.post("/pledges", status_code=201, response_model=PledgeOut)
async def add_pledge(
    body: PledgeIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Reserve credits of the caller's holding for a bank: the first phase of a pledge."""

    def run(unit: UnitOfWork, context: Context) -> PledgeOut:
        use = PledgedUse(body.evidence_sha256, body.compliance_year, body.surrender_by, body.carry_over)
        command = ReservePledge(body.bank_id, body.issuance_id, Carbon(body.quantity_kg), body.product, use)
        return PledgeOut.of(reserve_pledge(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/pledges")
def list_pledges(parts: PartsDep, principal: PrincipalDep) -> list[PledgeOut]:
    """Pledges that the caller gave or holds, newest first."""
    with parts.reading() as connection:
        return [PledgeOut.of(found) for found in UnitOfWork(connection).lending.pledges(principal.organisation_id)]


@router.post("/pledges/{pledge_id}/posting", response_model=PledgeOut)
async def post(
    pledge_id: Id,
    body: PledgePostingIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Post a reserved pledge to a running loan (a top-up), as the lender: the second phase."""

    def run(unit: UnitOfWork, context: Context) -> PledgeOut:
        command = PostPledge(pledge_id, body.loan_id, body.registration_number)
        return PledgeOut.of(post_pledge(unit, context, command))

    return await commit(parts, principal, key, request, body, run, status=200)


@router.post("/pledges/{pledge_id}/void", response_model=PledgeOut)
async def void(
    pledge_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give a reservation up, as either party."""

    def run(unit: UnitOfWork, context: Context) -> PledgeOut:
        return PledgeOut.of(void_pledge(unit, context, pledge_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/pledges/{pledge_id}/expiry", response_model=PledgeOut)
async def expire(
    pledge_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """End a reservation that has lapsed, as either party."""

    def run(unit: UnitOfWork, context: Context) -> PledgeOut:
        return PledgeOut.of(expire_pledge(unit, context, pledge_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/pledges/{pledge_id}/release", response_model=PledgeOut)
async def release(
    pledge_id: Id,
    body: ReleaseIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Return pledged credits to the pledgor, as the lender, if what remains covers the debt."""

    def run(unit: UnitOfWork, context: Context) -> PledgeOut:
        return PledgeOut.of(release_pledge(unit, context, pledge_id, Carbon(body.quantity_kg)))

    return await commit(parts, principal, key, request, body, run, status=200)


@router.post("/pledges/{pledge_id}/disposal", status_code=201, response_model=OfferOut)
async def dispose(
    pledge_id: Id,
    body: DisposalIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Offer pledged credits for sale, as the lender, when coverage or an uncured margin call allows it."""

    def run(unit: UnitOfWork, context: Context) -> OfferOut:
        command = OfferCollateral(
            pledge_id, body.buyer_id, Carbon(body.quantity_kg), Price(body.price_fen_per_tonne), body.expires_at
        )
        return OfferOut.of(offer_collateral(unit, context, command), context.at)

    return await commit(parts, principal, key, request, body, run)


@router.post("/pledges/{pledge_id}/auctions", status_code=201, response_model=AuctionOut)
async def dispose_by_auction(
    pledge_id: Id,
    body: DisposalAuctionIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Put pledged credits up for a falling-price auction, as the lender, when coverage or an uncured call allows it."""

    def run(unit: UnitOfWork, context: Context) -> AuctionOut:
        command = AuctionCollateral(
            pledge_id,
            Carbon(body.quantity_kg),
            Price(body.start_fen_per_tonne),
            Price(body.decrement_fen_per_tonne),
            body.step_seconds,
            body.opens_at,
            body.closes_at,
        )
        return shown_auction(unit, context, auction_collateral(unit, context, command).terms.auction_id)

    return await commit(parts, principal, key, request, body, run)


@router.post("/decisions", status_code=201, response_model=DecisionOut)
async def decide(
    body: ApplicationIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Decide a customer's application from its score and the credits it reserved for the calling bank."""
    require_kind(principal, "bank")

    def run(unit: UnitOfWork, context: Context) -> DecisionOut:
        credit = usable_assessment(parts, unit.connection, body.inquiry_id, context.actor.id)
        command = Apply(
            borrower_id=body.borrower_id,
            product=body.product,
            amount=Money(body.amount_fen),
            tenor_days=body.tenor_days,
            pledge_ids=tuple(body.pledge_ids),
            credit=credit,
            security_ids=tuple(body.security_ids),
        )
        return DecisionOut.of(decide_application(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/decisions")
def list_decisions(parts: PartsDep, principal: PrincipalDep) -> list[DecisionOut]:
    """Decisions that the caller made or that concern it, newest first."""
    with parts.reading() as connection:
        found = UnitOfWork(connection).lending.decisions(principal.organisation_id)
    return [DecisionOut.of(record) for record in found]


@router.post("/loans", status_code=201, response_model=LoanOut)
async def disburse(
    body: LoanIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Draw an approved decision: pledges are posted, the debt is booked and the money paid out, in one commit."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        command = Disburse(body.decision_id, Money(body.amount_fen), body.registration_number)
        return LoanOut.of(disburse_loan(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/loans")
def list_loans(parts: PartsDep, principal: PrincipalDep) -> list[LoanOut]:
    """Loans that the caller gave or took, as they stand now."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        loans = unit.lending.loans(organisation_id=principal.organisation_id)
        return [LoanOut.of(standing) for standing in look_at(unit, parts.parameters, loans, parts.clock())]


@router.get("/loans/{loan_id}")
def show_loan(loan_id: Id, parts: PartsDep, principal: PrincipalDep) -> LoanOut:
    """One loan of the caller as it stands now: debt, coverage, margin call and what would cure it."""
    with parts.reading() as connection:
        context = parts.context(principal)
        standing = stand(UnitOfWork(connection), context, loan_id)
        context.require_party(standing.stored.loan.lender, standing.stored.loan.borrower)
        return LoanOut.of(standing)


@router.post("/loans/{loan_id}/accruals", response_model=LoanOut)
async def accrue(
    loan_id: Id, body: AccrualIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Book interest up to a day, as the lender."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        accrue_loan(unit, context, loan_id, body.on)
        return LoanOut.of(stand(unit, context, loan_id))

    return await commit(parts, principal, key, request, body, run, status=200)


@router.post("/loans/{loan_id}/repayments", status_code=201, response_model=RepaymentOut)
async def repay(
    loan_id: Id, body: RepaymentIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Repay from the borrower's settlement balance; a margin call that this cures is closed."""

    def run(unit: UnitOfWork, context: Context) -> RepaymentOut:
        amount = Money(body.amount_fen)
        done = repay_loan(unit, context, loan_id, amount, value_on=body.value_on, external_id=body.external_id)
        return RepaymentOut(
            penal_fen=done.allocation.penal.fen,
            interest_fen=done.allocation.interest.fen,
            principal_fen=done.allocation.principal.fen,
            loan=LoanOut.of(done.standing),
        )

    return await commit(parts, principal, key, request, body, run)


@router.post("/revaluations", response_model=LoanBook)
async def revalue_book(request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep) -> Response:
    """Mark the calling bank's active loans now: margin calls that are due are made, cured ones closed."""
    require_kind(principal, "bank")

    def run(unit: UnitOfWork, context: Context) -> LoanBook:
        looked = revalue(unit, context, bank_id=context.actor.id)
        return LoanBook(loans=[LoanOut.of(standing) for standing in looked])

    return await commit(parts, principal, key, request, None, run, status=200)


@router.get("/margin-calls")
def list_margin_calls(parts: PartsDep, principal: PrincipalDep) -> list[CallOut]:
    """Margin calls on loans that the caller gave or took, newest first."""
    with parts.reading() as connection:
        return [CallOut.of(found) for found in UnitOfWork(connection).lending.calls(principal.organisation_id)]
