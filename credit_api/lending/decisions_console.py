"""Deciding an application from a score and reserved credits, and drawing an approved decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.credits.holdings_console import products_on
from credit_api.http.routing import Router
from credit_api.lending.loans_api import DecideApplication, decide_from_answer
from credit_api.scores.inquiries import Inquiry, inquiries
from federated.nodes.statements import SignedStatement
from financing.base.commands import Id
from financing.base.quantities import business_date
from financing.base.storage.paging import Window
from financing.lending.collateral.pledge import StoredPledge
from financing.lending.origination.approving import needs_second_person
from financing.lending.origination.commands import DisburseLoan, disburse_loan
from financing.lending.unit import UnitOfWork
from financing.valuation.marks import marks_of, value_lots
from financing.valuation.pools import PoolValue, value_pool

router = Router(include_in_schema=False)
DEFAULT_TENOR_DAYS, ANSWERS = 180, 20
# How many borrowers, pledges and securities a form lets its reader choose from.
CHOICES = 200


@router.get("/console/desk/decide")
def decide(page: PageDep, borrower: Annotated[str, Query(max_length=64)] = "") -> Response:
    """The application form for one borrower."""
    return decide_page(page, borrower)


def decide_page(page: Page, borrower: str) -> Response:
    bank = page.principal("bank").organisation_id
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        borrowers = unit.pledges.pledgors(bank, at, CHOICES)
        borrower = borrower or (borrowers[0] if borrowers else "")
        firm = page.organisation(borrower)
        subject = firm.subject_id if firm else None
        asked = _answers(connection, bank, subject) if subject else []
        offered = unit.pledges.reserved_for(bank, pledgor_id=borrower, at=at, window=Window(CHOICES))
        pool = value_lots(unit, page.parts.parameters, (stored.pledge.lot for stored in offered), at)
        each_value = _values(unit, page, offered)
        securities = unit.securities.offered(bank, borrower, Window(CHOICES))
    return page.render(
        "decide.html",
        borrower=borrower,
        borrowers=borrowers,
        firm=firm,
        offered=offered,
        values=each_value,
        pool=pool if isinstance(pool, PoolValue) else None,
        answers=asked,
        products=products_on(page),
        securities=securities,
        tenor=DEFAULT_TENOR_DAYS,
        gateway=page.parts.settings.score_gateway,
    )


def _answers(connection: Connection, bank: str, subject: str) -> Sequence[Inquiry]:
    """This bank's last answered inquiries about a subject."""
    return inquiries(connection, bank_id=bank, subject_id=subject, answered=True, window=Window(ANSWERS))


def _values(unit: UnitOfWork, page: Page, offered: Sequence[StoredPledge]) -> dict[str, PoolValue]:
    """The value of each pledge that has one, by pledge id; each class is marked once."""
    at = page.parts.clock()
    classes = page.parts.parameters.classes_on(business_date(at))
    marks = marks_of(unit, page.parts.parameters, (stored.pledge.lot.asset_class for stored in offered), at)
    pools = {stored.pledge.pledge_id: value_pool([stored.pledge.lot], marks, classes) for stored in offered}
    return {pledge_id: pool for pledge_id, pool in pools.items() if isinstance(pool, PoolValue)}


@router.post("/console/desk/decisions")
def take_decision(post: PostDep) -> Response:
    """Decide: every outcome is stored and shown with its reasons, a decline too."""
    return post.commit(
        lambda: decide_from_answer.given(post.page.parts, _application(post)),
        to=lambda record: f"/console/decisions/{record.decision_id}",
        flash="decided",
        again=lambda page: decide_page(page, post.text("borrower_id", required=False)),
    )


def _application(post: Post) -> DecideApplication:
    """What the form says: it rests on what the bank's node signed where that was pasted, else on the chosen answer."""
    if not post.fields.get("statement", [""])[0].strip():
        return post.read(DecideApplication, statement=None, inquiry_id=post.text("inquiry_id"))
    try:
        signed = TypeAdapter(SignedStatement).validate_json(post.document("statement"))
    except ValidationError:
        raise FieldInvalid("statement: this is no signed statement", "statement") from None
    return post.read(DecideApplication, statement=signed, inquiry_id=None)


@router.get("/console/decisions/{decision_id}")
def show_decision(page: PageDep, decision_id: Id) -> Response:
    """A decision with its reasons and workings, for the bank and the borrower."""
    return decision_page(page, decision_id)


def decision_page(page: Page, decision_id: str) -> Response:
    context = page.context()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        record = unit.decisions.get(decision_id)
        context.require_party(record.application.lender, record.borrower_id)
        loan_id = unit.loans.of_decision(decision_id)
        pledges = [unit.pledges.get(pledge_id) for pledge_id in record.pledge_ids]
        word = unit.decisions.approval(decision_id)
    return page.render(
        "decision.html",
        record=record,
        decision=record.decision,
        pledges=pledges,
        loan_id=loan_id,
        lender=record.application.lender == context.actor.id,
        word=word,
        waits=record.decision.outcome == "approve" and word is None and needs_second_person(context, record),
        current=record.decision.decided_at <= context.at < record.decision.valid_until,
    )


@router.post("/console/decisions/{decision_id}/loan")
def draw(post: PostDep, decision_id: Id) -> Response:
    """Draw an approved decision: pledges posted, debt booked, money paid out, in one commit."""
    return post.commit(
        lambda: disburse_loan.given(post.read(DisburseLoan, decision_id=decision_id)),
        to=lambda standing: f"/console/loans/{standing.stored.loan.loan_id}",
        flash="disbursed",
        again=lambda page: decision_page(page, decision_id),
    )
