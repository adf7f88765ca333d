"""Balanced entries: a set of postings that sums to zero for every asset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from financing.base.errors import UnbalancedEntry
from financing.base.quantities import Carbon, Money, checked_int64
from financing.ledger.accounts import AccountKey, cash


class EntryKind(StrEnum):
    FUNDING = "funding"
    ISSUANCE = "issuance"
    PACKAGING = "packaging"
    REDEMPTION = "redemption"
    ESCROW = "escrow"
    ESCROW_RETURN = "escrow_return"
    TRADE = "trade"
    PENALTY = "penalty"
    PLEDGE = "pledge"
    RELEASE = "release"
    DISBURSEMENT = "disbursement"
    ACCRUAL = "accrual"
    REPAYMENT = "repayment"
    CORRECTION = "correction"
    WRITE_OFF = "write_off"
    RECOVERY = "recovery"
    END_OF_DAY = "end_of_day"
    DISPOSAL = "disposal"
    RETIREMENT = "retirement"
    CANCELLATION = "cancellation"
    EXPORT = "export"
    AUDIT_ANCHOR = "audit_anchor"  # moves nothing: its reference is the head of the audit trail


@dataclass(frozen=True, slots=True)
class Posting:
    """One account's signed change, in the smallest unit of the account's asset (fen or kg)."""

    account: AccountKey
    amount: int

    def __post_init__(self) -> None:
        checked_int64(self.amount, "posting amount")


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced set of postings about one event. `reference` names what it is about (loan id, listing id, ...)."""

    kind: EntryKind
    reference: str
    postings: tuple[Posting, ...]


def transfer(source: AccountKey, target: AccountKey, amount: Money | Carbon) -> tuple[Posting, Posting]:
    """Two postings that move `amount` (> 0) from `source` to `target`, in the unit that both accounts count.

    Raises `UnbalancedEntry` if the accounts count another asset than the amount's unit,
    and `QuantityOutOfRange` unless the amount is positive.
    """
    amount.require_positive()
    if source.asset != target.asset or source.asset.is_money is not isinstance(amount, Money):
        raise UnbalancedEntry(f"{type(amount).__name__} cannot move from {source} to {target}")
    return Posting(source, -amount.amount), Posting(target, amount.amount)


def pay(payer_id: str, payee_id: str, amount: Money) -> tuple[Posting, Posting]:
    """Move settlement money between two organisations."""
    return transfer(cash(payer_id), cash(payee_id), amount)


def balanced(kind: EntryKind, reference: str, postings: Iterable[Posting]) -> Entry:
    """Build an entry with one posting an account, netted and in a stable order.

    Raises `UnbalancedEntry` unless at least two accounts change and every asset sums to zero.
    """
    net: dict[AccountKey, int] = defaultdict(int)
    for posting in postings:
        net[posting.account] += posting.amount
    lines = tuple(Posting(key, amount) for key, amount in sorted(net.items(), key=_order) if amount != 0)
    if len(lines) < 2:
        raise UnbalancedEntry("an entry changes at least two accounts", reference=reference)
    totals: dict[str, int] = defaultdict(int)
    for line in lines:
        totals[line.account.asset.code] += line.amount
    off = {code: total for code, total in totals.items() if total != 0}
    if off:
        raise UnbalancedEntry("an entry sums to zero for every asset", reference=reference, off=off)
    return Entry(kind, reference, lines)


def _order(item: tuple[AccountKey, int]) -> tuple[str, str, str, str]:
    key, _ = item
    return key.asset.code, key.owner_id, key.kind.value, key.reference
