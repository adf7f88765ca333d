"""Register a project with its meters, and load what the meters read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from financing.errors import NotPermitted, ReadingRejected
from financing.metering.readings import ReadingBatch, require_within_capacity
from financing.persistence.registry_store import Meter
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import Period, business_date
from financing.registry.projects import Declarations, Location, Project, require_new_project
from financing.services.context import Context
from financing.services.overlap import guard_project

PLAUSIBILITY = "pv"


@dataclass(frozen=True, slots=True)
class NewMeter:
    meter_id: str
    measured_by: str
    interval_minutes: int


@dataclass(frozen=True, slots=True)
class RegisterProject:
    """What a developer states about a plant. The owner is whoever registers."""

    code: str
    name: str
    methodology: str
    methodology_version: int
    capacity_w: int
    grid_connected_on: date
    crediting_period: Period
    location: Location
    meters: tuple[NewMeter, ...]
    declarations: Declarations


def register_project(unit: UnitOfWork, context: Context, command: RegisterProject) -> Project:
    """Register a project of the actor, pinned to an approved methodology version.

    Raises `NotPermitted`, `AlreadyExists`, `ParameterMissing`, and what `Project` itself refuses.
    """
    context.require_kind("developer")
    if command.methodology != "PV":
        raise NotPermitted("only the PV methodology is approved here", methodology=command.methodology)
    context.parameters.pv_methodology(command.methodology_version, business_date(context.at))
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
    )
    require_new_project(project, unit.registry.clashing_projects(project))
    guard_project(unit, project)
    for meter in command.meters:
        unit.organisations.require_kind(meter.measured_by, "grid")
    meters = [
        Meter(meter.meter_id, project.project_id, meter.measured_by, meter.interval_minutes) for meter in command.meters
    ]
    unit.registry.add_project(project, meters, context.at)
    return project


def load_readings(unit: UnitOfWork, context: Context, batch: ReadingBatch) -> ReadingBatch:
    """Store interval readings. Only the grid company that measures the meter may load them.

    Raises `NotPermitted`, `DuplicateReading`, and `ReadingRejected` for another interval, one that has not ended,
    or more than the plant makes.
    """
    meter = unit.registry.meter(batch.meter_id)
    if meter.measured_by != context.actor.id:
        raise NotPermitted("another grid company measures this meter", meter_id=meter.meter_id)
    if batch.interval_minutes != meter.interval_minutes:
        raise ReadingRejected(
            "the meter reads another interval", meter_id=meter.meter_id, interval_minutes=meter.interval_minutes
        )
    _require_past(batch, context.at)
    project = unit.registry.project(meter.project_id)
    limits = context.parameters.plausibility(PLAUSIBILITY, business_date(context.at))
    require_within_capacity(batch, project.capacity_w, limits.interval_capacity_factor_bps_reject)
    unit.registry.add_readings(batch)
    return batch


def _require_past(batch: ReadingBatch, at: datetime) -> None:
    """A meter reads what has been: an interval that ends after `at` was not measured."""
    if len(batch) and int(batch.starts[-1].astype(np.int64)) + batch.interval_minutes * 60 > at.timestamp():
        raise ReadingRejected(
            "an interval has not ended yet", meter_id=batch.meter_id, last_start=f"{batch.starts[-1]}Z"
        )
