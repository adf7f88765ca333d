"""What happens to a running loan: events are recorded, books follow from events, the ledger from books.

An event of today takes the books forward. One that is dated back is put in its place and the loan is replayed from the
beginning: what changed is posted as a correction, so the books are those of an event that had come in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from financing.base.context import Context
from financing.base.errors import InvalidState, PeriodInvalid
from financing.base.quantities import business_date
from financing.ledger.entries import EntryKind, Posting
from financing.ledger.posting import post_entry
from financing.lending.loans.book import LoanBook
from financing.lending.loans.days import date_of, day_of
from financing.lending.loans.events import Happening, LoanEvent, Recovery, Repayment
from financing.lending.loans.loan import (
    Allocation,
    LoanState,
    Replayed,
    StoredLoan,
    apply_event,
    in_order,
    replay,
    require_payable,
    reversal_of,
)
from financing.lending.loans.markets import market_of
from financing.lending.loans.payments import oldest_unpaid
from financing.lending.loans.posting import changes, positions
from financing.lending.loans.rolling import advance
from financing.lending.unit import UnitOfWork

# What an end of day found of a loan; a replay of events knows nothing of it.
_FOUND = ("pd_bps", "risk_class", "stage", "allowance", "coverage", "market", "lendable", "after_haircut")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The loan after it, what a payment went to, and the ledger entry (None if no balance changed)."""

    stored: StoredLoan
    allocation: Allocation | None
    entry_id: int | None


def record_event(
    unit: UnitOfWork,
    context: Context,
    stored: StoredLoan,
    what: Happening,
    kind: EntryKind,
    *,
    external_id: str | None = None,
    extra: Sequence[Posting] = (),
) -> Recorded:
    """Record an event of a loan and post what it changes, with `extra` postings in the same entry.

    Raises `PeriodInvalid` (a day to come, or before signing), `OverpaymentRefused`, `InvalidState` (closed loan, an
    external id used already) and what the ledger refuses; nothing is stored then.
    """
    today = business_date(context.at)
    value_on = what.value_on or today
    if not stored.terms.signed_on <= value_on <= today:
        raise PeriodInvalid("an event lies between signing and today", on=str(value_on))
    if stored.loan.state is not LoanState.ACTIVE and not isinstance(what, Recovery):
        raise InvalidState(f"the loan is {stored.loan.state}", loan_id=stored.terms.loan_id)
    number = stored.terms.number
    known = unit.loans.events(number)
    if external_id is not None and any(e.external_id == external_id and not e.event.reversed for e in known):
        raise InvalidState("this payment was recorded already", external_id=external_id)
    events = tuple(each.event for each in known)
    event = LoanEvent(what.model_copy(update={"value_on": value_on}), len(events) + 1)
    on_time = value_on >= date_of(int(stored.book.accrued_to[0])) and in_order((*events, event))[-1] == event
    done = _forward(unit, context, stored, event) if on_time else _again(context, stored, (*events, event))
    entry_id = _store(unit, context, stored, done, kind if on_time else EntryKind.CORRECTION, extra)
    unit.loans.add_event(
        number, event, external_id=external_id, entry_id=entry_id, actor_id=context.actor.id, at=context.at
    )
    return Recorded(unit.loans.get(stored.terms.loan_id), done.splits.get(event.sequence), entry_id)


def reverse_event(unit: UnitOfWork, context: Context, stored: StoredLoan, sequence: int) -> Recorded:
    """Reverse one event as if it had never been: a new linked entry corrects the books, the event stays on record.

    Raises `InvalidState` for an event that does not exist, is reversed, or on which a later one rests.
    """
    events = tuple(each.event for each in unit.loans.events(stored.terms.number))
    done = _again(context, stored, reversal_of(events, sequence))
    entry_id = _store(unit, context, stored, done, EntryKind.CORRECTION, ())
    unit.loans.mark_reversed(stored.terms.number, sequence, context.at)
    return Recorded(unit.loans.get(stored.terms.loan_id), None, entry_id)


def carry_forward(unit: UnitOfWork, context: Context, stored: StoredLoan, on: date) -> StoredLoan:
    """Take one loan's books to `on` and post the interest. Raises `PeriodInvalid` for a day already passed."""
    if day_of(on) < int(stored.book.accrued_to[0]):
        raise PeriodInvalid("the books are already later than this date", on=str(on))
    book = stored.book.copy()
    dues = unit.loans.dues([stored.terms.number]).and_(advance(book, day_of(on), market_of(context.parameters)))
    oldest_unpaid(book, dues)
    _store(unit, context, stored, Replayed(book, dues, {}), EntryKind.ACCRUAL, ())
    return unit.loans.get(stored.terms.loan_id)


def _forward(unit: UnitOfWork, context: Context, stored: StoredLoan, event: LoanEvent) -> Replayed:
    market, today = market_of(context.parameters), day_of(business_date(context.at))
    done = Replayed(stored.book.copy(), unit.loans.dues([stored.terms.number]), {})
    done.dues = done.dues.and_(advance(done.book, day_of(event.value_on), market))
    if isinstance(event.what, Repayment):
        require_payable(done.book, event.what.amount_fen)
    apply_event(done, event, market)
    done.dues = done.dues.and_(advance(done.book, today, market))
    oldest_unpaid(done.book, done.dues)
    return done


def _again(context: Context, stored: StoredLoan, events: Sequence[LoanEvent]) -> Replayed:
    """The books from the beginning with these events. A payment dated back may be no more than what was owed then; a
    later one that is more than the corrected debt is given back in part."""
    market = market_of(context.parameters)
    newest = events[-1]
    if isinstance(newest.what, Repayment) and not newest.reversed:
        before = replay(stored.terms, events[:-1], newest.value_on, market)
        require_payable(before.book, newest.what.amount_fen)
    done = replay(stored.terms, events, business_date(context.at), market)
    for name in _FOUND:
        getattr(done.book, name)[:] = getattr(stored.book, name)
    return done


def _store(
    unit: UnitOfWork,
    context: Context,
    stored: StoredLoan,
    done: Replayed,
    kind: EntryKind,
    extra: Sequence[Posting],
) -> int | None:
    book = done.book
    if not book.active[0]:
        _clear(book)
    postings = [*changes(positions(stored.terms, stored.book), positions(stored.terms, book)), *extra]
    unit.loans.write(book)
    unit.loans.set_dues(stored.terms.number, done.dues)
    if not postings:
        return None
    return post_entry(unit, context, kind, stored.terms.loan_id, changes=postings).entry_id


def _clear(book: LoanBook) -> None:
    """A closed loan needs no allowance and has no stage."""
    for name in ("allowance", "stage", "risk_class", "coverage"):
        getattr(book, name)[:] = 0
