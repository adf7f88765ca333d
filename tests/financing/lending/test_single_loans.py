"""The books of single loans, worked by hand where a figure is given."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations

import numpy as np
import pytest

from financing.base.errors import CalendarMissing, InvalidState, OverpaymentRefused, ParameterMissing, PeriodInvalid
from financing.base.quantities import Money, Rate
from financing.lending.loans.days import date_of, day_of
from financing.lending.loans.events import (
    Disbursement,
    Disposal,
    Freeze,
    Holiday,
    LoanEvent,
    RateChange,
    Recovery,
    Repayment,
    Restructuring,
    Unfreeze,
    WriteOff,
)
from financing.lending.loans.loan import (
    LoanState,
    LoanTerms,
    allocation_of,
    debt_of,
    open_book,
    projection,
    replay,
    require_payable,
    reversal_of,
    state_of,
)
from financing.lending.loans.payments import pay
from financing.lending.loans.rolling import Market, PrimeTable, advance

START = date(2026, 1, 5)
STILL = Market()


def terms(scheme="bullet", bps=395, days=180, basis="ACT/360", **more):
    return LoanTerms(
        "L", 1, 1, "plant", "bank", "p", Rate(bps), START, START + timedelta(days=days), scheme, basis, **more
    )


def happened(kind, day, yuan="0", sequence=1, **more):
    if Decimal(yuan):
        more["amount_fen"] = Money.from_yuan(yuan)
    return LoanEvent(kind(value_on=START + timedelta(days=day), **more), sequence)


def drawn(yuan="1000000"):
    return happened(Disbursement, 0, yuan, 0)


def paid(day, yuan, sequence=1, **more):
    return happened(Repayment, day, yuan, sequence, **more)


def without(event, **changed):
    return replace(event, what=event.what.model_copy(update=changed))


def on(day):
    return START + timedelta(days=day)


def books(agreed, events, day, market=STILL):
    return replay(agreed, [drawn(), *events], on(day), market)


def test_nothing_has_accrued_on_the_day_of_disbursement():
    debt = debt_of(books(terms(), [], 0).book)
    assert (debt.principal, debt.interest) == (Money.from_yuan("1000000"), Money(0))


def test_interest_comes_before_principal():
    done = books(terms(), [paid(90, "100000")], 90)
    split = done.splits[1]
    assert (split.interest, split.principal) == (Money.from_yuan("9875"), Money.from_yuan("90125"))
    assert debt_of(done.book).interest == Money(0)


def test_a_payment_below_the_interest_leaves_the_principal():
    debt = debt_of(books(terms(), [paid(90, "1")], 90).book)
    assert (debt.principal, debt.interest) == (Money.from_yuan("1000000"), Money.from_yuan("9874"))


def test_two_prepayments_on_one_day_do_what_their_sum_does():
    once = books(terms(), [paid(90, "209875")], 120).book
    twice = books(terms(), [paid(90, "109875", 1), paid(90, "100000", 2)], 120).book
    assert all(np.array_equal(getattr(once, name), getattr(twice, name)) for name in once.names())


def test_paying_all_closes_the_loan_and_it_takes_no_more():
    owed = debt_of(books(terms(), [], 180).book).total
    closed = books(terms(), [LoanEvent(Repayment(value_on=on(180), amount_fen=owed), 1)], 200).book
    assert state_of(closed) is LoanState.REPAID
    assert debt_of(closed).total == Money(0)
    with pytest.raises(InvalidState):
        require_payable(closed, Money(1))


def test_more_than_the_debt_is_refused_and_a_late_surplus_comes_back():
    book = books(terms(), [], 90).book
    with pytest.raises(OverpaymentRefused):
        require_payable(book, Money.from_yuan("1009875.01"))
    # 9,875 of interest to day 90; an earlier payment, entered late, leaves less to pay on day 90.
    events = [paid(90, "1009875", 1), paid(45, "500000", 2)]
    done = books(terms(), events, 100)
    assert done.splits[1].refund > Money.from_yuan("500000")
    assert state_of(done.book) is LoanState.REPAID


def test_one_day_is_rounded_half_to_even():
    # 1,000 yuan at 3.42 % for one day is 9.5 fen, and the even neighbour is 10; at 3.06 %, 8.5 fen becomes 8.
    for bps, fen in ((342, 10), (306, 8)):
        book = replay(terms(bps=bps), [drawn("1000")], on(1), STILL).book
        assert debt_of(book).interest == Money(fen)


def test_days_in_the_year_are_the_products():
    # A year of 365 days on a million at 3.65 %: 36,500 on ACT/365, 37,006.94 on ACT/360, 36,500 on 30E/360.
    for basis, yuan in (("ACT/365", "36500"), ("ACT/360", "37006.94"), ("30E/360", "36500")):
        assert debt_of(books(terms(bps=365, days=400, basis=basis), [], 365).book).interest == Money.from_yuan(yuan)


def test_an_annuity_falls_due_level_and_its_last_instalment_takes_the_remainder():
    agreed = LoanTerms("L", 1, 1, "b", "k", "p", Rate(600), date(2026, 1, 15), date(2027, 1, 15), "annuity", "30E/360")
    event = LoanEvent(Disbursement(value_on=date(2026, 1, 15), amount_fen=Money.from_yuan("120000")), 1)
    book = replay(agreed, [event], date(2026, 1, 15), STILL).book
    dues = projection(book, STILL)
    # 120,000 × 0.005 ÷ (1 − 1.005^−12) = 10,327.97
    assert (dues.interest + dues.principal).tolist()[:-1] == [1_032_797] * 11
    assert dues.interest.tolist()[:2] == [60_000, 55_136]
    assert int(dues.principal.sum()) == 12_000_000
    assert [date_of(day) for day in dues.due_on.tolist()][-1] == date(2027, 1, 15)


def test_no_principal_falls_due_in_the_months_of_least_sun():
    agreed = LoanTerms(
        "L", 1, 1, "b", "k", "p", Rate(480), date(2026, 1, 15), date(2027, 7, 15), "annuity", "30E/360",
        interest_only_months=(12, 1, 2),
    )  # fmt: skip
    event = LoanEvent(Disbursement(value_on=date(2026, 1, 15), amount_fen=Money.from_yuan("140000")), 1)
    dues = projection(replay(agreed, [event], date(2026, 1, 15), STILL).book, STILL)
    months = [date_of(day).month for day in dues.due_on.tolist()]
    principal = dict(zip(zip(months, range(18), strict=True), dues.principal.tolist(), strict=True))
    assert all(amount == 0 for (month, _), amount in principal.items() if month in {12, 1, 2})
    assert all(amount > 0 for (month, _), amount in principal.items() if month not in {12, 1, 2})
    assert int(dues.principal.sum()) == 14_000_000


def test_early_repayment_shortens_or_lowers_as_the_product_says():
    agreed = terms("annuity", 600, 365, "30E/360")
    events = [paid(31, "200000", shorten=True)]
    shorter = projection(books(agreed, events, 31).book, STILL)
    lower = projection(books(agreed, [without(events[0], shorten=False)], 31).book, STILL)
    assert len(shorter) < len(lower)
    assert lower.principal[1] < shorter.principal[1]


def test_penal_interest_runs_on_what_is_overdue_and_is_paid_first():
    agreed = terms(bps=360, days=90, penal_bps=180)
    done = books(agreed, [], 100)
    # Ten days at 1.8 % on a million, and at 5.4 % on 9,000 of interest that fell due on day 90.
    assert debt_of(done.book).penal == Money.from_yuan("500") + Money.from_yuan("13.50")
    split = books(agreed, [paid(100, "600")], 100).splits[1]
    assert (split.penal, split.interest, split.principal) == (
        Money.from_yuan("513.50"), Money.from_yuan("86.50"), Money(0),
    )  # fmt: skip


def test_from_ninety_one_days_late_principal_comes_first_but_not_from_a_sale():
    agreed = terms(bps=360, days=90, principal_first=True)
    assert books(agreed, [paid(181, "1000")], 181).splits[1].principal == Money.from_yuan("1000")
    assert books(agreed, [paid(180, "1000")], 180).splits[1].interest == Money.from_yuan("1000")
    sale = happened(Disposal, 181, "1000", 1)
    assert books(agreed, [sale], 181).splits[1].interest == Money.from_yuan("1000")


def test_days_past_due_follow_the_oldest_unpaid_instalment():
    agreed = terms("equal_principal", 360, 181, "30E/360")
    late = books(agreed, [], 100).book
    assert date_of(int(late.oldest_due_on[0])) == date(2026, 2, 5)
    # Interest of every month is paid before principal, so one instalment's principal is left to pay the oldest.
    enough = Money(int(late.interest_due[0] + books(agreed, [], 31).book.principal_due[0]))
    better = books(agreed, [LoanEvent(Repayment(value_on=on(99), amount_fen=enough), 1)], 100).book
    assert date_of(int(better.oldest_due_on[0])) > date(2026, 2, 5)


def test_day_by_day_gives_what_one_jump_gives():
    agreed = terms("annuity", 523, 300, "ACT/365", penal_bps=260, interest_only_months=(4,))
    jump = books(agreed, [], 400)
    steps = books(agreed, [], 0)
    for day in range(1, 401):
        steps.dues = steps.dues.and_(advance(steps.book, day_of(on(day)), STILL))
    assert all(np.array_equal(getattr(jump.book, name), getattr(steps.book, name)) for name in jump.book.names())


def test_events_entered_in_any_order_give_the_same_books():
    agreed = terms("annuity", 480, 365, "ACT/360", penal_bps=240)
    events = [
        paid(31, "90000", 1),
        paid(75, "30000", 2),
        happened(RateChange, 80, sequence=3, annual_rate_bps=Rate(430)),
        paid(140, "250000", 4),
        happened(Disbursement, 60, "50000", 5),
    ]
    expected = books(agreed, events, 200).book
    for order in permutations(events):
        entered = [replace(event, sequence=place) for place, event in enumerate(order, start=1)]
        found = books(agreed, entered, 200).book
        assert all(np.array_equal(getattr(expected, name), getattr(found, name)) for name in found.names())


def test_a_reversed_payment_leaves_no_trace_in_the_books():
    agreed = terms("annuity", 480, 365)
    events = [drawn(), paid(31, "90000", 1), paid(62, "90000", 2)]
    without = replay(agreed, [events[0], events[2]], on(100), STILL).book
    reversed_ = replay(agreed, reversal_of(events, 1), on(100), STILL).book
    assert all(np.array_equal(getattr(without, name), getattr(reversed_, name)) for name in without.names())
    with pytest.raises(InvalidState):
        reversal_of(events, 9)


def test_a_frozen_loan_accrues_nothing():
    events = [happened(Freeze, 10, sequence=1), happened(Unfreeze, 70, sequence=2)]
    assert debt_of(books(terms(), events, 90).book).interest == debt_of(books(terms(), [], 30).book).interest


def test_a_full_holiday_defers_principal_and_interest_and_a_plain_one_principal():
    agreed = terms("equal_principal", 360, 365, "30E/360")
    until = on(120)
    plain = books(agreed, [happened(Holiday, 1, sequence=1, until=until)], 121)
    full = books(agreed, [happened(Holiday, 1, sequence=1, until=until, full=True)], 121)
    assert int(plain.dues.principal.sum()) == int(full.dues.principal.sum()) == 0
    assert int(plain.dues.interest.sum()) > int(full.dues.interest.sum()) == 0
    assert int(plain.book.interest_accrued[0]) == int(full.book.interest_accrued[0])


def test_a_restructuring_turns_arrears_into_a_new_schedule_that_its_projection_agrees_with():
    agreed = terms("equal_principal", 360, 181, "30E/360", penal_bps=180)
    event = happened(
        Restructuring, 100, sequence=1, until=on(500), capitalised=True, scheme="annuity", annual_rate_bps=Rate(300)
    )
    before = debt_of(books(agreed, [], 100).book)
    done = books(agreed, [event], 100)
    assert debt_of(done.book).principal == before.total
    assert int(done.book.oldest_due_on[0]) < 0
    dues = projection(done.book, STILL)
    assert int(dues.principal.sum()) == before.total.fen
    assert date_of(int(dues.due_on[-1])) == on(500)
    with pytest.raises(InvalidState):
        books(agreed, [without(event, capitalised=False)], 100)


def test_write_off_and_recovery_up_to_the_loss():
    events = [
        happened(WriteOff, 200, sequence=1),
        happened(Recovery, 250, "400000", 2),
        happened(Recovery, 251, "9000000", 3),
    ]
    loss = debt_of(books(terms(), [], 200).book).total
    done = books(terms(), events, 260)
    assert state_of(done.book) is LoanState.WRITTEN_OFF
    assert done.splits[2].principal + done.splits[3].principal == loss
    assert done.splits[3].refund == Money.from_yuan("9400000") - loss
    with pytest.raises(InvalidState):
        books(terms(), [happened(Recovery, 250, "1", 1)], 260)


def test_a_floating_rate_follows_the_prime_rate_and_a_missing_one_is_refused():
    table = PrimeTable(np.array([day_of(START), day_of(on(80))]), np.array([300, 250]))
    agreed = terms("interest_only", 395, 365, spread_bps=95, reset_months=3)
    book = books(agreed, [], 120, Market((table,))).book
    assert int(book.rate_bps[0]) == 345
    with pytest.raises(ParameterMissing):
        books(agreed, [], 120)


def test_a_due_day_moves_to_a_business_day_and_an_unknown_calendar_is_refused():
    agreed = terms("interest_only", shifted=True)
    with pytest.raises(CalendarMissing):
        books(agreed, [], 0)
    table = np.arange(day_of(date(2100, 1, 1)))
    table[day_of(date(2026, 2, 5))] = day_of(date(2026, 2, 6))
    book = books(agreed, [], 0, Market(payable_on=table)).book
    assert date_of(int(book.next_due_on[0])) == date(2026, 2, 6)


def test_an_event_before_signing_is_refused():
    with pytest.raises(PeriodInvalid):
        books(terms(), [paid(-1, "1")], 10)


def test_a_preview_changes_nothing():
    book = books(terms(), [], 30).book
    kept = book.copy()
    projection(book, STILL)
    assert all(np.array_equal(getattr(book, name), getattr(kept, name)) for name in book.names())


def test_a_million_loans_and_one_loan_obey_the_same_rules():
    agreed = [terms(scheme, 395, 181, "30E/360") for scheme in ("bullet", "annuity", "equal_principal")]
    together = [replay(each, [drawn()], START, STILL).book for each in agreed]
    many = type(together[0]).joined(together)
    advance(many, day_of(on(100)), STILL)
    split = pay(many, np.full(3, 5_000_000))
    for place, each in enumerate(agreed):
        done = books(each, [paid(100, "50000")], 100)
        assert debt_of(done.book) == debt_of(many, place)
        one = allocation_of(type(split)(*(getattr(split, name)[place : place + 1] for name in split.__slots__)))
        assert one == done.splits[1]
    assert len(open_book(agreed[0])) == 1
