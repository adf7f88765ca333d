"""The only thing that moves value: legs become one balanced entry, and serial numbers follow every leg of credits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from financing.base.context import Context
from financing.base.quantities import Carbon, Money
from financing.ledger.accounts import CNY, AccountKey, AccountKind, Asset, cash, escrow, holding
from financing.ledger.entries import EntryKind, Posting, balanced, transfer
from financing.ledger.serials import SerialBlock, SerialNumbers
from financing.ledger.unit import LedgerUnit


@dataclass(frozen=True, slots=True)
class Leg:
    """Move `amount` from one account to another of the same asset; `kilograms` (first, last) names which ones."""

    source: AccountKey
    target: AccountKey
    amount: Money | Carbon
    kilograms: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """The entry, the ids of its accounts, and the serial blocks that changed account with it, leg by leg."""

    entry_id: int
    account_ids: Mapping[AccountKey, int]
    blocks: tuple[SerialBlock, ...]


def post_entry(
    unit: LedgerUnit,
    context: Context,
    kind: EntryKind,
    reference: str,
    legs: Iterable[Leg] = (),
    *,
    changes: Iterable[Posting] = (),
) -> Posted:
    """Post legs, and `changes` of money beside them, as one balanced entry. Legs of no amount are left out.

    Credits that leave the registry's ISSUED account are new: whoever mints them gives them their numbers. Raises
    `UnbalancedEntry`, `InsufficientBalance`, `CreditsPledged`, `CreditsFrozen`; nothing is stored then.
    """
    moving = [leg for leg in legs if leg.amount]
    lines = [line for leg in moving for line in transfer(leg.source, leg.target, leg.amount)]
    entry = balanced(kind, reference, [*lines, *changes])
    posted = unit.ledger.post(entry, at=context.at, actor_id=context.actor.id)
    blocks = _follow(unit.serials, moving, posted.account_ids, posted.entry_id)
    return Posted(posted.entry_id, posted.account_ids, blocks)


def _follow(
    serials: SerialNumbers, legs: Sequence[Leg], ids: Mapping[AccountKey, int], entry_id: int
) -> tuple[SerialBlock, ...]:
    """Serial numbers go where the credits went. A block closes once an entry, so legs of one source go together."""
    shares: dict[AccountKey, list[tuple[int, Carbon]]] = {}
    blocks: list[SerialBlock] = []
    for leg in legs:
        if not isinstance(leg.amount, Carbon) or leg.source.asset.is_package or leg.source.kind is AccountKind.ISSUED:
            continue
        if leg.kilograms is None:
            shares.setdefault(leg.source, []).append((ids[leg.target], leg.amount))
        else:
            first, last = leg.kilograms
            blocks += serials.move_range(
                issuance_id=leg.source.asset.issuance_id,
                source_id=ids[leg.source],
                target_id=ids[leg.target],
                first_kg=first,
                last_kg=last,
                entry_id=entry_id,
            )
    for source, parts in shares.items():
        blocks += serials.deal(
            issuance_id=source.asset.issuance_id, source_id=ids[source], shares=parts, entry_id=entry_id
        )
    return tuple(blocks)


def free(owner_id: str, asset: Asset) -> AccountKey:
    """The account from which an owner may sell or pay."""
    return cash(owner_id) if asset.is_money else holding(owner_id, asset)


def payment(payer_id: str, payee_id: str, amount: Money) -> Leg:
    """Settlement money from one organisation to another."""
    return Leg(cash(payer_id), cash(payee_id), amount)


def set_aside(
    unit: LedgerUnit, context: Context, owner_id: str, asset: Asset, amount: Money | Carbon, reference: str
) -> None:
    """Put an owner's credits or money into escrow under `reference`."""
    leg = Leg(free(owner_id, asset), escrow(owner_id, asset, reference), amount)
    post_entry(unit, context, EntryKind.ESCROW, reference, [leg])


def give_back(unit: LedgerUnit, context: Context, owner_id: str, asset: Asset, reference: str) -> None:
    """Return all that an owner has in escrow under `reference`; nothing happens if that is nothing."""
    kept = escrow(owner_id, asset, reference)
    left = unit.ledger.balance(kept).posted
    if left:
        amount = Money(left) if asset == CNY else Carbon(left)
        post_entry(unit, context, EntryKind.ESCROW_RETURN, reference, [Leg(kept, free(owner_id, asset), amount)])
