"""The overlap guard at work: what is on record elsewhere, and what a claim does to green-electricity certificates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from financing.base.commands import Command, Id, Measure, Moment, Text, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, ProjectSuspended
from financing.base.quantities import Energy, Period
from financing.registry.oversight.overlap import (
    ExternalClaim,
    GreenCertificate,
    Subject,
    SubjectKind,
    require_certifiable,
    require_no_rival,
    require_sold_energy_left_out,
    require_unregistered,
    to_freeze,
)
from financing.registry.projects.model import Project
from financing.registry.regions import own_region, require_own_meter, require_own_project
from financing.registry.unit import RegistryUnit

GREEN_POWER = "green_power_sold"  # the input of a methodology that leaves sold certificates out


SomeWattHours = Annotated[Energy, Measure(Energy, "_wh", 1_000, "0.001 kWh")]


class RecordExternalClaim(Command):
    starts_at: Moment
    ends_at: Moment
    scheme: Literal["CCER", "VCS", "GS", "CDM", "GEC", "ETS", "PHCER"]
    subject_kind: SubjectKind
    subject_id: Id
    reference: Text


class RecordCertificate(Command):
    starts_at: Moment
    ends_at: Moment
    certificate_number: Id
    meter_id: Id
    energy_wh: SomeWattHours
    sold: bool = Field(default=False, strict=True)


class LinkEnergy(Command):
    """Energy of `source_meter` reaches another meter (a charging pile) or a vehicle."""

    source_meter: Id
    sink_kind: Literal["meter", "vehicle"]
    sink_id: Id


@use_case
def record_external_claim(unit: RegistryUnit, context: Context, command: RecordExternalClaim) -> ExternalClaim:
    """Put a registration elsewhere, or a place inside the ETS, on record. Raises as `put_on_record`."""
    subject = Subject(command.subject_kind, command.subject_id)
    period = Period(command.starts_at, command.ends_at)
    return put_on_record(unit, context, command.scheme, subject, period, command.reference)


def put_on_record(
    unit: RegistryUnit, context: Context, scheme: str, subject: Subject, period: Period, reference: str
) -> ExternalClaim:
    """Keep what another scheme has registered, in that scheme's own words.

    A meter or a site that is registered here is its own region's affair. What nobody here knows, and a vehicle, has no
    region: any region's registry may. Raises `NotPermitted`, `AlreadyExists`.
    """
    _require_own_subject(unit, context, subject)
    claim = ExternalClaim(context.new_id("ext"), scheme, subject, period, reference)
    unit.guard.add_external(claim, recorded_by=context.actor.id, at=context.at)
    return claim


@use_case
def record_certificate(unit: RegistryUnit, context: Context, command: RecordCertificate) -> GreenCertificate:
    """Put a green-electricity certificate on record, as the meter's grid company, or its region's registry.

    Raises `NotPermitted`, `AlreadyExists`, `QuantityOutOfRange`, and `DoubleClaim` when credits are claimed on the
    meter's energy of that time already.
    """
    meter = unit.projects.meter(command.meter_id)
    require_own_meter(unit, context, meter)
    state = "sold" if command.sold else "available"
    period = Period(command.starts_at, command.ends_at)
    certificate = GreenCertificate(command.certificate_number, meter.meter_id, period, command.energy_wh, state)
    require_certifiable(certificate, context.at)
    for claim in unit.periods.overlapping(meter.project_id, [meter.meter_id], period):
        if claim.state.value != "rejected":
            require_sold_energy_left_out(claim.period, [certificate], claim.reduction.energy_of(GREEN_POWER))
    unit.guard.add_certificate(certificate, recorded_by=context.actor.id, at=context.at)
    return certificate


@use_case
def sell_certificate(unit: RegistryUnit, context: Context, certificate_number: str) -> GreenCertificate:
    """Record that a certificate was sold, as who may put it on record.

    Raises `NotFound`, `NotPermitted`, and `InvalidState` once credits are claimed on its energy.
    """
    certificate = unit.guard.certificate(certificate_number)
    require_own_meter(unit, context, unit.projects.meter(certificate.meter_id))
    if certificate.state != "available":
        raise InvalidState(f"the certificate is {certificate.state}", certificate_number=certificate_number)
    unit.guard.set_certificate(certificate_number, "sold", None)
    return unit.guard.certificate(certificate_number)


@use_case
def link_energy(unit: RegistryUnit, context: Context, command: LinkEnergy) -> None:
    """Declare that energy of a meter reaches another or a vehicle, as its grid company or its region's registry.

    A link stands in the way of claims at both ends, so a registry declares none that ends in another region. Raises
    `NotFound`, `NotPermitted`, `AlreadyExists`.
    """
    meter = unit.projects.meter(command.source_meter)
    require_own_meter(unit, context, meter)
    sink = Subject(command.sink_kind, command.sink_id)
    if context.actor.kind == "registry":
        _require_own_subject(unit, context, sink)
    unit.guard.add_link(meter.meter_id, sink, declared_by=context.actor.id, at=context.at)


def guard_project(unit: RegistryUnit, project: Project) -> None:
    """Refuse a project whose meters or site are registered elsewhere. Raises `DoubleClaim`."""
    require_unregistered(project.crediting_period, unit.guard.external(_subjects(project)))


def guard_claim(
    unit: RegistryUnit,
    project: Project,
    period: Period,
    green_power_sold: Energy,
    vehicles: Sequence[str] = (),
) -> None:
    """Refuse a claim on what is claimed elsewhere. Raises `ProjectSuspended`, `DoubleClaim`."""
    if unit.custody.suspension(project.project_id) is not None:
        raise ProjectSuspended("the project is suspended", project_id=project.project_id)
    subjects = [*_subjects(project), *(Subject("vehicle", each) for each in vehicles)]
    require_unregistered(period, unit.guard.external(subjects))
    certificates = unit.guard.certificates(project.meter_ids)
    require_sold_energy_left_out(period, certificates, green_power_sold)
    to_freeze(period, certificates)
    require_no_rival(period, unit.guard.rivals(project.meter_ids, vehicles))


def claim_vehicles(unit: RegistryUnit, claim_id: str, vehicles: Sequence[str]) -> None:
    """Put on record which vehicles a claim of charged energy is about."""
    unit.guard.add_vehicles(claim_id, vehicles)


def freeze_certificates(unit: RegistryUnit, meter_ids: Sequence[str], period: Period, claim_id: str) -> None:
    """Freeze the unsold certificates on a claim's energy."""
    for each in to_freeze(period, unit.guard.certificates(meter_ids)):
        unit.guard.set_certificate(each.certificate_number, "frozen", claim_id)


def settle_certificates(unit: RegistryUnit, claim_id: str) -> None:
    """Cancel what the claim froze: credits were issued on that energy."""
    unit.guard.settle(claim_id, "cancelled")


def free_certificates(unit: RegistryUnit, claim_id: str) -> None:
    """Give back what the claim froze: it was rejected."""
    unit.guard.settle(claim_id, "available")


def _require_own_subject(unit: RegistryUnit, context: Context, subject: Subject) -> None:
    """Raise `NotPermitted` where a subject is registered here and lies in another registry's region."""
    own_region(context)
    project = unit.projects.about(subject.kind, subject.subject_id)
    if project is not None:
        require_own_project(context, project)


def _subjects(project: Project) -> list[Subject]:
    return [*(Subject("meter", each) for each in project.meter_ids), Subject("site", project.code)]
