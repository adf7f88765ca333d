"""From readings to an accepted monitoring period: submit, findings, then a verifier's signed statement."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Literal

from pydantic import Field

from financing.base.commands import Command, Id, KilogramsFromZero, Moment, Sha256, SignedAt, WattHours, use_case
from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.quantities import Energy, Period, business_date
from financing.ledger.signing import signed_by_actor
from financing.registry.metering.commands import measure, question_of, stated
from financing.registry.metering.findings import Finding
from financing.registry.metering.node.statement import Question
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
from financing.registry.projects.model import Meter, Project
from financing.registry.unit import RegistryUnit
from financing.registry.verification import monitoring
from financing.registry.verification.findings import require_all_closed
from financing.registry.verification.independence import Accreditation, Stakes, require_accredited, require_independent
from financing.registry.verification.model import SignedStatement
from financing.registry.verification.monitoring import MonitoringPeriod
from financing.registry.verification.statement import (
    STATEMENT_DOMAIN,
    VerificationStatement,
    statement_document,
    statement_id,
)

GREEN = GREEN_POWER


class DeclaredInput(Command):
    """A declared input, exact, in the unit of the methodology, and what it rests on."""

    value: str = Field(pattern=r"^\d{1,15}(\.\d{1,12})?$")
    evidence: str = Field(default="", max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")


class SubmitPeriod(Command):
    project_id: Id
    starts_at: Moment
    ends_at: Moment
    vehicles: list[Id] = Field(default_factory=list, max_length=10_000, description="vehicles that were charged")
    green_power_sold_wh: WattHours = Field(
        default=0, validate_default=True, description="sold as green power or certificates: not claimable"
    )
    declared: dict[Id, DeclaredInput] = Field(default={}, max_length=40)


class StatePeriod(SignedAt):
    """The verifier repeats what it verified, so a statement on other readings or another total cannot bind."""

    opinion: Literal["positive", "negative"]
    commitment: Sha256
    generation_wh: WattHours
    reduction_kg: KilogramsFromZero
    remarks: str = Field(default="", max_length=4000, pattern=r"^[^\x00]*$")


def questions_of(unit: RegistryUnit, context: Context, command: SubmitPeriod) -> list[tuple[Meter, Question]]:
    """What grid nodes are asked for a claim, so that those that are elsewhere can be asked before it is committed.

    Raises `NotPermitted` unless the actor owns the project, `NotFound`.
    """
    project = unit.projects.get(command.project_id)
    context.require_party(project.owner)
    methodology, period = pinned(unit, context, project), Period(command.starts_at, command.ends_at)
    meters = unit.projects.meters(project.project_id)
    return [(meter, question_of(context, project, methodology, meter, period)) for meter in meters]


@use_case
def submit_period(unit: RegistryUnit, context: Context, command: SubmitPeriod) -> MonitoringPeriod:
    """Claim a period: total the readings at their grid nodes, check them, and apply the pinned methodology with the
    parameters that hold on the day of claim.

    Raises `NotPermitted` unless the actor owns the project, and what `calculate` and `monitoring.submit` refuse.
    """
    project = unit.projects.get(command.project_id)
    context.require_party(project.owner)
    on = business_date(context.at)
    period = Period(command.starts_at, command.ends_at)
    methodology = pinned(unit, context, project)
    meters = unit.projects.meters(project.project_id)
    said, measured = [], []
    for meter in meters:
        statement, total, found = measure(context, meter, question_of(context, project, methodology, meter, period))
        said.append(statement)
        measured.append((total, found))
    resolved = resolve(methodology, Tables.of(context.parameters), dict(project.choices), on)
    reduction = calculate(
        methodology,
        choices=dict(project.choices),
        metered=_metered(project, methodology, meters, measured),
        declared=_declared(methodology, command),
        parameters=resolved.values,
        parameter_hashes=resolved.hashes,
        period=period,
    )
    guard_claim(unit, project, period, reduction.energy_of(GREEN), command.vehicles)
    claim = monitoring.submit(
        monitoring_period_id=context.new_id("mon"),
        project=project,
        totals=tuple(total for total, _ in measured),
        reduction=reduction,
        findings=tuple(finding for _, findings in measured for finding in findings),
        existing=unit.periods.overlapping(project.project_id, project.meter_ids, period),
        at=context.at,
    )
    archive(unit, context, resolved.hashes)
    unit.periods.add(claim)
    claim_vehicles(unit, claim.monitoring_period_id, command.vehicles)
    freeze_certificates(unit, project.meter_ids, period, claim.monitoring_period_id)
    for meter, statement in zip(meters, said, strict=True):
        unit.metering.add_statement(stated(unit, context, claim.monitoring_period_id, meter, statement))
    return claim


@use_case
def state_period(unit: RegistryUnit, context: Context, period_id: str, command: StatePeriod) -> MonitoringPeriod:
    """Accept or reject a submitted period on a verifier's statement, signed with its key.

    Raises `NotPermitted` for another verifier's period, `AccreditationMissing`, `ConflictOfInterest`, `FindingsOpen`,
    `StatementMismatch`, `PlausibilityFailed`, `InvalidState`, and what `signed_by_actor` refuses.
    """
    claim = unit.periods.get(period_id)
    require_verifier(unit, context, claim)
    require_all_closed(unit.verification.findings(claim.monitoring_period_id))
    signed_at = command.moment(context.at)
    statement = VerificationStatement(
        statement_id=statement_id(claim.monitoring_period_id, context.actor.id, signed_at),
        monitoring_period_id=claim.monitoring_period_id,
        verifier=context.actor.id,
        opinion=command.opinion,
        commitment=command.commitment,
        generation=command.generation_wh,
        reduction=command.reduction_kg,
        remarks=command.remarks,
        signed_at=signed_at,
    )
    decided = (
        monitoring.accept(claim, statement) if command.opinion == "positive" else monitoring.reject(claim, statement)
    )
    document = statement_document(statement)
    signature = signed_by_actor(unit, context, STATEMENT_DOMAIN, document, command, signed_at=signed_at.isoformat())
    unit.periods.save(decided)
    if command.opinion == "negative":
        free_certificates(unit, claim.monitoring_period_id)
    unit.verification.add_statement(
        SignedStatement(statement.statement_id, claim.monitoring_period_id, document, signature)
    )
    return decided


def require_verifier(unit: RegistryUnit, context: Context, claim: MonitoringPeriod) -> None:
    """Raise unless the actor may verify this period: assigned where someone is, accredited, and independent."""
    assignment = unit.verification.assignment(claim.monitoring_period_id)
    if assignment is not None and assignment.verifier_id != context.actor.id:
        raise NotPermitted("the period is assigned to another verifier", verifier=assignment.verifier_id)
    project = unit.projects.get(claim.project_id)
    require_suitable(unit, context, project, context.actor.id)


def require_suitable(unit: RegistryUnit, context: Context, project: Project, verifier: str) -> None:
    """Raise `AccreditationMissing` or `ConflictOfInterest` unless `verifier` may verify this project today."""
    stakes = Stakes(project.owner, project.developed_by, unit.verification.holders(project.project_id))
    require_independent(verifier, stakes, unit.verification.relations())
    on = business_date(context.at)
    require_accredited(verifier, project.methodology, on, accreditations(unit, context, on))


def accreditations(unit: RegistryUnit, context: Context, on: date) -> list[Accreditation]:
    """Those of the dated file and those that the registry recorded."""
    return accreditations_on_file(context, on) + [each for _, each in unit.verification.accreditations()]


def accreditations_on_file(context: Context, on: date) -> list[Accreditation]:
    """Those of the dated file that hold on a day."""
    return [
        Accreditation(record.key, code, record.valid_from, record.valid_until, record.source.title)
        for record in context.parameters.certifiers.records
        if record.holds_on(on)
        for code in record.methodologies
    ]


def _metered(
    project: Project,
    methodology: Methodology,
    meters: list[Meter],
    measured: list[tuple[MeteredTotal, tuple[Finding, ...]]],
) -> dict[str, Metered]:
    """Sums by the meters' part; an export is known only if every meter of the part has the register."""
    only = next(iter(methodology.file.roles), "")
    sums: dict[str, Metered] = {}
    for meter, (total, _) in zip(meters, measured, strict=True):
        role = project.role_of(meter.meter_id, only)
        before = sums.get(role, Metered(Energy(0), Energy(0)))
        export = None if before.export is None or total.export is None else before.export + total.export
        sums[role] = Metered(before.energy + total.generation, export)
    return sums


def _declared(methodology: Methodology, command: SubmitPeriod) -> dict[str, Declared]:
    declared = {name: Declared(Fraction(each.value), each.evidence) for name, each in sorted(command.declared.items())}
    wanted = methodology.units.get(GREEN)
    if GREEN not in declared and wanted is not None and wanted.dimension == ENERGY:
        declared[GREEN] = Declared(Fraction(command.green_power_sold_wh.wh) / wanted.scale)
    elif command.green_power_sold_wh:
        raise NotPermitted("the methodology does not ask for green power", methodology=methodology.tag)
    return declared
