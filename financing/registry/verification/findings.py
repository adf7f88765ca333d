"""A verifier's finding on a period: raised → answered by the owner → closed by the verifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from financing.base.errors import FindingsOpen, InvalidState

Severity = Literal["clarification", "corrective_action"]


@dataclass(frozen=True, slots=True)
class VerifierFinding:
    """`answer` is the owner's, `closing` the verifier's last word."""

    finding_id: str
    monitoring_period_id: str
    verifier: str
    severity: Severity
    text: str
    raised_at: datetime
    answer: str = ""
    answered_at: datetime | None = None
    closing: str = ""
    closed_at: datetime | None = None

    @property
    def state(self) -> Literal["open", "answered", "closed"]:
        if self.closed_at is not None:
            return "closed"
        return "open" if self.answered_at is None else "answered"


def answered(finding: VerifierFinding, text: str, at: datetime) -> VerifierFinding:
    """The owner's answer; it may be given again until the finding is closed. Raises `InvalidState`."""
    if finding.state == "closed":
        raise InvalidState("the finding is closed", finding_id=finding.finding_id)
    return replace(finding, answer=text, answered_at=at)


def closed(finding: VerifierFinding, text: str, at: datetime) -> VerifierFinding:
    """Raises `InvalidState` unless the owner has answered; a corrective action is closed with words."""
    if finding.state != "answered":
        raise InvalidState(f"the finding is {finding.state}, not answered", finding_id=finding.finding_id)
    if finding.severity == "corrective_action" and not text:
        raise InvalidState("a corrective action is closed with what was checked", finding_id=finding.finding_id)
    return replace(finding, closing=text, closed_at=at)


def require_all_closed(findings: Iterable[VerifierFinding]) -> None:
    """Raise `FindingsOpen` naming what is not closed."""
    waiting = [finding.finding_id for finding in findings if finding.state != "closed"]
    if waiting:
        raise FindingsOpen("findings are open", finding_ids=waiting)
