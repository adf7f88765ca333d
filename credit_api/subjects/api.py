"""What a firm sees and does about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from fastapi import Response
from pydantic import Field

from credit_api.audit.model import AuditEvent
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import ResponseModel, read
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.http.tables import InquiryMade
from credit_api.scores.inquiries import Inquiry, inquiries
from credit_api.scores.schemas import ConsentOut, ScoreTold, WithdrawalIn
from credit_api.scores.scoring import with_reasons
from credit_api.subjects.rights import NodeUse, consents_of, own_subject, uses_of, withdraw_own
from federated.consent.record import ConsentRecord
from federated.consent.uses import Action
from financing.base.commands import Id
from financing.base.context import Context

router = Router(prefix="/v1/subject", tags=["subject"], responses=PROBLEMS)


class InquiryAboutMe(InquiryMade, ScoreTold):
    """Who asked, when, why, under which consent, and what was answered. A refused inquiry names why it was refused."""

    bank_id: str
    outcome: Literal["score", "no_file", "refused"]
    refusal: str | None = None

    @classmethod
    def of(cls, inquiry: Inquiry) -> Self:
        answer = inquiry.answer
        return cls.joined(
            inquiry,
            refusal=answer.get("code") if inquiry.outcome == "refused" else None,
            score=answer.get("score"),
            grade=answer.get("grade"),
            reasons=answer.get("reasons", []),
            electricity=answer.get("electricity"),
            model_version=answer.get("model_version"),
        )


class UseOfMyData(ResponseModel):
    """One use, as logged at the node of the organisation that holds the data.

    `subjects` is of how many firms data were used in the same act, this one included.
    """

    held_by: str
    number: int = Field(description="of the entry in that node's log")
    at: datetime
    action: Action
    on_behalf_of: str = read("organisation")
    purpose: str | None
    consent_id: str
    outcome: str = Field(description="`answered`, `no_file`, or the code of a refusal; of a withdrawal its signature")
    subjects: int = read("size")

    @classmethod
    def of(cls, node_use: NodeUse) -> Self:
        use = node_use.use
        return cls.joined(node_use, use, purpose=use.purpose or None)


class UsesOfMyData(ResponseModel):
    """`cannot_tell` names nodes that are down, or whose log was tampered with: what they did is not known here."""

    uses: list[UseOfMyData]
    cannot_tell: list[str]


@router.get("/inquiries")
def list_inquiries_about_me(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[InquiryAboutMe]:
    """Every inquiry about the calling firm by any bank, refused ones too, newest first."""
    subject = own_subject(parts, principal)
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "own_inquiries", concerns=subject))
    with parts.reading() as connection:
        page = inquiries(connection, subject_id=subject, window=paging.window)
    return paging.answers(page, lambda each: InquiryAboutMe.of(with_reasons(parts, each)))


@router.get("/uses")
def list_uses_of_my_data(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> UsesOfMyData:
    """What every bank's and grid company's node did with the calling firm's data, and what it refused, newest first."""
    subject = own_subject(parts, principal)
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "own_uses", concerns=subject))
    uses, silent = uses_of(parts, subject, paging.window)
    return UsesOfMyData(uses=paging.answers(uses, UseOfMyData.of), cannot_tell=list(silent))


@router.get("/consents")
def list_my_consents(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ConsentOut]:
    """The calling firm's consents towards all banks, withdrawn ones too, by bank and id."""
    subject = own_subject(parts, principal)
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "own_consents", concerns=subject))
    consents = consents_of(parts, subject, paging.window)
    return paging.answers(consents, ConsentOut.model_validate)


@router.post("/consents/{consent_id}/withdrawal", response_model=ConsentOut)
async def withdraw_my_consent(consent_id: Id, call: CallDep, body: WithdrawalIn | None = None) -> Response:
    """Withdraw one of the calling firm's own consents everywhere. The next score under it is refused."""

    def effect(context: Context) -> ConsentRecord:
        subject = own_subject(call.parts, call.principal)
        signature = bytes.fromhex(body.signature) if body else b""
        return withdraw_own(call.parts, subject, consent_id, context.at, signature)

    return await call.commit_effect(
        "withdraw_my_consent", effect, answer=ConsentOut.model_validate, body=body, status=200
    )
