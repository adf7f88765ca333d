"""Ask the federated network for a score and log the inquiry before it is answered, refusals included."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from credit_api.app.errors import GatewayOff
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.trace import current
from credit_api.http.auth.principal import Principal
from credit_api.organisations.machines import SERVICE, register_node
from credit_api.scores.inquiries import Inquiry, log_inquiry
from credit_api.scores.schemas import ScoreIn, ScoreOut
from credit_api.scores.statements import stored_statement
from federated.errors import FederatedError
from federated.nodes.statements import shows
from federated.serving import ScoreQuery
from financing.lending.unit import UnitOfWork


def ask_score(parts: Parts, principal: Principal, asked: ScoreIn) -> ScoreOut:
    """Score a customer of the calling bank. The answer leaves only after the inquiry is committed to the log.

    The node that signed it is registered with it, where its bank's people registered none (`register_node`). Raises
    `GatewayOff`, and what `Network.score` refuses; that refusal is logged with its code.
    """
    if not parts.settings.score_gateway:
        raise GatewayOff("this service asks for no scores: ask the bank's own node, and decide by its statement")
    at, inquiry_id = parts.clock(), parts.new_id("inq")
    query = ScoreQuery(principal.organisation_id, asked.subject_id, asked.consent_id, asked.purpose, at)
    try:
        answer = ScoreOut.told(inquiry_id, asked, parts.network.score(query), at)
    except FederatedError as refusal:
        _log(parts, principal, asked, inquiry_id, "refused", {"code": refusal.code}, at)
        raise
    # Reasons pass through to who asked. The bank's node keeps them; this service stores none.
    kept = answer.model_dump(mode="json", exclude={"reasons"})
    _log(parts, principal, asked, inquiry_id, answer.answer, kept, at)
    return answer


def with_reasons(parts: Parts, inquiry: Inquiry) -> Inquiry:
    """An inquiry with the reasons of its answer, which the bank's node keeps; null where that does not tell them, or
    tells others than it signed. Answers of before there were statements have theirs."""
    if not inquiry.answer.get("statement"):
        return inquiry
    told = None
    # A row that somebody spoilt, and a node that is not here, does not hold the others up.
    with suppress(FederatedError):
        said = stored_statement(inquiry.answer["statement"]).statement
        shown = parts.network.bank_node(inquiry.bank_id).shown_reasons(said.statement_id)
        told = [asdict(each) for each in shown.reasons] if shows(said, shown) else None
    return inquiry.model_copy(update={"answer": inquiry.answer | {"reasons": told}})


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
        if (signed := answer.get("statement")) is not None:
            machine = register_node(unit, inquiry.bank_id, signed["public_key"], parts.new_id, at)
            if machine is not None:
                told = replace(event, action="register_machine", person=SERVICE, concerns_id="", object_id=machine)
                parts.audit.record(unit, told)

    parts.writer.execute(log)
    current().told = True
