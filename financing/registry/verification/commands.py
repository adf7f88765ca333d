"""From readings to an accepted monitoring period: submit, findings, then a verifier's signed statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Literal

from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.quantities import (
    Carbon,
    Energy,
    Period,
    business_date,
)
from financing.base.signing import message_of
from financing.registry.metering.commands import measure, stated
from financing.registry.metering.findings import Finding
from financing.registry.metering.totals import MeteredTotal
from financing.registry.methodology.commands import archive, pinned
from financing.registry.methodology.definition import Methodology
from financing.registry.methodology.engine import Declared, Metered, calculate
from financing.registry.methodology.resolving import Tables, resolve
from financing.registry.methodology.units import ENERGY
from financing.registry.oversight.overlap_guard import (
    GREEN_POWER,
    claim_vehicles,
    free_certificates,
    freeze_certificates,
    guard_claim,
)
from financing.registry.projects.model import Project
from financing.registry.store import Meter
from financing.registry.unit import RegistryUnit
from financing.registry.verification import monitoring
from financing.registry.verification.findings import require_all_closed
from financing.registry.verification.independence import (
    Accreditation,
    Stakes,
    require_accredited,
    require_independent,
)
from financing.registry.verification.monitoring import MonitoringPeriod
from financing.registry.verification.statement import (
    STATEMENT_DOMAIN,
    VerificationStatement,
    statement_document,
)
from financing.registry.verification.store import SignedStatement

GREEN = GREEN_POWER


@dataclass(frozen=True, slots=True)
class SubmitPeriod:
    """`declared` are (input, exact value in the methodology's unit, evidence); `vehicles` those that were charged."""

    project_id: str
    period: Period
    green_power_sold: Energy
    declared: tuple[tuple[str, str, str], ...] = ()
    vehicles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatePeriod:
    """A verifier repeats what it verified; a statement on other readings or another total does not bind."""

    monitoring_period_id: str
    opinion: Literal["positive", "negative"]
    commitment: str
    generation: Energy
    reduction: Carbon
    remarks: str


def submit_period(unit: RegistryUnit, context: Context, command: SubmitPeriod) -> MonitoringPeriod:
    """Claim a period: total the readings at their grid nodes, check them, and apply the pinned methodology with the
    parameters that hold on the day of claim.

    Raises `NotPermitted` unless the actor owns the project, and what `calculate` and `monitoring.submit` refuse.
    """
    project = unit.registry.project(command.project_id)
    context.require_party(project.owner)
    on = business_date(context.at)
    methodology = pinned(unit, context, project)
    meters = unit.registry.meters(project.project_id)
    measured = [measure(context, project, methodology, meter, command.period) for meter in meters]
    resolved = resolve(methodology, Tables.of(context.parameters), dict(project.choices), on)
    reduction = calculate(
        methodology,
        choices=dict(project.choices),
        metered=_metered(project, methodology, meters, measured),
        declared=_declared(methodology, command),
        parameters=resolved.values,
        parameter_hashes=resolved.hashes,
        period=command.period,
    )
    guard_claim(unit, project, command.period, reduction.energy_of(GREEN), command.vehicles)
    claim = monitoring.submit(
        monitoring_period_id=context.new_id("mon"),
        project=project,
        totals=tuple(total for total, _ in measured),
        reduction=reduction,
        findings=tuple(finding for _, findings in measured for finding in findings),
        existing=unit.registry.claims_of(project.project_id, project.meter_ids, command.period),
        at=context.at,
    )
    archive(unit, context, resolved.hashes)
    unit.registry.add_period(claim)
    claim_vehicles(unit, claim.monitoring_period_id, command.vehicles)
    freeze_certificates(unit, project.meter_ids, command.period, claim.monitoring_period_id)
    for meter, (total, findings) in zip(meters, measured, strict=True):
        unit.metering.add_statement(stated(context, claim.monitoring_period_id, meter, total, findings))
    return claim


def state_period(unit: RegistryUnit, context: Context, command: StatePeriod) -> MonitoringPeriod:
    """Accept or reject a submitted period on a verifier's statement, signed with its key.

    Raises `NotPermitted` for another verifier's period, `AccreditationMissing`, `ConflictOfInterest`, `FindingsOpen`,
    `StatementMismatch`, `PlausibilityFailed`, `InvalidState`.
    """
    claim = unit.registry.period(command.monitoring_period_id)
    require_verifier(unit, context, claim)
    require_all_closed(unit.verification.findings(claim.monitoring_period_id))
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
    document = statement_document(statement)
    signature = context.signer.sign(context.actor.id, message_of(STATEMENT_DOMAIN, document))
    unit.registry.save_period(decided)
    if command.opinion == "negative":
        free_certificates(unit, claim.monitoring_period_id)
    unit.verification.add_statement(
        SignedStatement(statement.statement_id, claim.monitoring_period_id, document, signature)
    )
    return decided


def require_verifier(unit: RegistryUnit, context: Context, claim: MonitoringPeriod) -> None:
    """Raise unless the actor may verify this period: assigned where someone is, accredited, and independent."""
    context.require_kind("verifier")
    assignment = unit.verification.assignment(claim.monitoring_period_id)
    if assignment is not None and assignment.verifier_id != context.actor.id:
        raise NotPermitted("the period is assigned to another verifier", verifier=assignment.verifier_id)
    project = unit.registry.project(claim.project_id)
    require_suitable(unit, context, project, context.actor.id)


def require_suitable(unit: RegistryUnit, context: Context, project: Project, verifier: str) -> None:
    """Raise `AccreditationMissing` or `ConflictOfInterest` unless `verifier` may verify this project today."""
    stakes = Stakes(project.owner, project.developed_by, unit.verification.holders(project.project_id))
    require_independent(verifier, stakes, unit.verification.relations())
    on = business_date(context.at)
    require_accredited(verifier, project.methodology, on, accreditations(unit, context, on))


def accreditations(unit: RegistryUnit, context: Context, on: date) -> list[Accreditation]:
    """Those of the dated file and those that the registry recorded."""
    filed = [
        Accreditation(record.key, code, record.valid_from, record.valid_until, record.source.title)
        for record in context.parameters.certifiers.records
        if record.holds_on(on)
        for code in record.methodologies
    ]
    return filed + unit.verification.accreditations()


def _metered(
    project: Project,
    methodology: Methodology,
    meters: list[Meter],
    measured: list[tuple[MeteredTotal, tuple[Finding, ...]]],
) -> dict[str, Metered]:
    """Sums by the meters' part; an export is known only if every meter of the part has the register."""
    only = next(iter(methodology.file.roles), "")
    found: dict[str, Metered] = {}
    for meter, (total, _) in zip(meters, measured, strict=True):
        role = project.role_of(meter.meter_id, only)
        before = found.get(role, Metered(Energy(0), Energy(0)))
        export = None if before.export is None or total.export is None else before.export + total.export
        found[role] = Metered(before.energy + total.generation, export)
    return found


def _declared(methodology: Methodology, command: SubmitPeriod) -> dict[str, Declared]:
    found = {name: Declared(Fraction(value), evidence) for name, value, evidence in command.declared}
    wanted = methodology.units.get(GREEN)
    if GREEN not in found and wanted is not None and wanted.dimension == ENERGY:
        found[GREEN] = Declared(Fraction(command.green_power_sold.wh) / wanted.scale)
    elif command.green_power_sold:
        raise NotPermitted("the methodology does not ask for green power", methodology=methodology.tag)
    return found
