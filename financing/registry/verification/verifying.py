"""The verifier's desk: assignments with a due date, findings and their answers, accreditations, declared relations."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from financing.base.commands import Command, Id, Remark, Text, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, InvalidState, NotPermitted, PeriodInvalid
from financing.base.quantities import business_date
from financing.registry.methodology.commands import Code
from financing.registry.regions import own_region, require_own_project
from financing.registry.unit import RegistryUnit
from financing.registry.verification.commands import require_suitable, require_verifier
from financing.registry.verification.findings import Severity, VerifierFinding, answered, closed
from financing.registry.verification.independence import Accreditation, Relation
from financing.registry.verification.model import Assignment
from financing.registry.verification.monitoring import MonitoringPeriod, MonitoringState


class AssignVerifier(Command):
    verifier_id: Id
    due_on: date


class RaiseFinding(Command):
    severity: Severity
    text: Remark


class AnswerFinding(Command):
    text: Remark


class CloseFinding(Command):
    text: str = Field(default="", max_length=4000, pattern=r"^[^\x00]*$")


class RecordAccreditation(Command):
    organisation_id: Id
    methodology: Code
    valid_from: date
    valid_until: date | None = None
    source: Text


class DeclareRelation(Command):
    first_id: Id
    second_id: Id
    source: Text


@use_case
def assign_verifier(unit: RegistryUnit, context: Context, period_id: str, command: AssignVerifier) -> Assignment:
    """Give a submitted period to a certifier, as the registry of the project's region.

    Raises `NotPermitted`, `NotFound`, `InvalidState`, `PeriodInvalid` for a day that has passed,
    `AccreditationMissing`, `ConflictOfInterest`.
    """
    claim = unit.periods.get(period_id)
    project = unit.projects.get(claim.project_id)
    require_own_project(context, project)
    _require_submitted(claim)
    unit.organisations.require_kind(command.verifier_id, "verifier")
    if command.due_on < business_date(context.at):
        raise PeriodInvalid("the due day has passed", due_on=str(command.due_on))
    require_suitable(unit, context, project, command.verifier_id)
    assignment = Assignment(period_id, command.verifier_id, command.due_on)
    unit.verification.assign(assignment, by=context.actor.id, at=context.at)
    return assignment


@use_case
def raise_finding(unit: RegistryUnit, context: Context, period_id: str, command: RaiseFinding) -> VerifierFinding:
    """Raises what `require_verifier` raises, and `InvalidState` unless the period is submitted."""
    claim = unit.periods.get(period_id)
    _require_submitted(claim)
    require_verifier(unit, context, claim)
    finding = VerifierFinding(
        finding_id=context.new_id("fnd"),
        monitoring_period_id=claim.monitoring_period_id,
        verifier_id=context.actor.id,
        severity=command.severity,
        text=command.text,
        answer="",
        closing="",
        raised_at=context.at,
    )
    unit.verification.add_finding(finding)
    return finding


@use_case
def answer_finding(unit: RegistryUnit, context: Context, finding_id: str, command: AnswerFinding) -> VerifierFinding:
    """The owner answers. Raises `NotFound`, `NotPermitted`, `InvalidState`."""
    finding = unit.verification.finding(finding_id)
    context.require_party(unit.periods.get(finding.monitoring_period_id).owner)
    changed = answered(finding, command.text, context.at)
    unit.verification.save_finding(changed)
    return changed


@use_case
def close_finding(unit: RegistryUnit, context: Context, finding_id: str, command: CloseFinding) -> VerifierFinding:
    """The verifier who raised it closes it. Raises `NotFound`, `NotPermitted`, `InvalidState`."""
    finding = unit.verification.finding(finding_id)
    context.require_party(finding.verifier_id)
    changed = closed(finding, command.text, context.at)
    unit.verification.save_finding(changed)
    return changed


@use_case
def record_accreditation(unit: RegistryUnit, context: Context, command: RecordAccreditation) -> Accreditation:
    """Record a certifier's scope, as the registry of any region: a certifier is accredited for the whole country.

    Raises `NotPermitted`, `NotFound`, `PeriodInvalid`, `AlreadyExists`.
    """
    own_region(context)
    accreditation = Accreditation(
        command.organisation_id, command.methodology, command.valid_from, command.valid_until, command.source
    )
    unit.organisations.require_kind(accreditation.organisation_id, "verifier")
    if accreditation.valid_until is not None and accreditation.valid_until <= accreditation.valid_from:
        raise PeriodInvalid("an accreditation ends after it starts", valid_from=str(accreditation.valid_from))
    same = (accreditation.organisation_id, accreditation.methodology, accreditation.valid_from)
    if any(same == (each.organisation_id, each.methodology, each.valid_from) for each in _recorded(unit)):
        raise AlreadyExists("this accreditation is recorded", organisation_id=accreditation.organisation_id)
    unit.verification.add_accreditation(accreditation, by=context.actor.id, at=context.at)
    return accreditation


@use_case
def declare_relation(unit: RegistryUnit, context: Context, command: DeclareRelation) -> Relation:
    """Two organisations are of one group, as one of them or a registry declares; it is never taken back.

    Organisations are of no region: any region's registry may.

    Raises `NotPermitted`, `NotFound`, `InvalidState` for an organisation with itself, `AlreadyExists`.
    """
    if context.actor.kind == "registry":
        own_region(context)
    elif context.actor.id not in (command.first_id, command.second_id):
        raise NotPermitted("a relation is declared by one of the two, or the registry", actor=context.actor.id)
    for organisation_id in (command.first_id, command.second_id):
        unit.organisations.get(organisation_id)
    first, second = sorted((command.first_id, command.second_id))
    if first == second:
        raise InvalidState("an organisation is not related to itself", organisation_id=first)
    ordered = Relation(first, second)
    if ordered in unit.verification.relations():
        raise AlreadyExists("this relation is declared", first_id=first, second_id=second)
    unit.verification.add_relation(ordered, command.source, by=context.actor.id, at=context.at)
    return ordered


def _recorded(unit: RegistryUnit) -> list[Accreditation]:
    return [each for _, each in unit.verification.accreditations()]


def _require_submitted(claim: MonitoringPeriod) -> None:
    if claim.state is not MonitoringState.SUBMITTED:
        raise InvalidState(f"the period is {claim.state}", monitoring_period_id=claim.monitoring_period_id)
