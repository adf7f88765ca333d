"""The loan book against exact fractions, and the columns of a portfolio against the rules of one pool."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price, Rate
from financing.lending.collateral.coverage import (
    NO_PRICE,
    ClassTable,
    CoverageStatus,
    coverage,
    statuses,
    value_pledges,
)
from financing.lending.loans.days import day_of
from financing.lending.loans.events import Disbursement, LoanEvent, Repayment
from financing.lending.loans.loan import LoanTerms, projection, replay
from financing.lending.loans.posting import positions
from financing.lending.loans.rolling import Market
from financing.market.prices.model import Marked, Unpriced
from financing.valuation.pools import Lot, value_pool

START = date(2024, 1, 31)
AT = datetime(2026, 11, 22, tzinfo=UTC)
CLASSES = load_parameters().classes_on(date(2026, 11, 22))
KEYS = sorted(CLASSES)
NAMES = ("haircut_bps", "advance_bps", "warn_bps", "call_bps", "liquidate_bps")

amounts = st.integers(1, 10**9)
schemes = st.sampled_from(["bullet", "interest_only", "equal_principal", "annuity"])
bases = st.sampled_from(["ACT/360", "ACT/365", "30E/360"])
payments = st.lists(st.tuples(st.integers(1, 500), amounts), max_size=6)


def terms(scheme, basis, bps, days):
    return LoanTerms(
        "L",
        1,
        1,
        "plant",
        "bank",
        "p",
        Rate(bps),
        START,
        START + timedelta(days=days),
        scheme,
        basis,
        penal_bps=bps // 2,
    )


def events_of(drawn, paid):
    first = LoanEvent(Disbursement(value_on=START, amount_fen=Money(drawn)), 1)
    rest = [
        LoanEvent(Repayment(value_on=START + timedelta(days=day), amount_fen=Money(fen)), place)
        for place, (day, fen) in enumerate(paid, start=2)
    ]
    return [first, *rest]


def open_until(agreed, events):
    """The events up to the one that closed the loan: later ones would be refused."""
    kept = []
    for event in sorted(events, key=lambda each: (each.value_on, each.sequence)):
        if kept and not replay(agreed, kept, event.value_on, Market()).book.active[0]:
            break
        kept.append(event)
    return kept


@settings(max_examples=sized(50, 1_500), deadline=None)
@given(schemes, bases, st.integers(0, 2_400), st.integers(1, 480), amounts, payments)
def test_positions_balance_within_bank_borrower_and_in_all(scheme, basis, bps, days, drawn, paid):
    agreed = terms(scheme, basis, bps, days)
    events = open_until(agreed, events_of(drawn, paid))
    found = positions(agreed, replay(agreed, events, START + timedelta(days=520), Market()).book)
    assert sum(found.values()) == 0
    for who in ("bank", "plant"):
        assert sum(amount for key, amount in found.items() if key.owner_id == who) == 0


@settings(max_examples=sized(25, 600), deadline=None)
@given(schemes, bases, st.integers(0, 2_400), st.integers(1, 480), amounts, payments, st.randoms())
def test_late_entries_give_the_books_of_entries_in_time(scheme, basis, bps, days, drawn, paid, random):
    agreed = terms(scheme, basis, bps, days)
    events = open_until(agreed, events_of(drawn, paid))
    to = START + timedelta(days=520)
    expected = replay(agreed, events, to, Market()).book
    random.shuffle(events)
    found = replay(agreed, events, to, Market()).book
    assert all(np.array_equal(getattr(expected, name), getattr(found, name)) for name in found.names())


@settings(max_examples=sized(33, 1_000), deadline=None)
@given(schemes, bases, st.integers(0, 2_400), st.integers(1, 1_500), amounts)
def test_a_schedule_repays_what_was_drawn_and_its_interest_is_exact_to_half_a_fen_a_period(
    scheme, basis, bps, days, drawn
):
    agreed = terms(scheme, basis, bps, days)
    book = replay(agreed, events_of(drawn, []), START, Market()).book
    dues = projection(book, Market())
    assert int(dues.principal.sum()) == drawn
    assert np.all(dues.principal >= 0)
    left, since, exact = drawn, day_of(START), Fraction(0)
    for due_on, principal in zip(dues.due_on.tolist(), dues.principal.tolist(), strict=True):
        exact += Fraction(left * bps * _days(basis, since, due_on), 10_000 * (365 if basis == "ACT/365" else 360))
        left, since = left - principal, due_on
    periods = days // 28 + 2  # a period without a whole fen of interest falls due without being noted
    assert abs(exact - int(dues.interest.sum())) <= Fraction(periods, 2)


def _days(basis, first, last):
    if basis != "30E/360":
        return last - first
    one, two = (date.fromordinal(day + date(1970, 1, 1).toordinal()) for day in (first, last))
    return (two.year - one.year) * 360 + (two.month - one.month) * 30 + min(two.day, 30) - min(one.day, 30)


pools = st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 10**9)), max_size=4), min_size=1, max_size=6)


@settings(max_examples=sized(166, 5_000), deadline=None)
@given(pools, st.dictionaries(st.sampled_from(KEYS), st.integers(1, 100_000)), st.data())
def test_a_portfolio_stands_as_each_of_its_loans_does(held, fen, data):
    debts = [data.draw(st.integers(0, 10**11)) for _ in held]
    table = ClassTable(
        tuple(KEYS),
        np.array([fen.get(key, NO_PRICE) for key in KEYS]),
        *(np.array([getattr(CLASSES[key], name) for key in KEYS]) for name in NAMES),
    )
    rows = [(place, KEYS.index(key), kg) for place, lots in enumerate(held) for key, kg in lots]
    columns = np.array(rows, np.int64).reshape(len(rows), 3).T
    pool = value_pledges(columns[0], columns[1], columns[2], table, len(held))
    found = statuses(np.array(debts), pool)
    marks = {
        key: Marked(key, Price(fen[key]), AT, timedelta(0), "x") if key in fen else Unpriced(key, "missing")
        for key in KEYS
    }
    for place, lots in enumerate(held):
        one = coverage(Money(debts[place]), value_pool([Lot("a", key, Carbon(kg)) for key, kg in lots], marks, CLASSES))
        assert CoverageStatus(int(found[place])) is one.status
        if one.status is not CoverageStatus.UNPRICED:
            assert int(pool.market[place]) == one.market.fen
            assert int(pool.advance[place]) == one.lines.advance.fen
