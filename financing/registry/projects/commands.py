"""Register a project with its meters, pinned to the text of a methodology version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from financing.base.commands import Command, Id, Measure, Moment, use_case
from financing.base.context import Context
from financing.base.errors import NotFound, ReadingRejected, SerialInvalid
from financing.base.quantities import Period, business_date
from financing.registry.metering.commands import service_key_of
from financing.registry.metering.model import MeterKey
from financing.registry.methodology.commands import Code, archive, require_approved
from financing.registry.methodology.definition import Methodology
from financing.registry.oversight.overlap_guard import guard_project
from financing.registry.projects.model import Declarations, Location, Meter, NamedPlant, Project, require_new_project
from financing.registry.unit import RegistryUnit

# Codes of projects that credits from other regions are minted under: within these books, and from others.
OF_TRANSFERS = re.compile(r"[IX]\d{8}", re.ASCII)
NameplateWatts = Annotated[int, Measure(int, "_w", 1_000, "0.001 kW", most=10**12)]


class NewMeter(Command):
    """A meter's `role` may be left out where the methodology has one."""

    meter_id: Id
    measured_by: Id = Field(description="the grid company that reads this meter")
    interval_minutes: int = Field(strict=True, ge=1, le=43_200, description="1440 a day, 43200 a calendar month")
    role: str = Field(default="", max_length=40, description="its part, where the methodology has several")
    public_key: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Ed25519; a sandbox keeps the key of a meter that has none"
    )


class RegisterProject(NamedPlant, Command):
    """What a developer states about a project. The owner is whoever registers."""

    methodology: Code = "PV"
    methodology_version: int = Field(default=1, strict=True, ge=1)
    choices: dict[Id, Id] = Field(default={}, max_length=20, description="variant of the methodology, by choice")
    capacity_w: NameplateWatts | None = Field(default=None, description="needed where it is metered")
    crediting_from: Moment
    crediting_until: Moment
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    meters: Annotated[list[NewMeter], Field(max_length=100)] = Field(default=[])
    developed_by: Annotated[list[Id], Field(max_length=20)] = Field(default=[])
    owns_the_reduction: bool = Field(strict=True)
    not_registered_elsewhere: bool = Field(strict=True, description="not under CCER, VCS, GS or another scheme")
    outside_ets_boundary: bool = Field(strict=True)


@use_case
def register_project(unit: RegistryUnit, context: Context, command: RegisterProject) -> Project:
    """Register a project of the actor, pinned to an approved methodology version, where a registry keeps it today.

    Raises `NotPermitted`, `AlreadyExists`, `ParameterMissing` for a version or a region that there is not,
    `MethodologyNotApproved`, `NotFound` for a choice or a meter's part that the methodology does not have, and what
    `Project` itself refuses.
    """
    if OF_TRANSFERS.fullmatch(command.code):
        raise SerialInvalid("codes such as X00000001 and I00000001 are of credits from elsewhere", code=command.code)
    methodology = require_approved(unit, context, command.methodology, command.methodology_version)
    region = context.parameters.region_named(command.region, business_date(context.at))
    project = Project(
        project_id=context.new_id("prj"),
        code=command.code,
        owner=context.actor.id,
        name=command.name,
        methodology=command.methodology,
        methodology_version=command.methodology_version,
        capacity_w=command.capacity_w,
        grid_connected_on=command.grid_connected_on,
        crediting_period=Period(command.crediting_from, command.crediting_until),
        location=Location(region.registry_code, command.latitude_deg, command.longitude_deg),
        meter_ids=tuple(meter.meter_id for meter in command.meters),
        declarations=Declarations(
            command.owns_the_reduction, command.not_registered_elsewhere, command.outside_ets_boundary
        ),
        meter_roles=_roles(methodology, command.meters),
        choices=tuple(sorted(methodology.variant(command.choices).items())),
        methodology_sha256=methodology.file.version_hash,
        developed_by=tuple(command.developed_by),
    )
    require_new_project(project, unit.projects.clashing(project))
    guard_project(unit, project)
    for meter in command.meters:
        unit.organisations.require_kind(meter.measured_by, "grid")
    for organisation_id in command.developed_by:
        unit.organisations.get(organisation_id)
    meters = [
        Meter(meter.meter_id, project.project_id, meter.measured_by, meter.interval_minutes) for meter in command.meters
    ]
    archive(unit, context, [(methodology.file.file, methodology.file.version_hash)])
    unit.projects.add(project, meters, context.at)
    for meter in command.meters:
        # Where readings are handed to the grid company's own node, it knows by which key.
        if meter.public_key is not None or context.nodes.is_here(meter.measured_by):
            unit.metering.add_key(_key(context, meter), context.at)
    return project


def _roles(methodology: Methodology, meters: Sequence[NewMeter]) -> tuple[tuple[str, str], ...]:
    roles, rule = methodology.file.roles, methodology.file.monitoring
    only = next(iter(roles)) if len(roles) == 1 else ""
    parts = tuple((meter.meter_id, meter.role or only) for meter in meters)
    given = {role for _, role in parts}
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
    return parts


def _key(context: Context, meter: NewMeter) -> MeterKey:
    if meter.public_key is not None:
        return MeterKey(meter.meter_id, meter.public_key, "meter")
    return MeterKey(meter.meter_id, context.signer.public_key(service_key_of(meter.meter_id)), "service")
