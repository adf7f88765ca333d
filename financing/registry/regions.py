"""A registry acts in the region that the dated parameters give it that day, and on nothing of another region.

What names its registry (an issuance, a freeze, a package, a transfer) belongs to that registry, and
`Context.require_party` says so. Everything else belongs to the region of a project, and these functions say so.
"""

from __future__ import annotations

from financing.base.authority import REGULATOR
from financing.base.context import Context
from financing.base.errors import NotPermitted, ParameterMissing
from financing.base.parameters.records import Region
from financing.base.quantities import business_date
from financing.registry.projects.model import Meter, Project
from financing.registry.unit import RegistryUnit


def own_region(context: Context) -> Region:
    """The region whose registry the actor is today. Raises `NotPermitted` for a registry without one."""
    try:
        return context.parameters.region_of(context.actor.id, business_date(context.at))
    except ParameterMissing as missing:
        raise NotPermitted("no region has this registry today", actor=context.actor.id) from missing


def require_own_project(context: Context, project: Project) -> Region:
    """The project's region, whose registry the actor is; a regulator's are all.

    Raises `NotPermitted` for the registry of another region, `ParameterMissing` for a region that has none today.
    """
    region = context.parameters.region_named(project.location.region, business_date(context.at))
    if context.actor.kind != REGULATOR and own_region(context).key != region.key:
        raise NotPermitted(
            "the project lies in another registry's region", actor=context.actor.id, region=region.registry_code
        )
    return region


def require_own_meter(unit: RegistryUnit, context: Context, meter: Meter) -> None:
    """Raise `NotPermitted` unless the actor is the grid company that reads the meter, or the registry of its region."""
    if context.actor.kind == "registry":
        require_own_project(context, unit.projects.get(meter.project_id))
    elif context.actor.id != meter.measured_by:
        raise NotPermitted("another grid company measures this meter", meter_id=meter.meter_id)
