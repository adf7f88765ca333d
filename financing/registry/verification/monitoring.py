"""A monitoring period: submitted → accepted | rejected; accepted → issued. Rejected and issued are final."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from financing.base.errors import (
    InvalidState,
    MethodologyInvalid,
    PeriodAlreadyIssued,
    PeriodInvalid,
    PeriodOverlap,
    PlausibilityFailed,
)
from financing.base.quantities import Energy, Period, require_utc
from financing.registry.metering.findings import Finding
from financing.registry.metering.totals import MeteredTotal
from financing.registry.methodology.engine import rederived
from financing.registry.methodology.reduction import InputValue, Reduction
from financing.registry.projects.model import Project
from financing.registry.verification.statement import Verifiable, VerificationStatement, require_statement_covers


class MonitoringState(StrEnum):
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ISSUED = "issued"


class ClaimedProject(BaseModel):
    """What row and answer of a claim share: whose reduction, how far it is, and the readings it commits to."""

    project_id: str
    state: str
    commitment: str


@dataclass(frozen=True, slots=True)
class MonitoringPeriod:
    """The claim of one project for one period: metered totals, reduction, findings, and the verifier's statement."""

    monitoring_period_id: str
    project_id: str
    owner: str
    period: Period
    totals: tuple[MeteredTotal, ...]
    reduction: Reduction
    findings: tuple[Finding, ...]
    submitted_at: datetime
    state: MonitoringState = MonitoringState.SUBMITTED
    statement: VerificationStatement | None = None
    issuance_id: str | None = None

    @property
    def meter_ids(self) -> frozenset[str]:
        return frozenset(total.meter_id for total in self.totals)

    def generation(self) -> Energy:
        return _total_generation(self.totals)

    def commitment(self) -> str:
        return combined_commitment(self.totals, self.reduction.inputs)

    def verifiable(self) -> Verifiable:
        return Verifiable(
            self.monitoring_period_id,
            self.owner,
            self.commitment(),
            self.generation(),
            self.reduction.reduction,
            self.submitted_at,
        )


def combined_commitment(totals: tuple[MeteredTotal, ...], inputs: tuple[InputValue, ...] = ()) -> str:
    """SHA-256 (hex) over the meters' commitments in meter order, one `meter commitment` a line.

    Where declared inputs rest on evidence, a line follows for each: `name value unit evidence`.
    """
    lines = sorted(f"{total.meter_id}\t{total.commitment}\n" for total in totals)
    lines += sorted(f"{each.name}\t{each.value}\t{each.unit}\t{each.evidence}\n" for each in inputs if each.evidence)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def submit(
    *,
    monitoring_period_id: str,
    project: Project,
    totals: tuple[MeteredTotal, ...],
    reduction: Reduction,
    findings: tuple[Finding, ...],
    existing: Iterable[MonitoringPeriod],
    at: datetime,
) -> MonitoringPeriod:
    """A new claim. `existing` are the claims that share a meter with the project.

    Raises `PeriodOverlap` or `PeriodAlreadyIssued` when a meter's time is claimed already, `PeriodInvalid` when the
    period lies outside crediting or the future, `InvalidState` when totals, reduction and project do not belong
    together or the workings do not give the reduction.
    """
    period, at = reduction.period, require_utc(at)
    if {total.meter_id for total in totals} != set(project.meter_ids) or len(totals) != len(project.meter_ids):
        raise InvalidState("there is one total for each of the project's meters", project_id=project.project_id)
    measured = (_total_generation(totals), _total_export(totals) if totals else None)
    if any(total.period != period for total in totals) or measured != (reduction.generation, reduction.export):
        raise InvalidState("the reduction is of other totals", project_id=project.project_id)
    if not _gives_itself(reduction):
        raise InvalidState("the workings do not give the reduction", stated_kg=reduction.reduction.kg)
    if (reduction.methodology, reduction.version) != (project.methodology, project.methodology_version):
        raise InvalidState("the project is pinned to another methodology version", pinned=project.methodology_tag)
    if not project.crediting_period.contains(period):
        raise PeriodInvalid("the period lies outside the crediting period", period=str(period))
    if period.end > at:
        raise PeriodInvalid("the period has not ended", end=str(period.end))
    candidate = MonitoringPeriod(
        monitoring_period_id, project.project_id, project.owner, period, totals, reduction, findings, at
    )
    require_unclaimed(candidate, existing)
    return candidate


def require_unclaimed(candidate: MonitoringPeriod, existing: Iterable[MonitoringPeriod]) -> None:
    """One claim per meter and time: raise if a claim that was not rejected overlaps `candidate` on any meter."""
    for other in existing:
        shared = candidate.meter_ids & other.meter_ids
        related = shared or candidate.project_id == other.project_id
        if other.state is MonitoringState.REJECTED or not related or not candidate.period.overlaps(other.period):
            continue
        context = {"meter_ids": sorted(shared), "claimed_by": other.monitoring_period_id}
        if other.state is MonitoringState.ISSUED and other.period == candidate.period:
            raise PeriodAlreadyIssued("credits were issued for this meter and period", **context)
        raise PeriodOverlap("the period overlaps a claim on the same meter or project", **context)


def accept(claim: MonitoringPeriod, statement: VerificationStatement) -> MonitoringPeriod:
    """Accept on a positive statement. Raises `InvalidState`, `PlausibilityFailed`, `ConflictOfInterest` or
    `StatementMismatch`."""
    _require_state(claim, MonitoringState.SUBMITTED)
    require_statement_covers(statement, claim.verifiable())
    if statement.opinion != "positive":
        raise InvalidState("a negative statement does not accept a period", statement_id=statement.statement_id)
    errors = [finding.code for finding in claim.findings if finding.severity == "error"]
    if errors:
        raise PlausibilityFailed("the readings carry findings of severity error", findings=errors)
    return replace(claim, state=MonitoringState.ACCEPTED, statement=statement)


def reject(claim: MonitoringPeriod, statement: VerificationStatement) -> MonitoringPeriod:
    """Reject on a negative statement; the meter's time becomes claimable again."""
    _require_state(claim, MonitoringState.SUBMITTED)
    require_statement_covers(statement, claim.verifiable())
    if statement.opinion != "negative":
        raise InvalidState("a positive statement does not reject a period", statement_id=statement.statement_id)
    return replace(claim, state=MonitoringState.REJECTED, statement=statement)


def mark_issued(claim: MonitoringPeriod, issuance_id: str | None) -> MonitoringPeriod:
    """Record that credits were issued, or (None) that all of it was carried over.

    Raises `PeriodAlreadyIssued` the second time, `InvalidState` if not accepted.
    """
    if claim.state is MonitoringState.ISSUED:
        raise PeriodAlreadyIssued("credits were issued for this period", issuance_id=claim.issuance_id)
    _require_state(claim, MonitoringState.ACCEPTED)
    return replace(claim, state=MonitoringState.ISSUED, issuance_id=issuance_id)


def _gives_itself(reduction: Reduction) -> bool:
    try:
        return rederived(reduction) == (reduction.reduction, reduction.buffer)
    except MethodologyInvalid:
        return False


def _total_generation(totals: tuple[MeteredTotal, ...]) -> Energy:
    return sum((total.generation for total in totals), Energy(0))


def _total_export(totals: tuple[MeteredTotal, ...]) -> Energy | None:
    """The exports of all meters; None when one of them has no export register."""
    exports = [total.export for total in totals if total.export is not None]
    return sum(exports, Energy(0)) if len(exports) == len(totals) else None


def _require_state(claim: MonitoringPeriod, needed: MonitoringState) -> None:
    if claim.state is not needed:
        raise InvalidState(
            f"the period is {claim.state}, not {needed}", monitoring_period_id=claim.monitoring_period_id
        )
