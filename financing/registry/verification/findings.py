"""A verifier's finding on a period: raised → answered by the owner → closed by the verifier."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, computed_field

from financing.base.errors import FindingsOpen, InvalidState
from financing.base.storage.records import Fact

Severity = Literal["clarification", "corrective_action"]


class Remarks(BaseModel):
    """What a verifier asks: `answer` is the owner's, `closing` the verifier's last word."""

    verifier_id: str
    severity: str
    text: str
    answer: str
    closing: str


class VerifierFinding(Remarks, Fact):
    """A verifier's finding on a period, as it stands."""

    finding_id: str
    monitoring_period_id: str
    raised_at: datetime
    answered_at: datetime | None = None
    closed_at: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> str:
        """open, answered or closed"""
        if self.closed_at is not None:
            return "closed"
        return "open" if self.answered_at is None else "answered"


def answered(finding: VerifierFinding, text: str, at: datetime) -> VerifierFinding:
    """The owner's answer; it may be given again until the finding is closed. Raises `InvalidState`."""
    if finding.state == "closed":
        raise InvalidState("the finding is closed", finding_id=finding.finding_id)
    return finding.model_copy(update={"answer": text, "answered_at": at})


def closed(finding: VerifierFinding, text: str, at: datetime) -> VerifierFinding:
    """Raises `InvalidState` unless the owner has answered; a corrective action is closed with words."""
    if finding.state != "answered":
        raise InvalidState(f"the finding is {finding.state}, not answered", finding_id=finding.finding_id)
    if finding.severity == "corrective_action" and not text:
        raise InvalidState("a corrective action is closed with what was checked", finding_id=finding.finding_id)
    return finding.model_copy(update={"closing": text, "closed_at": at})


def require_all_closed(findings: Iterable[VerifierFinding]) -> None:
    """Raise `FindingsOpen` naming what is not closed."""
    waiting = [finding.finding_id for finding in findings if finding.state != "closed"]
    if waiting:
        raise FindingsOpen("findings are open", finding_ids=waiting)
