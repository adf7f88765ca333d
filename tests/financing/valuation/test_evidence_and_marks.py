from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import exp, inf, log, nan, sqrt

import pytest

from financing.base.errors import ParameterMissing, PriceImplausible, QuantityOutOfRange
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price
from financing.market.prices.model import Marked, PriceObservation, Unpriced
from financing.valuation.evidence import TradeObservation, price_from_quote, screen, weighted_average
from financing.valuation.interval_marks import IntervalMark, interval_mark, lot_value

AT = datetime(2026, 11, 20, tzinfo=UTC)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(date(2026, 11, 20))
PHCER, CEA = CLASSES["PHCER"], CLASSES["CEA"]
RULE = PARAMETERS.valuation_rule("PHCER", date(2026, 11, 20))
ALLOWANCE = Marked("CEA", Price(7_130), AT, timedelta(0), "SEEE")


def trade(yuan, age_days, tonnes=100, *, kind="deal", confirmed=False, asset_class="PHCER"):
    seen = PriceObservation(
        asset_class, Price.from_yuan_per_tonne(yuan), AT - timedelta(days=age_days), "SIP", confirmed
    )
    return TradeObservation(seen, None if tonnes is None else Carbon.from_tonnes(tonnes), kind)


def marked(*seen, reference=ALLOWANCE, policy=PHCER, rule=RULE):
    return interval_mark(seen, policy, rule, AT, reference)


@pytest.mark.parametrize("yuan", [None, nan, inf, -inf, 0, -30.0, 0.004, Decimal("NaN"), 1e12])
def test_a_feed_s_price_that_is_none_is_refused(yuan):
    with pytest.raises(PriceImplausible):
        price_from_quote(yuan, "PHCER")


def test_a_feed_s_price_is_taken_to_the_fen():
    assert price_from_quote(30.005, "PHCER") == Price(3_000)
    assert price_from_quote(Decimal("30.01"), "PHCER") == Price(3_001)


def test_zero_prices_and_volumes_are_no_observations():
    with pytest.raises(PriceImplausible):
        trade("0", 1)
    with pytest.raises(QuantityOutOfRange):
        trade("30", 1, 0)


def test_an_average_weighs_by_volume_and_what_has_none_weighs_nothing():
    found = weighted_average([trade("30", 1, 300), trade("34", 2, 100), trade("90", 3, None)], AT, 20)
    assert found is not None
    assert (found.price, found.volume, found.trades, found.unweighted) == (Price(3_100), Carbon(400_000), 2, 1)
    logs = [log(3_000), log(3_400)]
    mean = 0.75 * logs[0] + 0.25 * logs[1]
    assert found.dispersion == pytest.approx(sqrt(0.75 * (logs[0] - mean) ** 2 + 0.25 * (logs[1] - mean) ** 2))


def test_there_is_no_average_of_quotes_or_of_unknown_volumes():
    assert weighted_average([trade("30", 1, None), trade("30", 1, 50, kind="quote")], AT, 20) is None
    assert marked(trade("30", 1, None)) == Unpriced("PHCER", "missing", AT - timedelta(days=1))
    assert marked() == Unpriced("PHCER", "missing", None)


def test_a_window_leaves_out_what_is_older():
    found = weighted_average([trade("30", 20), trade("33", 19)], AT, 20)
    assert found is not None
    assert found.price == Price(3_300)


def test_a_fresh_mark_is_all_its_own():
    found = marked(trade("30", 1, 300), trade("34", 2, 100), reference=None)
    assert isinstance(found, IntervalMark)
    assert (found.price, found.own_weight_ppm, found.age) == (Price(3_100), 1_000_000, timedelta(days=1))
    half = 1.645 * sqrt(0.42**2 / 365 + found.average.dispersion**2)
    assert found.low == Price(int(3_100 * exp(-half)))
    assert found.low < found.price < found.high
    assert found.as_mark().price == found.price


def test_a_stale_mark_leans_on_the_allowance():
    # 30 days fresh, half-life 30: after 60 days half 30.00 and half 0.33 · 71.30 = 23.529 (down to 23.52).
    found = marked(trade("30", 60))
    assert isinstance(found, IntervalMark)
    assert (found.own_weight_ppm, found.price) == (500_000, Price(2_676))
    half = 1.645 * sqrt(0.42**2 * 60 / 365 + 0.25 * log(3_000 / 2_352) ** 2)
    assert found.low == Price(int(2_676 * exp(-half)))
    assert "own weight 0.50" in found.source


def test_the_interval_widens_with_age():
    widths = []
    for age in (0, 10, 30, 60, 120):
        found = marked(trade("30", age))
        assert isinstance(found, IntervalMark)
        widths.append(log(found.high.amount / found.low.amount))
    assert widths == sorted(widths)


def test_what_is_too_old_or_has_nothing_to_lean_on_is_stale():
    assert isinstance(marked(trade("30", 180)), IntervalMark)
    for found in (
        marked(trade("30", 181)),
        marked(trade("30", 60), reference=None),
        marked(trade("30", 60), reference=Unpriced("CEA", "stale")),
    ):
        assert isinstance(found, Unpriced)
        assert found.reason == "stale"
    allowance = PARAMETERS.valuation_rule("CEA", date(2026, 11, 20))
    own = marked(trade("71", 11, asset_class="CEA"), policy=CEA, rule=allowance, reference=ALLOWANCE)
    assert own == Unpriced("CEA", "stale", AT - timedelta(days=11))


@pytest.mark.parametrize("yuan", ["3000", "0.30", "39.01", "20.99"])
def test_a_jump_is_never_a_mark_until_confirmed(yuan):
    found = marked(trade("30", 2), trade(yuan, 1))
    assert found == Unpriced("PHCER", "implausible", AT - timedelta(days=1))
    assert isinstance(marked(trade("30", 2), trade(yuan, 1, confirmed=True)), IntervalMark)


def test_a_suspect_between_good_trades_is_listed_and_left_out():
    found = marked(trade("30", 3), trade("3000", 2), trade("31", 1))
    assert isinstance(found, IntervalMark)
    assert (found.price, found.suspects) == (Price(3_050), 1)


def test_the_first_observation_is_held_against_the_allowance():
    assert isinstance(marked(trade("3000", 1)), Unpriced)
    assert isinstance(marked(trade("0.30", 1)), Unpriced)
    assert isinstance(marked(trade("150", 1)), IntervalMark)


def test_screening_knows_no_future_and_no_other_class():
    found = screen([trade("30", -1), trade("30", 1, asset_class="CEA"), trade("30", 2)], PHCER, AT)
    assert [each.at for each in found.accepted] == [AT - timedelta(days=2)]


def test_a_lot_is_worth_its_price_less_vintage_liquidity_and_quality():
    # 100 t · 30.00 · 0.95² · 0.975 · 1
    assert lot_value(Carbon.from_tonnes(100), Price(3_000), RULE, 2, "unrated") == Money(263_981)
    assert lot_value(Carbon.from_tonnes(100), Price(3_000), RULE, 0, "A") == Money(526_500)
    assert lot_value(Carbon.from_tonnes(100), Price(3_000), RULE, 0, "BB", stressed=True) == Money(175_500)


def test_an_unknown_rating_or_a_future_vintage_has_no_value():
    with pytest.raises(ParameterMissing):
        lot_value(Carbon(1), Price(1), RULE, 0, "AAAA")
    with pytest.raises(QuantityOutOfRange):
        lot_value(Carbon(1), Price(1), RULE, -1, "A")
