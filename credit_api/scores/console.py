"""A bank's customers: consent, score inquiry and its answer, the log."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import ValidationError

from credit_api.console import charts
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, PostDep
from credit_api.http.paging import page_by_id
from credit_api.http.routing import Router
from credit_api.scores.consents import record_signed
from credit_api.scores.inquiries import inquiries, own_inquiry
from credit_api.scores.schemas import ConsentIn, ScoreIn, ScoreOut
from credit_api.scores.scoring import ask_score, with_reasons
from federated.consent.record import ConsentRecord, Purpose
from federated.errors import DataMissing
from financing.base.commands import Id
from financing.base.context import Context
from financing.base.storage.paging import Page as Rows
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)
PAGE = 25
ABOUT = 20


@router.get("/console/scores")
def customers(page: PageDep, subject: Annotated[str, Query(max_length=64)] = "") -> Response:
    """The bank's own customers by id; `subject` starts the list at an id."""
    bank = page.principal("bank")
    subject = subject.strip()
    page.note_read("customers")
    try:
        network = page.parts.network
    except DataMissing:
        return page.render("customers.html", network=None)
    if subject:
        first = network.customers(bank.organisation_id, PAGE, _before(subject))
        subjects = Rows([each for each in first if each.startswith(subject)])
    else:
        read = partial(network.customers, bank.organisation_id)
        subjects = page_by_id(page.window("customers", PAGE), read, lambda subject_id: subject_id)
    with page.parts.reading() as connection:
        scored = UnitOfWork(connection).organisations.scored()
    return page.render(
        "customers.html",
        network=network,
        subject=subject,
        subjects=subjects,
        firms={each.subject_id: each.id for each in scored},
        total=network.customer_count(bank.organisation_id),
        consents=network.consent_count(bank.organisation_id, page.parts.clock()),
        borrowers=[each for each in scored if network.bank_node(bank.organisation_id).has_file(each.subject_id or "")],
    )


def _before(subject: str) -> str:
    """A text that sorts just before every id that starts with `subject`."""
    return subject[:-1] + chr(max(ord(subject[-1]) - 1, 0)) + "\U0010ffff"


@router.get("/console/scores/{subject_id}")
def customer(page: PageDep, subject_id: Id) -> Response:
    """One customer: consents, and an inquiry under one of them."""
    return customer_page(page, subject_id)


def customer_page(page: Page, subject_id: str) -> Response:
    bank = page.principal("bank").organisation_id
    page.note_read("customer", subject_id)
    at = page.parts.clock()
    network = page.parts.network
    with page.parts.reading() as connection:
        asked = inquiries(connection, bank_id=bank, subject_id=subject_id, window=page.window("inquiries", ABOUT))
        firm = UnitOfWork(connection).organisations.of_subject(subject_id)
    consents = sorted(network.consents_of(subject_id, bank), key=lambda each: each.valid_from, reverse=True)
    usable = [each for each in consents if each.withdrawn_at is None and each.valid_from <= at < each.valid_until]
    return page.render(
        "customer.html",
        subject_id=subject_id,
        firm=firm,
        has_file=network.bank_node(bank).has_file(subject_id),
        consents=consents,
        usable=usable,
        asked=asked,
        at=at,
        purposes=list(Purpose),
        gateway=page.parts.settings.score_gateway,
    )


@router.post("/console/scores/{subject_id}/consents")
def give_consent(post: PostDep, subject_id: Id) -> Response:
    """Record what the customer signed, at the bank's node and at every grid company's."""
    page = post.page
    page.principal("bank")

    def effect(context: Context) -> ConsentRecord:
        try:
            given = ConsentIn.model_validate_json(post.document("signed"))
        except ValidationError:
            raise FieldInvalid("signed: this is no signed consent", "signed") from None
        if given.subject_id != subject_id:
            raise FieldInvalid("signed: this is another customer's consent", "signed")
        return record_signed(page.parts, context.actor.id, given)

    return post.commit_effect(
        "give_consent",
        effect,
        to=f"/console/scores/{subject_id}#ask",
        flash="consent_recorded",
        again=lambda again: customer_page(again, subject_id),
    )


@router.post("/console/scores/{subject_id}/withdrawals/{consent_id}")
def withdraw_consent(post: PostDep, subject_id: Id, consent_id: Id) -> Response:
    """Withdraw a consent everywhere: the next score under it is refused."""
    page = post.page
    page.principal("bank")

    def effect(context: Context) -> ConsentRecord:
        bank = context.actor.id
        return page.parts.network.withdraw_consent(consent_id, bank, context.at, by=bank)

    return post.commit_effect(
        "withdraw_consent",
        effect,
        to=f"/console/scores/{subject_id}",
        flash="consent_withdrawn",
        again=lambda again: customer_page(again, subject_id),
    )


@router.post("/console/scores/{subject_id}/inquiries")
def ask(post: PostDep, subject_id: Id) -> Response:
    """Ask the network for a score. Every inquiry is logged, a refused one too."""
    page = post.page
    principal = page.principal("bank")

    def effect(_context: Context) -> ScoreOut:
        post.text("purpose")
        purpose = next(iter(post.choices("purpose", Purpose)))
        asked = ScoreIn(subject_id=subject_id, consent_id=post.text("consent_id"), purpose=purpose)
        return ask_score(page.parts, principal, asked)

    return post.commit_effect(
        "ask_score",
        effect,
        to=lambda answer: f"/console/inquiries/{answer.inquiry_id}",
        flash="score_answered",
        again=lambda again: customer_page(again, subject_id),
    )


@router.get("/console/inquiries")
def log(page: PageDep) -> Response:
    """Who was asked about, when, why, and what was answered."""
    bank = page.principal("bank")
    page.note_read("inquiries")
    with page.parts.reading() as connection:
        asked = inquiries(connection, bank_id=bank.organisation_id, window=page.window("inquiries"))
    return page.render("inquiries.html", asked=asked)


@router.get("/console/inquiries/{inquiry_id}")
def answer(page: PageDep, inquiry_id: Id) -> Response:
    """The answer to one inquiry, as it was given."""
    bank = page.principal("bank")
    with page.parts.reading() as connection:
        inquiry = own_inquiry(connection, inquiry_id, bank.organisation_id)
        firm = UnitOfWork(connection).organisations.of_subject(inquiry.subject_id)
    page.note_read("inquiry", inquiry.subject_id)
    refused = inquiry.outcome == "refused"
    given = None if refused else ScoreOut.model_validate(with_reasons(page.parts, inquiry).answer)
    return page.render(
        "inquiry.html",
        inquiry=inquiry,
        answer=given,
        gauge=charts.gauge(given.score) if given is not None and given.score is not None else None,
        firm=firm,
        current=given is not None and given.valid_until is not None and page.parts.clock() < given.valid_until,
    )
