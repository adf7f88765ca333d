"""The verifier's statement on a monitoring period, and what it must agree with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from financing.base.errors import ConflictOfInterest, StatementMismatch
from financing.base.quantities import Carbon, Energy, require_utc


@dataclass(frozen=True, slots=True)
class VerificationStatement:
    """What `verifier` states: the readings (by commitment), total and reduction it verified, and its opinion."""

    statement_id: str
    monitoring_period_id: str
    verifier: str
    opinion: Literal["positive", "negative"]
    commitment: str
    generation: Energy
    reduction: Carbon
    remarks: str
    signed_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "signed_at", require_utc(self.signed_at))


@dataclass(frozen=True, slots=True)
class Verifiable:
    """The facts of a submitted period that a statement must repeat."""

    monitoring_period_id: str
    owner: str
    commitment: str
    generation: Energy
    reduction: Carbon
    submitted_at: datetime


def statement_id(period_id: str, verifier: str, signed_at: datetime) -> str:
    """The same for whoever asks for the text to sign and for who sends it signed: one statement a period stands."""
    return f"ver_{hashlib.sha256(f'{period_id} {verifier} {signed_at.isoformat()}'.encode()).hexdigest()[:20]}"


STATEMENT_DOMAIN = "tanxin-verification-statement-v1"


def statement_document(statement: VerificationStatement) -> dict[str, str | int]:
    """What the verifier signs (`STATEMENT_DOMAIN`)."""
    return {
        "statement_id": statement.statement_id,
        "monitoring_period_id": statement.monitoring_period_id,
        "verifier": statement.verifier,
        "opinion": statement.opinion,
        "commitment": statement.commitment,
        "generation_wh": statement.generation.wh,
        "reduction_kg": statement.reduction.kg,
        "remarks": statement.remarks,
        "signed_at": statement.signed_at.isoformat(),
    }


def require_statement_covers(statement: VerificationStatement, submitted: Verifiable) -> None:
    """Raise `ConflictOfInterest` if the verifier owns the project, `StatementMismatch` naming what differs."""
    if statement.verifier == submitted.owner:
        raise ConflictOfInterest("a project is not verified by its owner", verifier=statement.verifier)
    stated = (statement.monitoring_period_id, statement.commitment, statement.generation, statement.reduction)
    facts = (submitted.monitoring_period_id, submitted.commitment, submitted.generation, submitted.reduction)
    names = ("monitoring_period_id", "commitment", "generation", "reduction")
    differing = [name for name, said, fact in zip(names, stated, facts, strict=True) if said != fact]
    if differing:
        raise StatementMismatch(f"the statement differs in {', '.join(differing)}", fields=differing)
    if statement.signed_at < submitted.submitted_at:
        raise StatementMismatch("the statement was signed before the period was submitted", fields=["signed_at"])
