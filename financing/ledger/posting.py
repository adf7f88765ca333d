"""Many legs as one balanced entry, the serial numbers following every leg that moves credits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from financing.base.context import Context
from financing.base.quantities import Carbon, Money
from financing.ledger.accounts import CNY, AccountKey, Asset, escrow, holding
from financing.ledger.accounts import cash as cash_of
from financing.ledger.entries import EntryKind, Posting, balanced, transfer
from financing.ledger.serials import SerialBlock
from financing.lending.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Leg:
    """Move `amount` from one account to another of the same asset."""

    source: AccountKey
    target: AccountKey
    amount: Money | Carbon


@dataclass(frozen=True, slots=True)
class Booked:
    entry_id: int
    blocks: tuple[SerialBlock, ...]


def book(unit: UnitOfWork, context: Context, kind: EntryKind, reference: str, legs: Sequence[Leg]) -> Booked:
    """Post the legs as one entry. Legs of no amount are left out; raises as `LedgerStore.post`, and `CreditsFrozen`."""
    moving = [leg for leg in legs if leg.amount]
    postings: Iterable[Posting] = (line for leg in moving for line in transfer(leg.source, leg.target, leg.amount))
    posted = unit.ledger.post(balanced(kind, reference, postings), at=context.at, actor_id=context.actor.id)
    blocks: list[SerialBlock] = []
    for leg in moving:
        if isinstance(leg.amount, Carbon) and not leg.source.asset.is_package:
            blocks += unit.serials.move(
                issuance_id=leg.source.asset.issuance_id,
                source_id=posted.account_ids[leg.source],
                target_id=posted.account_ids[leg.target],
                quantity=leg.amount,
                entry_id=posted.entry_id,
            )
    return Booked(posted.entry_id, tuple(blocks))


def free(owner_id: str, asset: Asset) -> AccountKey:
    """The account from which an owner may sell or pay."""
    return cash_of(owner_id) if asset.is_money else holding(owner_id, asset)


def set_aside(
    unit: UnitOfWork, context: Context, owner_id: str, asset: Asset, amount: Money | Carbon, reference: str
) -> None:
    """Put an owner's credits or money into escrow under `reference`."""
    leg = Leg(free(owner_id, asset), escrow(owner_id, asset, reference), amount)
    book(unit, context, EntryKind.ESCROW, reference, [leg])


def give_back(unit: UnitOfWork, context: Context, owner_id: str, asset: Asset, reference: str) -> None:
    """Return all that an owner has in escrow under `reference`; nothing happens if that is nothing."""
    kept = escrow(owner_id, asset, reference)
    left = unit.ledger.balance(kept).posted
    if left:
        amount = Money(left) if asset == CNY else Carbon(left)
        book(unit, context, EntryKind.ESCROW_RETURN, reference, [Leg(kept, free(owner_id, asset), amount)])
