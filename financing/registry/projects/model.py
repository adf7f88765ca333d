"""A reduction project: who owns it, what it is made of, and what its owner declared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, Field

from financing.base.commands import Text
from financing.base.errors import AlreadyExists, DeclarationMissing, PeriodInvalid, QuantityOutOfRange, SerialInvalid
from financing.base.quantities import Period, business_date

PROJECT_CODE = re.compile(r"[A-Z0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class Declarations:
    """What the owner states under its own liability. All must be true for registration."""

    owns_the_reduction: bool
    not_registered_elsewhere: bool
    outside_ets_boundary: bool


@dataclass(frozen=True, slots=True)
class Location:
    """The code of the region's registry, or what an earlier version took as it came; and degrees north and east."""

    region: str
    latitude_deg: float
    longitude_deg: float


class NamedPlant(BaseModel):
    """What a developer states of a project and everyone may read: its names, its region, since when it runs."""

    code: str = Field(pattern=r"^[A-Z0-9]{1,16}$", description="the project's place in a serial number")
    name: Text
    grid_connected_on: date
    region: Text = Field(description="the code of its region's registry, as in serial numbers (SIP, HL, CZ, CD, JX)")


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter, its project, and the grid company that measures with it."""

    meter_id: str
    project_id: str
    measured_by: str
    interval_minutes: int


@dataclass(frozen=True, slots=True)
class Project:
    """A registered project, pinned to one methodology version and its text. `code` is its place in a serial number.

    `meter_roles` says which part each meter has, `choices` which variant of the methodology was taken, `developed_by`
    who else built or arranged it. A project without meters (deemed savings, wetland) has no nameplate power.

    Raises `DeclarationMissing`, `PeriodInvalid` (crediting before grid connection), `SerialInvalid` (code not
    A–Z, 0–9), `QuantityOutOfRange` (meters without capacity, repeated meters, position off the globe).
    """

    project_id: str
    code: str
    owner: str
    name: str
    methodology: str
    methodology_version: int
    capacity_w: int | None
    grid_connected_on: date
    crediting_period: Period
    location: Location
    meter_ids: tuple[str, ...]
    declarations: Declarations
    meter_roles: tuple[tuple[str, str], ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    methodology_sha256: str = ""
    developed_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not PROJECT_CODE.fullmatch(self.code):
            raise SerialInvalid("a project code is 1 to 16 of A-Z and 0-9", code=self.code)
        if (self.capacity_w is None and self.meter_ids) or (self.capacity_w is not None and self.capacity_w <= 0):
            raise QuantityOutOfRange("a metered project has capacity", capacity_w=self.capacity_w)
        if len(set(self.meter_ids)) != len(self.meter_ids):
            raise QuantityOutOfRange("a project has each of its meters once", meter_ids=self.meter_ids)
        if not (abs(self.location.latitude_deg) <= 90 and abs(self.location.longitude_deg) <= 180):
            raise QuantityOutOfRange("the position is on the globe", location=str(self.location))
        if business_date(self.crediting_period.start) < self.grid_connected_on:
            raise PeriodInvalid("crediting starts after grid connection", grid_connected_on=str(self.grid_connected_on))
        declared = self.declarations
        if not (declared.owns_the_reduction and declared.not_registered_elsewhere and declared.outside_ets_boundary):
            raise DeclarationMissing("ownership, single registration and no ETS boundary must all be declared")

    @property
    def methodology_tag(self) -> str:
        """Methodology code and version as a serial carries them, e.g. PV1."""
        return f"{self.methodology}{self.methodology_version}"

    def role_of(self, meter_id: str, only: str) -> str:
        """The part of a meter; `only` for projects registered when a methodology had a single part."""
        return dict(self.meter_roles).get(meter_id, only)


def require_new_project(candidate: Project, registered: Iterable[Project]) -> None:
    """Raise `AlreadyExists` if the id, the code or a meter of `candidate` belongs to a registered project."""
    for project in registered:
        shared = sorted(set(candidate.meter_ids) & set(project.meter_ids))
        if shared:
            raise AlreadyExists("a meter belongs to one project", meter_ids=shared)
        if candidate.code == project.code or candidate.project_id == project.project_id:
            raise AlreadyExists("the project is registered", code=candidate.code)
