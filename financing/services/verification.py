"""From readings to an accepted monitoring period: submit, then a verifier's statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from financing.metering.plausibility import Finding, Site, check_readings
from financing.metering.totals import MeteredTotal, total_of
from financing.methodology.pv import pv_reduction
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import Carbon, Energy, Period, business_date
from financing.registry import monitoring
from financing.registry.monitoring import MonitoringPeriod
from financing.registry.verification import VerificationStatement
from financing.services.context import Context
from financing.services.overlap import free_certificates, freeze_certificates, guard_claim
from financing.services.registration import PLAUSIBILITY


@dataclass(frozen=True, slots=True)
class SubmitPeriod:
    project_id: str
    period: Period
    green_power_sold: Energy


@dataclass(frozen=True, slots=True)
class StatePeriod:
    """A verifier repeats what it verified; a statement on other readings or another total does not bind."""

    monitoring_period_id: str
    opinion: Literal["positive", "negative"]
    commitment: str
    generation: Energy
    reduction: Carbon
    remarks: str


def submit_period(unit: UnitOfWork, context: Context, command: SubmitPeriod) -> MonitoringPeriod:
    """Claim a period: total the readings, check them, and apply the pinned methodology as it holds on the day of claim.

    Raises `NotPermitted` unless the actor owns the project, and what `monitoring.submit` refuses.
    """
    project = unit.registry.project(command.project_id)
    context.require_party(project.owner)
    period = command.period
    guard_claim(unit, project, period, command.green_power_sold)
    on = business_date(context.at)
    methodology = context.parameters.pv_methodology(project.methodology_version, on)
    limits = context.parameters.plausibility(PLAUSIBILITY, on)
    site = Site(project.capacity_w, project.location.latitude_deg, project.location.longitude_deg)
    totals: list[MeteredTotal] = []
    findings: list[Finding] = []
    for meter in unit.registry.meters(project.project_id):
        batch = unit.registry.readings(meter, period)
        totals.append(total_of(batch, period))
        findings.extend(check_readings(batch, period, site, limits, methodology))
    reduction = pv_reduction(
        generation=_sum_generation(totals),
        export=_sum_export(totals),
        green_power_sold=command.green_power_sold,
        period=period,
        methodology=methodology,
        factor=context.parameters.grid_factor(methodology.factor_key, on),
    )
    claim = monitoring.submit(
        monitoring_period_id=context.new_id("mon"),
        project=project,
        totals=tuple(totals),
        reduction=reduction,
        findings=tuple(findings),
        existing=unit.registry.claims_on(project.meter_ids, period),
        at=context.at,
    )
    unit.registry.add_period(claim)
    freeze_certificates(unit, project.meter_ids, period, claim.monitoring_period_id)
    return claim


def state_period(unit: UnitOfWork, context: Context, command: StatePeriod) -> MonitoringPeriod:
    """Accept or reject a submitted period on a verifier's statement.

    Raises `NotPermitted`, `ConflictOfInterest`, `StatementMismatch`, `PlausibilityFailed`, `InvalidState`.
    """
    context.require_kind("verifier")
    claim = unit.registry.period(command.monitoring_period_id)
    statement = VerificationStatement(
        statement_id=context.new_id("ver"),
        monitoring_period_id=claim.monitoring_period_id,
        verifier=context.actor.id,
        opinion=command.opinion,
        commitment=command.commitment,
        generation=command.generation,
        reduction=command.reduction,
        remarks=command.remarks,
        signed_at=context.at,
    )
    decided = (
        monitoring.accept(claim, statement) if command.opinion == "positive" else monitoring.reject(claim, statement)
    )
    unit.registry.save_period(decided)
    if command.opinion == "negative":
        free_certificates(unit, claim.monitoring_period_id)
    return decided


def _sum_generation(totals: list[MeteredTotal]) -> Energy:
    return sum((total.generation for total in totals), Energy(0))


def _sum_export(totals: list[MeteredTotal]) -> Energy | None:
    """The exported energy, known only if every meter has an export register."""
    total = Energy(0)
    for metered in totals:
        if metered.export is None:
            return None
        total += metered.export
    return total
