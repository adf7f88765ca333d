"""Issue credits for an accepted period in whole tonnes, carry the remainder over, withhold the buffer."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.commands import Command, Id, use_case
from financing.base.context import Context
from financing.base.errors import ProjectSuspended
from financing.base.quantities import Carbon, Rate
from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.serials import SerialBlock, cut, issue_block
from financing.registry.credits.carry_over import CarryOver, whole_tonnes, with_buffer
from financing.registry.credits.model import Issuance
from financing.registry.methodology.commands import pinned
from financing.registry.oversight.overlap_guard import settle_certificates
from financing.registry.regions import require_own_project
from financing.registry.unit import RegistryUnit
from financing.registry.verification import monitoring


@dataclass(frozen=True, slots=True)
class Issued:
    """What a period gave: the issuance and its serials, or None when all of it was carried over."""

    issuance: Issuance | None
    blocks: tuple[SerialBlock, ...]
    carried: CarryOver


class IssueCredits(Command):
    monitoring_period_id: Id


@use_case
def issue_credits(unit: RegistryUnit, context: Context, command: IssueCredits) -> Issued:
    """Issue the whole tonnes of an accepted period, with what the project carried over, to the project's owner.

    As the registry of the project's region, whose code opens the serial numbers. Green-electricity certificates on the
    same energy are cancelled in the same commit. Raises `NotPermitted`, `PeriodAlreadyIssued`, `InvalidState`,
    `ProjectSuspended`.
    """
    claim = unit.periods.get(command.monitoring_period_id)
    project = unit.projects.get(claim.project_id)
    region = require_own_project(context, project)
    if unit.custody.suspension(project.project_id) is not None:
        raise ProjectSuspended("the project is suspended", project_id=project.project_id)
    carried = with_buffer(
        whole_tonnes(claim.reduction.reduction, unit.custody.remainder(project.project_id)),
        Rate(claim.reduction.rules.buffer_bps),
    )
    issuance_id = context.new_id("iss") if carried.issued else None
    unit.periods.save(monitoring.mark_issued(claim, issuance_id))
    unit.custody.add_carry_over(claim.monitoring_period_id, project.project_id, carried)
    settle_certificates(unit, claim.monitoring_period_id)
    if issuance_id is None:
        return Issued(None, (), carried)
    block = issue_block(
        issuance_id=issuance_id,
        methodology_tag=project.methodology_tag,
        project_code=project.code,
        period=claim.period,
        quantity=carried.issued,
        registry_code=region.registry_code,
    )
    issuance = Issuance(
        issuance_id=issuance_id,
        registry_id=context.actor.id,
        registry_code=region.registry_code,
        period_id=claim.monitoring_period_id,
        project_id=project.project_id,
        owner_id=project.owner,
        asset_class=pinned(unit, context, project).file.asset_class,
        methodology_tag=block.methodology_tag,
        project_code=block.project_code,
        vintage=block.vintage,
        first_day=block.first_day,
        last_day=block.last_day,
        quantity=carried.issued,
        issued_at=context.at,
    )
    unit.issuances.add(issuance)
    return Issued(issuance, mint(unit, context, issuance, block, carried.buffer), carried)


def mint(
    unit: RegistryUnit, context: Context, issuance: Issuance, block: SerialBlock, buffer: Carbon
) -> tuple[SerialBlock, ...]:
    """Book a new issuance: the head of the block to its owner, its tail (`buffer`) to the registry's buffer."""
    asset = Asset.credits(issuance.issuance_id)
    source = AccountKey(issuance.registry_id, AccountKind.ISSUED, asset)
    parts: list[tuple[AccountKey, SerialBlock]] = []
    border = block.last_kg - buffer.kg
    if border >= block.first_kg:
        parts.append((holding(issuance.owner_id, asset), cut(block, block.first_kg, border)))
    if buffer:
        kept = AccountKey(issuance.registry_id, AccountKind.BUFFER, asset)
        parts.append((kept, cut(block, border + 1, block.last_kg)))
    legs = [Leg(source, target, part.quantity) for target, part in parts]
    posted = post_entry(unit, context, EntryKind.ISSUANCE, issuance.issuance_id, legs)
    for target, part in parts:
        unit.serials.open(part, account_id=posted.account_ids[target], entry_id=posted.entry_id)
    return tuple(part for _, part in parts)
