"""Ask the federated network for a score and log the inquiry before it is answered, refusals included."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.trace import current
from credit_api.http.auth.principal import Principal
from credit_api.scores.inquiries import Inquiry, assessment_of, inquiry_of, log_inquiry
from credit_api.scores.schemas import ScoreIn, ScoreOut
from federated.consent.record import Purpose
from federated.errors import FederatedError
from federated.serving import ScoreQuery
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.unit import UnitOfWork


def ask_score(parts: Parts, principal: Principal, asked: ScoreIn) -> ScoreOut:
    """Score a customer of the calling bank. The answer leaves only after the inquiry is committed to the log.

    Raises what `Network.score` refuses; the refusal is logged with its code.
    """
    at, inquiry_id = parts.clock(), parts.new_id("inq")
    query = ScoreQuery(principal.organisation_id, asked.subject_id, asked.consent_id, asked.purpose, at)
    try:
        answer = ScoreOut.told(inquiry_id, asked, parts.network.score(query), at)
    except FederatedError as refusal:
        _log(parts, principal, asked, inquiry_id, "refused", {"code": refusal.code}, at)
        raise
    _log(parts, principal, asked, inquiry_id, answer.answer, answer.model_dump(mode="json"), at)
    return answer


def _log(
    parts: Parts,
    principal: Principal,
    asked: ScoreIn,
    inquiry_id: str,
    outcome: str,
    answer: dict[str, Any],
    at: datetime,
) -> None:
    inquiry = Inquiry(
        inquiry_id=inquiry_id,
        bank_id=principal.organisation_id,
        subject_id=asked.subject_id,
        consent_id=asked.consent_id,
        purpose=asked.purpose.value,
        outcome=outcome,
        answer=answer,
        asked_at=at,
    )
    event = AuditEvent.of(
        principal,
        at,
        "ask_score",
        "refused" if outcome == "refused" else "committed",
        code=answer["code"] if outcome == "refused" else "",
        concerns=asked.subject_id,
        object_id=inquiry_id,
    )

    def log(unit: UnitOfWork) -> None:
        log_inquiry(unit.connection, inquiry)
        parts.audit.record(unit, event)

    parts.writer.execute(log)
    current().told = True


def usable_assessment(parts: Parts, connection: Connection, inquiry_id: str, bank_id: str) -> CreditAssessment | NoFile:
    """An inquiry's answer for a decision made now: its consent must still stand, for the purpose it was asked for.

    Raises what `inquiry_of` refuses, and `ConsentWithdrawn`, `ConsentExpired` and their kin.
    """
    inquiry = inquiry_of(connection, inquiry_id, bank_id)
    purpose = Purpose(inquiry.purpose)
    parts.network.usable_consent(inquiry.consent_id, bank_id, inquiry.subject_id, purpose, parts.clock())
    return assessment_of(inquiry)
