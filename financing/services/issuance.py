"""Issue credits for an accepted period, and retire them for good."""

from __future__ import annotations

from dataclasses import dataclass

from financing.ledger.accounts import AccountKey, AccountKind, Asset, holding
from financing.ledger.entries import EntryKind, Posting, balanced, transfer
from financing.persistence.registry_store import Issuance
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import Carbon, Period
from financing.registry import monitoring
from financing.registry.retirement import Retirement, retire
from financing.registry.serials import issue_block, take_tail
from financing.services.context import Context
from financing.services.methodologies import pinned
from financing.services.moves import move_credits


@dataclass(frozen=True, slots=True)
class RetireCredits:
    issuance_id: str
    quantity: Carbon
    beneficiary: str
    purpose: str
    period: Period | None = None


def issue_credits(unit: UnitOfWork, context: Context, monitoring_period_id: str) -> Issuance:
    """Issue the reduction of an accepted period to the project's owner, less what goes to the buffer.

    Raises `NotPermitted`, `PeriodAlreadyIssued`, `InvalidState`, `QuantityOutOfRange` for a reduction of nothing.
    """
    context.require_kind("registry")
    claim = unit.registry.period(monitoring_period_id)
    project = unit.registry.project(claim.project_id)
    issuance_id = context.new_id("iss")
    issued = monitoring.mark_issued(claim, issuance_id)
    quantity = claim.reduction.reduction.require_positive()
    block = issue_block(
        issuance_id=issuance_id,
        methodology_tag=project.methodology_tag,
        project_code=project.code,
        period=claim.period,
        quantity=quantity,
    )
    issuance = Issuance(
        issuance_id=issuance_id,
        period_id=claim.monitoring_period_id,
        project_id=project.project_id,
        owner_id=project.owner,
        asset_class=pinned(unit, context, project).file.asset_class,
        methodology_tag=block.methodology_tag,
        project_code=block.project_code,
        vintage=block.vintage,
        first_day=block.first_day,
        last_day=block.last_day,
        quantity=quantity,
        issued_at=context.at,
    )
    unit.registry.save_period(issued)
    unit.registry.add_issuance(issuance)
    asset = Asset.credits(issuance_id)
    target = holding(project.owner, asset)
    source = AccountKey(context.actor.id, AccountKind.ISSUED, asset)
    buffer = AccountKey(context.actor.id, AccountKind.BUFFER, asset)
    shares = {target: claim.reduction.credited, buffer: claim.reduction.buffer}
    postings: list[Posting] = []
    for account, share in shares.items():
        if share:
            postings += transfer(source, account, share)
    entry = balanced(EntryKind.ISSUANCE, issuance_id, postings)
    posted = unit.ledger.post(entry, at=context.at, actor_id=context.actor.id)
    rest, withheld = take_tail(block, claim.reduction.buffer) if claim.reduction.buffer else (block, None)
    for account, part in ((target, rest), (buffer, withheld)):
        if part is not None:
            unit.serials.open(part, account_id=posted.account_ids[account], entry_id=posted.entry_id)
    return issuance


def retire_credits(unit: UnitOfWork, context: Context, command: RetireCredits) -> Retirement:
    """Use up credits of the actor's holding, irreversibly, and number the certificate.

    Raises `CreditsPledged`, `InsufficientBalance`, `NotFound`, `QuantityOutOfRange`.
    """
    issuance = unit.registry.issuance(command.issuance_id)
    number = unit.registry.next_retirement_number()
    moved = move_credits(
        unit,
        context,
        EntryKind.RETIREMENT,
        reference=f"retirement:{number}",
        source=holding(context.actor.id, Asset.credits(issuance.issuance_id)),
        target=AccountKey(context.actor.id, AccountKind.RETIRED, Asset.credits(issuance.issuance_id)),
        quantity=command.quantity,
    )
    retirement = retire(
        number=number,
        retired_by=context.actor.id,
        beneficiary=command.beneficiary,
        purpose=command.purpose,
        period=command.period,
        blocks=moved.blocks,
        at=context.at,
    )
    unit.registry.add_retirement(retirement, number=number, issuance_id=issuance.issuance_id, entry_id=moved.entry_id)
    return retirement
