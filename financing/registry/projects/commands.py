"""Register a project with its meters, pinned to the text of a methodology version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from financing.base.context import Context
from financing.base.errors import NotFound, ReadingRejected
from financing.base.quantities import Period
from financing.registry.metering.commands import service_key_of
from financing.registry.metering.store import MeterKey
from financing.registry.methodology.commands import archive, require_approved
from financing.registry.methodology.definition import Methodology
from financing.registry.oversight.overlap_guard import guard_project
from financing.registry.projects.model import (
    Declarations,
    Location,
    Project,
    require_new_project,
)
from financing.registry.store import Meter
from financing.registry.unit import RegistryUnit


@dataclass(frozen=True, slots=True)
class NewMeter:
    meter_id: str
    measured_by: str
    interval_minutes: int
    role: str = ""
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class RegisterProject:
    """What a developer states about a project. The owner is whoever registers.

    A meter's `role` may be left out where the methodology has one; without a `public_key` the service keeps its key.
    """

    code: str
    name: str
    methodology: str
    methodology_version: int
    capacity_w: int | None
    grid_connected_on: date
    crediting_period: Period
    location: Location
    meters: tuple[NewMeter, ...]
    declarations: Declarations
    choices: tuple[tuple[str, str], ...] = ()
    developed_by: tuple[str, ...] = ()


def register_project(unit: RegistryUnit, context: Context, command: RegisterProject) -> Project:
    """Register a project of the actor, pinned to an approved methodology version.

    Raises `NotPermitted`, `AlreadyExists`, `ParameterMissing`, `MethodologyNotApproved`, `NotFound` for a choice or a
    meter's part that the methodology does not have, and what `Project` itself refuses.
    """
    context.require_kind("developer")
    methodology = require_approved(unit, context, command.methodology, command.methodology_version)
    project = Project(
        project_id=context.new_id("prj"),
        code=command.code,
        owner=context.actor.id,
        name=command.name,
        methodology=command.methodology,
        methodology_version=command.methodology_version,
        capacity_w=command.capacity_w,
        grid_connected_on=command.grid_connected_on,
        crediting_period=command.crediting_period,
        location=command.location,
        meter_ids=tuple(meter.meter_id for meter in command.meters),
        declarations=command.declarations,
        meter_roles=_roles(methodology, command.meters),
        choices=tuple(sorted(methodology.variant(dict(command.choices)).items())),
        methodology_sha256=methodology.file.version_hash,
        developed_by=command.developed_by,
    )
    require_new_project(project, unit.registry.clashing_projects(project))
    guard_project(unit, project)
    for meter in command.meters:
        unit.organisations.require_kind(meter.measured_by, "grid")
    for organisation_id in command.developed_by:
        unit.organisations.get(organisation_id)
    meters = [
        Meter(meter.meter_id, project.project_id, meter.measured_by, meter.interval_minutes) for meter in command.meters
    ]
    archive(unit, context, [(methodology.file.file, methodology.file.version_hash)])
    unit.registry.add_project(project, meters, context.at)
    for meter in command.meters:
        unit.metering.add_key(_key(context, meter), context.at)
    return project


def _roles(methodology: Methodology, meters: tuple[NewMeter, ...]) -> tuple[tuple[str, str], ...]:
    roles, rule = methodology.file.roles, methodology.file.monitoring
    only = next(iter(roles)) if len(roles) == 1 else ""
    found = tuple((meter.meter_id, meter.role or only) for meter in meters)
    given = {role for _, role in found}
    if given != set(roles):
        raise NotFound(
            "the project's meters have the parts that the methodology names", parts=sorted(roles), given=sorted(given)
        )
    for meter in meters:
        if rule is not None and meter.interval_minutes not in rule.interval_minutes_allowed:
            raise ReadingRejected(
                "the methodology does not allow this metering interval",
                interval_minutes=meter.interval_minutes,
                allowed=rule.interval_minutes_allowed,
            )
    return found


def _key(context: Context, meter: NewMeter) -> MeterKey:
    if meter.public_key is not None:
        return MeterKey(meter.meter_id, meter.public_key, "meter")
    return MeterKey(meter.meter_id, context.signer.public_key(service_key_of(meter.meter_id)), "service")
