"""Looking at raw readings where they live, and asking whether a claim's readings were corrected since."""

from __future__ import annotations

from financing.base.context import Context
from financing.base.errors import GridNodeUnavailable, NotPermitted
from financing.base.quantities import Period
from financing.registry.metering.node.port import MeteringNode, MeteringNodes
from financing.registry.metering.readings import ReadingBatch
from financing.registry.unit import RegistryUnit
from financing.registry.verification.commands import require_verifier
from financing.registry.verification.monitoring import MonitoringPeriod


def audit_readings(unit: RegistryUnit, context: Context, meter_id: str, period: Period) -> ReadingBatch:
    """Raw readings of a meter: for the grid company that measures it, and for a verifier who may verify a claim on
    this meter and time. Raises `NotPermitted` for everyone else, the registry and the owner included."""
    meter = unit.projects.meter(meter_id)
    if context.actor.id != meter.measured_by:
        _require_audit(unit, context, meter.project_id, meter_id, period)
    node: MeteringNode = context.nodes.of(meter.measured_by)
    return node.readings(meter_id, meter.interval_minutes, period)


def corrected_since(unit: RegistryUnit, nodes: MeteringNodes, claim: MonitoringPeriod) -> bool | None:
    """Whether a correction reached a grid node after the claim was submitted; the claim keeps what it rests on.

    None while a node does not answer: that is not known then.
    """
    try:
        return any(
            nodes.of(unit.projects.meter(total.meter_id).measured_by).corrected_after(
                total.meter_id, total.through_batch, total.period
            )
            for total in claim.totals
        )
    except GridNodeUnavailable:
        return None


def _require_audit(unit: RegistryUnit, context: Context, project_id: str, meter_id: str, period: Period) -> None:
    if context.actor.kind != "verifier":
        raise NotPermitted("raw readings stay at the grid node", meter_id=meter_id)
    for claim in unit.periods.overlapping(project_id, [meter_id], period):
        if claim.period.contains(period):
            require_verifier(unit, context, claim)
            return
    raise NotPermitted("a verifier audits the period of a claim", meter_id=meter_id)
