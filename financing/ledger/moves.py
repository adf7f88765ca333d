"""Post an entry and let the serial numbers follow it: every use case that moves credits goes through here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from financing.base.context import Context
from financing.base.quantities import Carbon
from financing.ledger.accounts import AccountKey
from financing.ledger.entries import EntryKind, Posting, balanced, transfer
from financing.ledger.serials import SerialBlock
from financing.lending.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Moved:
    """The entry, and the serial blocks that changed account with it."""

    entry_id: int
    blocks: tuple[SerialBlock, ...]


def move_credits(
    unit: UnitOfWork,
    context: Context,
    kind: EntryKind,
    *,
    reference: str,
    source: AccountKey,
    target: AccountKey,
    quantity: Carbon,
    with_postings: Iterable[Posting] = (),
) -> Moved:
    """Move credits between two accounts of one issuance, with other postings (the payment) in the same entry."""
    entry = balanced(kind, reference, [*transfer(source, target, quantity), *with_postings])
    posted = unit.ledger.post(entry, at=context.at, actor_id=context.actor.id)
    blocks = unit.serials.move(
        issuance_id=source.asset.issuance_id,
        source_id=posted.account_ids[source],
        target_id=posted.account_ids[target],
        quantity=quantity,
        entry_id=posted.entry_id,
    )
    return Moved(posted.entry_id, blocks)
