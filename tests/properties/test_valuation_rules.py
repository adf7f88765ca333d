"""What must hold of marks, haircuts, tails, streams and reverse stress for every input."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from financing.base.errors import FinancingError, PriceImplausible, SeriesInvalid
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, EmissionFactor, Money, Price, Rate
from financing.lending.collateral.coverage import CoverageStatus, coverage
from financing.market.prices.model import Marked, PriceObservation
from financing.valuation.evidence import TradeObservation, price_from_quote
from financing.valuation.interval_marks import IntervalMark, interval_mark, lot_value
from financing.valuation.pools import Lot, value_pool
from financing.valuation.portfolio.reverse_stress import breaking_fall
from financing.valuation.portfolio.stress import SecuredLoan, fallen_marks
from financing.valuation.price_models.forward_curve import CarryCurve
from financing.valuation.price_models.haircuts import price_move
from financing.valuation.price_models.processes import JumpDiffusion
from financing.valuation.price_models.series import PriceSeries
from financing.valuation.price_models.tail_risk import jump_tail
from financing.valuation.streams.income import FutureStream, value_stream
from financing.valuation.streams.pv_yield import calibrated

AT, ON = datetime(2026, 11, 20, tzinfo=UTC), date(2026, 11, 20)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(ON)
PHCER = CLASSES["PHCER"]
RULE = PARAMETERS.valuation_rule("PHCER", ON)
STREAMS = PARAMETERS.stream_rule("pv_suzhou", ON)
YIELDS = calibrated(STREAMS)
ALLOWANCE = Marked("CEA", Price(7_130), AT, timedelta(0), "x")

trades = st.lists(
    st.tuples(st.integers(1, 100_000), st.integers(0, 200), st.none() | st.integers(1, 10**9)), min_size=1, max_size=12
)


def seen(rows, factor=1, *, confirmed=False):
    return tuple(
        TradeObservation(
            PriceObservation("PHCER", Price(fen * factor), AT - timedelta(days=age), "x", confirmed),
            None if kg is None else Carbon(kg),
            "deal",
        )
        for fen, age, kg in rows
    )


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(trades)
def test_a_mark_lies_in_its_interval_and_is_positive(rows):
    found = interval_mark(seen(rows), PHCER, RULE, AT, ALLOWANCE)
    if isinstance(found, IntervalMark):
        assert Price(0) < found.price
        assert Price(0) <= found.low <= found.price <= found.high
        assert 0 <= found.own_weight_ppm <= 1_000_000


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(trades, st.integers(2, 5))
def test_a_mark_never_falls_when_every_trade_is_higher(rows, factor):
    low = interval_mark(seen(rows, confirmed=True), PHCER, RULE, AT, ALLOWANCE)
    high = interval_mark(seen(rows, factor, confirmed=True), PHCER, RULE, AT, ALLOWANCE)
    assert isinstance(low, IntervalMark) == isinstance(high, IntervalMark)
    if isinstance(low, IntervalMark) and isinstance(high, IntervalMark):
        assert low.price <= high.price


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(trades, st.sampled_from([100, 1_000]))
def test_a_price_out_of_all_scale_is_never_the_mark(rows, factor):
    """A hundredfold latest price is unpriced, whatever came before it."""
    sane = tuple((3_000, age + 1, kg) for _, age, kg in rows)
    wild = seen([(3_000 * factor, 0, 1_000)])
    assert not isinstance(interval_mark((*seen(sane), *wild), PHCER, RULE, AT, ALLOWANCE), IntervalMark)


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_quote_is_a_positive_price_or_refused(yuan):
    try:
        assert price_from_quote(yuan, "PHCER") > Price(0)
    except PriceImplausible:
        assert not 0.01 <= yuan <= 1e10


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(st.integers(0, 299), st.sampled_from([nan, inf, -inf, 0.0, -1.0]))
def test_no_series_hides_a_bad_price(place, bad):
    prices = [30.0 + i % 5 for i in range(300)]
    prices[place] = bad
    with pytest.raises(SeriesInvalid):
        PriceSeries("x", tuple(ON + timedelta(days=i) for i in range(300)), tuple(prices))


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(0, 20), st.sampled_from(["A", "BBB", "unrated", "B"]))
def test_a_lot_s_value_grows_with_price_and_shrinks_with_age(kg, fen, age, grade):
    value = lot_value(Carbon(kg), Price(fen), RULE, age, grade)
    assert Money(0) <= value <= lot_value(Carbon(kg), Price(fen + 1), RULE, age, grade)
    assert lot_value(Carbon(kg), Price(fen), RULE, age + 1, grade) <= value
    assert lot_value(Carbon(kg), Price(fen), RULE, age, grade, stressed=True) <= value


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(st.floats(0.01, 3.0), st.integers(1, 252))
def test_a_haircut_grows_with_volatility_and_time_and_is_a_share(volatility, days):
    found = price_move(volatility, days)
    assert Rate(0) < found <= Rate(10_000)
    assert found <= price_move(volatility * 1.1, days)
    assert found <= price_move(volatility, days + 1)


@settings(max_examples=sized(26, 800), deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.0, 100.0), st.floats(-0.1, 0.1), st.floats(0.0, 0.3), st.integers(1, 252))
def test_a_tail_is_a_share_and_its_mean_lies_beyond_it(sigma, rate, mean, sd, days):
    tail = jump_tail(JumpDiffusion(0.0, sigma, rate, mean, sd), days)
    assert 0.0 <= tail.var <= 1.0
    assert tail.var - 1e-9 <= tail.es <= 1.0
    assert np.isfinite([tail.var, tail.es]).all()


@settings(max_examples=sized(50, 1_500), deadline=None)
@given(st.integers(1, 10**7), st.integers(1, 10), st.floats(0.01, 500.0), st.integers(0, 1_000_000))
def test_a_stream_s_value_grows_with_price_and_factor_and_is_never_negative(watts, years, yuan, mg):
    stream = FutureStream("x", watts, ON, ON, years, Rate(10_000))
    curve = CarryCurve(yuan, 0.02)
    value = value_stream(stream, STREAMS, YIELDS, EmissionFactor(mg), curve)
    assert Money(0) <= value.lendable <= value.at_p90 <= value.expected
    dearer = value_stream(stream, STREAMS, YIELDS, EmissionFactor(mg), replace(curve, spot=yuan * 1.5))
    assert value.at_p90 <= dearer.at_p90
    assert value.at_p90 <= value_stream(stream, STREAMS, YIELDS, EmissionFactor(mg + 1_000), curve).at_p90


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(CLASSES)), st.integers(1, 10**8)), min_size=1, max_size=4),
    st.integers(1, 10**10),
    st.fixed_dictionaries({key: st.integers(1, 20_000) for key in CLASSES}),
)
def test_the_smallest_fall_is_the_smallest(lots, debt, prices):
    held = tuple(Lot("a", key, Carbon(kg)) for key, kg in lots)
    marks = {key: Marked(key, Price(fen), AT, timedelta(0), "x") for key, fen in prices.items()}
    loan = SecuredLoan("l", Money(debt), held, Rate(100))

    def broken(owed, pool):
        return coverage(owed, pool).status is CoverageStatus.LIQUIDATE

    fall = breaking_fall(loan, marks, CLASSES, broken)
    # A debt is never below the lines of a pool without value, so something always breaks it.
    assert fall is not None
    assert broken(loan.debt, value_pool(held, fallen_marks(marks, fall), CLASSES))
    if fall:
        assert not broken(loan.debt, value_pool(held, fallen_marks(marks, Rate(fall.bps - 1)), CLASSES))


@settings(max_examples=sized(25, 500), deadline=None)
@given(st.sampled_from([nan, inf, -inf]), st.sampled_from(["spot", "rate", "convenience"]))
def test_a_curve_takes_no_number_that_is_none(bad, field):
    with pytest.raises(FinancingError):
        replace(CarryCurve(30.0, 0.02), **{field: bad})
