"""Consents and score inquiries."""

from __future__ import annotations

from functools import partial

from fastapi import Response

from credit_api.audit.model import AuditEvent
from credit_api.http.callers import CallDep, PartsDep, PermittedDep, PrincipalDep
from credit_api.http.fields import ResponseModel
from credit_api.http.paging import PagingDep, page_by_id
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.scores.consents import record_signed
from credit_api.scores.inquiries import inquiries
from credit_api.scores.schemas import ConsentIn, ConsentOut, ScoreIn, ScoreOut, WithdrawalIn
from credit_api.scores.scoring import ask_score, with_reasons
from federated.consent.record import ConsentRecord
from financing.base.commands import Id
from financing.base.context import Context

router = Router(prefix="/v1", tags=["credit"], responses=PROBLEMS)


class CustomerOut(ResponseModel):
    subject_id: str


@router.post("/consents", status_code=201, response_model=ConsentOut)
async def give_consent(body: ConsentIn, call: CallDep) -> Response:
    """Record a consent that its subject signed towards the calling bank, there and at the grid company it names."""

    def effect(context: Context) -> ConsentRecord:
        return record_signed(call.parts, context.actor.id, body)

    return await call.commit_effect("give_consent", effect, answer=ConsentOut.model_validate, body=body)


@router.get("/consents")
def list_consents(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ConsentOut]:
    """Consents towards the calling bank by id."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "consents"))
    read = partial(parts.network.consents, principal.organisation_id)
    consents = page_by_id(paging.window, read, lambda record: record.consent_id)
    return paging.answers(consents, ConsentOut.model_validate)


@router.get("/consents/{consent_id}")
def show_consent(consent_id: Id, parts: PartsDep, principal: PrincipalDep) -> ConsentOut:
    """One consent towards the calling bank."""
    consent = parts.network.consent(consent_id, principal.organisation_id)
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "consent", concerns=consent.subject_id))
    return ConsentOut.model_validate(consent)


@router.post("/consents/{consent_id}/withdrawal", response_model=ConsentOut)
async def withdraw_consent(consent_id: Id, call: CallDep, body: WithdrawalIn | None = None) -> Response:
    """Withdraw a consent everywhere, on the subject's word or with its signature. The next score is refused."""

    def effect(context: Context) -> ConsentRecord:
        bank, signature = context.actor.id, bytes.fromhex(body.signature) if body else b""
        return call.parts.network.withdraw_consent(consent_id, bank, context.at, by=bank, signature=signature)

    return await call.commit_effect("withdraw_consent", effect, answer=ConsentOut.model_validate, body=body, status=200)


@router.get("/customers")
def list_customers(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[CustomerOut]:
    """The calling bank's own customers by subject id."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "customers"))
    read = partial(parts.network.customers, principal.organisation_id)
    customers = page_by_id(paging.window, read, lambda subject_id: subject_id)
    return paging.answers(customers, lambda subject_id: CustomerOut(subject_id=subject_id))


@router.post("/scores")
def score(body: ScoreIn, issuer: PermittedDep) -> ScoreOut:
    """Score one of the calling bank's customers. Every inquiry, refused ones too, is logged before it is answered."""
    parts = issuer.parts
    with parts.reading() as connection:
        issuer.require_live(connection, parts.clock())
    return ask_score(parts, issuer.principal, body)


@router.get("/inquiries")
def list_inquiries(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ScoreOut]:
    """The calling bank's answered inquiries, newest first."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "inquiries"))
    with parts.reading() as connection:
        page = inquiries(connection, bank_id=principal.organisation_id, answered=True, window=paging.window)
    return paging.answers(page, lambda each: ScoreOut.model_validate(with_reasons(parts, each).answer))
