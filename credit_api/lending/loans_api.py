"""Decisions, loans and what happens to them, and margin calls."""

from __future__ import annotations

from typing import Self

from fastapi import Response
from pydantic import Field, model_validator

from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.lending.schemas import (
    CallOut,
    DecisionOut,
    LoanEventOut,
    LoanOut,
    RepaymentOut,
    RevaluedOut,
    ScheduleOut,
)
from credit_api.scores import statements
from federated.nodes.statements import SignedStatement
from financing.base.commands import Id, use_case
from financing.base.context import Context
from financing.lending.business_day.intraday import revalue_loans
from financing.lending.collateral.standing import loan_coverage, loan_coverages
from financing.lending.loans.commands import (
    ReviewTarget,
    history_of,
    reverse_payment,
    review_target,
    schedule_of,
    service_loan,
)
from financing.lending.loans.events import Servicing
from financing.lending.loans.loan import LoanState
from financing.lending.origination.approving import CheckDecision, check_decision
from financing.lending.origination.commands import (
    AccrueLoan,
    ApplyForLoan,
    DisburseLoan,
    DrawTranche,
    RepayLoan,
    accrue_loan,
    decide_application,
    disburse_loan,
    draw_tranche,
    repay_loan,
)
from financing.lending.origination.decision import Approval, DecisionRecord
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["lending"], responses=PROBLEMS)


class DecideApplication(ApplyForLoan):
    """An application with the score that it rests on: the answer to an inquiry of this bank about the borrower, or what
    this bank's node signed of it. One of the two."""

    inquiry_id: Id | None = None
    statement: SignedStatement | None = Field(
        default=None, description="as `tanxin node score --json` prints it, or as an inquiry's answer has it"
    )

    @model_validator(mode="after")
    def _rests_on_one(self) -> Self:
        if (self.inquiry_id is None) == (self.statement is None):
            raise ValueError("an application rests on an inquiry or on a statement, and on one of them")
        return self


@router.post("/decisions", status_code=201, response_model=DecisionOut)
async def decide(body: DecideApplication, call: CallDep) -> Response:
    """Decide a customer's application from its score and the credits it reserved for the calling bank. The score is an
    inquiry's answer or a statement of the bank's node: its signature is verified, and it is kept with the decision."""
    return await call.commit(decide_from_answer.given(call.parts, body), answer=DecisionOut.of)


@use_case
def decide_from_answer(unit: UnitOfWork, context: Context, parts: Parts, command: DecideApplication) -> DecisionRecord:
    """Where the two stories meet: what the bank's node signed becomes what a decision rests on, and is kept with it."""
    bank, at = context.actor.id, context.at
    if command.statement is not None:
        support = statements.of_statement(parts, unit, command.statement, bank, at)
    else:
        support = statements.of_inquiry(parts, unit, str(command.inquiry_id), bank, at)
    record = decide_application(unit, context, command, support.credit)
    if support.proof is not None:
        statements.keep(parts, unit, context, support.proof, record.decision_id)
    return record


@router.get("/decisions")
def list_decisions(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[DecisionOut]:
    """Decisions that the caller made or that concern it, newest first."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "decisions"))
    with parts.reading() as connection:
        records = UnitOfWork(connection).decisions.of(principal.organisation_id, paging.window)
    return paging.answers(records, DecisionOut.of)


@router.post("/decisions/{decision_id}/approval", status_code=201, response_model=Approval)
async def approve(decision_id: Id, body: CheckDecision, call: CallDep) -> Response:
    """Confirm or refuse a decision as another person of the bank; what a machine decided, as no administrator."""
    return await call.commit(check_decision.given(decision_id, body), answer=lambda approval: approval)


@router.post("/loans", status_code=201, response_model=LoanOut)
async def disburse(body: DisburseLoan, call: CallDep) -> Response:
    """Draw an approved decision: pledges are posted, the debt is booked and the money paid out, in one commit."""
    return await call.commit(disburse_loan.given(body), answer=LoanOut.of)


@router.get("/loans")
def list_loans(
    parts: PartsDep, principal: PrincipalDep, paging: PagingDep, state: LoanState | None = None
) -> list[LoanOut]:
    """Loans that the caller gave or took, newest first, as they stand now."""
    with parts.reading() as connection:
        unit, at = UnitOfWork(connection), parts.clock()
        loans = unit.loans.of(organisation_id=principal.organisation_id, state=state, window=paging.window)
        standings = loans.map(lambda rows: list(loan_coverages(unit, parts.parameters, rows, at)))
    return paging.answers(standings, LoanOut.of)


@router.get("/loans/{loan_id}")
def show_loan(loan_id: Id, parts: PartsDep, principal: PrincipalDep) -> LoanOut:
    """One loan of the caller as it stands now: debt, coverage, margin call and what would cure it."""
    with parts.reading() as connection:
        context = parts.context(principal)
        standing = loan_coverage(UnitOfWork(connection), context, loan_id)
        context.require_party(standing.stored.loan.lender, standing.stored.loan.borrower)
        return LoanOut.of(standing)


@router.get("/loans/{loan_id}/schedule")
def show_schedule(loan_id: Id, parts: PartsDep, principal: PrincipalDep) -> ScheduleOut:
    """Instalments that fell due and those to come."""
    with parts.reading() as connection:
        schedule = schedule_of(UnitOfWork(connection), parts.context(principal), loan_id)
    return ScheduleOut.joined(schedule, loan_id=loan_id)


@router.get("/loans/{loan_id}/events")
def list_events(loan_id: Id, parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[LoanEventOut]:
    """What happened to a loan, in the order of entry; reversed events stay."""
    with parts.reading() as connection:
        events = history_of(UnitOfWork(connection), parts.context(principal), loan_id, paging.window)
    return paging.answers(events, LoanEventOut.of)


@router.post("/loans/{loan_id}/events", status_code=201, response_model=LoanOut)
async def service(loan_id: Id, body: Servicing, call: CallDep) -> Response:
    """Change a loan's terms, freeze it, restructure it or write it off, as the lender; recover, as the borrower."""
    return await call.commit(service_loan.given(loan_id, body), answer=LoanOut.of)


@router.post("/loans/{loan_id}/events/{sequence}/reversal", response_model=LoanOut)
async def reverse(loan_id: Id, sequence: int, call: CallDep) -> Response:
    """Take a repayment back, as the lender: the books become those without it, in an entry of its own."""
    return await call.commit(reverse_payment.given(loan_id, sequence), answer=LoanOut.of, status=200)


@router.post("/loans/{loan_id}/tranches", status_code=201, response_model=LoanOut)
async def draw(loan_id: Id, body: DrawTranche, call: CallDep) -> Response:
    """Pay out a further part of what was committed, as the lender."""
    return await call.commit(draw_tranche.given(loan_id, body), answer=LoanOut.of)


@router.post("/loans/{loan_id}/target-reviews", status_code=201, response_model=LoanOut)
async def review(loan_id: Id, body: ReviewTarget, call: CallDep) -> Response:
    """Let the rate of a sustainability-linked loan follow its target, as the lender; the evidence is kept with it."""
    return await call.commit(review_target.given(loan_id, body), answer=LoanOut.of)


@router.post("/loans/{loan_id}/accruals", response_model=LoanOut)
async def accrue(loan_id: Id, body: AccrueLoan, call: CallDep) -> Response:
    """Book interest up to a day, as the lender."""
    return await call.commit(accrue_loan.given(loan_id, body), answer=LoanOut.of, status=200)


@router.post("/loans/{loan_id}/repayments", status_code=201, response_model=RepaymentOut)
async def repay(loan_id: Id, body: RepayLoan, call: CallDep) -> Response:
    """Repay from the borrower's settlement balance; a margin call that this cures is closed."""
    return await call.commit(repay_loan.given(loan_id, body), answer=RepaymentOut.of)


@router.post("/revaluations", response_model=RevaluedOut)
async def revalue_all(call: CallDep) -> Response:
    """Mark the calling bank's active loans now: margin calls that are due are made, cured ones closed."""
    return await call.commit(revalue_loans.given(), answer=RevaluedOut.of, status=200)


@router.get("/margin-calls")
def list_margin_calls(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[CallOut]:
    """Margin calls on loans that the caller gave or took, newest first."""
    with parts.reading() as connection:
        calls = UnitOfWork(connection).calls.of(principal.organisation_id, paging.window)
    return paging.answers(calls, CallOut.of)
