from datetime import UTC, date, datetime, timedelta

import pytest

from financing.base.errors import ParameterMissing, PriceImplausible, PriceMissing, PriceStale, QuantityOutOfRange
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price
from financing.market.prices.model import Marked, PriceObservation, Unpriced, admit, mark, require_marked
from financing.valuation.pools import Lot, PoolUnpriced, PoolValue, require_priced, value_pool

AT = datetime(2026, 11, 22, tzinfo=UTC)
CLASSES = load_parameters().classes_on(date(2026, 11, 22))
PHCER = CLASSES["PHCER"]


def seen(yuan: str, age_days: float = 0, *, confirmed: bool = False, asset_class: str = "PHCER") -> PriceObservation:
    return PriceObservation(
        asset_class, Price.from_yuan_per_tonne(yuan), AT - timedelta(days=age_days), "SIP", confirmed
    )


def test_a_price_within_the_band_is_admitted():
    for yuan in ("30", "39", "21"):
        assert admit(seen(yuan), seen("30", 1), PHCER, AT).price == Price.from_yuan_per_tonne(yuan)
    assert admit(seen("3000"), None, PHCER, AT).price == Price.from_yuan_per_tonne("3000")


@pytest.mark.parametrize("yuan", ["39.01", "20.99", "3000", "0.3"])
def test_a_jump_needs_confirmation(yuan):
    with pytest.raises(PriceImplausible):
        admit(seen(yuan), seen("30", 1), PHCER, AT)
    assert admit(seen(yuan, confirmed=True), seen("30", 1), PHCER, AT).confirmed


def test_a_band_of_more_than_all_is_measured_by_division():
    wide = PHCER.model_copy(update={"price_jump_bps_max": 10_000})
    assert admit(seen("15"), seen("30", 1), wide, AT)
    with pytest.raises(PriceImplausible):
        admit(seen("14.99"), seen("30", 1), wide, AT)


@pytest.mark.parametrize(
    "observation",
    [
        seen("0", confirmed=True),
        seen("-30", confirmed=True),
        seen("30", -1),
        seen("30", 2),
        seen("30", asset_class="CEA"),
    ],
)
def test_an_impossible_price_is_refused_even_when_confirmed(observation):
    with pytest.raises(PriceImplausible):
        admit(observation, seen("30", 1), PHCER, AT)


def test_a_mark_is_the_latest_price_known_by_then():
    found = mark([seen("28", 3), seen("30", 1), seen("99", -1), seen("70", asset_class="CEA")], AT, PHCER)
    assert isinstance(found, Marked)
    assert (found.price, found.age) == (Price.from_yuan_per_tonne("30"), timedelta(days=1))


def test_of_equally_late_prices_the_lower_one_counts():
    assert mark([seen("30"), seen("29")], AT, PHCER) == mark([seen("29"), seen("30")], AT, PHCER)
    assert require_marked(mark([seen("30"), seen("29")], AT, PHCER)).price == Price.from_yuan_per_tonne("29")


@pytest.mark.parametrize(
    ("observations", "reason", "refusal"),
    [
        ([], "missing", PriceMissing),
        ([seen("30", 30.001)], "stale", PriceStale),
        ([seen("30", 1), seen("0")], "implausible", PriceImplausible),
        ([seen("30", -1)], "missing", PriceMissing),
    ],
)
def test_without_a_usable_price_there_is_no_mark(observations, reason, refusal):
    found = mark(observations, AT, PHCER)
    assert isinstance(found, Unpriced)
    assert found.reason == reason
    with pytest.raises(refusal):
        require_marked(found)


def test_a_price_is_usable_to_its_last_day():
    assert isinstance(mark([seen("30", 30)], AT, PHCER), Marked)


def test_a_mixed_pool_is_the_sum_of_its_lots_each_by_its_own_haircut():
    marks = {
        "PHCER": mark([seen("30")], AT, PHCER),
        "CEA": mark([seen("70", asset_class="CEA")], AT, CLASSES["CEA"]),
    }
    lots = [Lot("a", "PHCER", Carbon.from_tonnes(1_000)), Lot("b", "CEA", Carbon.from_tonnes(100))]
    pool = value_pool(lots, marks, CLASSES)
    assert isinstance(pool, PoolValue)
    assert pool.market == Money.from_yuan("37000")
    assert pool.after_haircut == pool.lendable == Money.from_yuan("18400")
    assert require_priced(pool) is pool


def test_one_unpriced_lot_makes_the_pool_unpriced_never_smaller():
    lots = [Lot("a", "PHCER", Carbon.from_tonnes(1)), Lot("b", "CEA", Carbon.from_tonnes(1_000_000))]
    stale = mark([seen("30", 99)], AT, PHCER)
    pool = value_pool(lots, {"PHCER": stale, "CEA": Marked("CEA", Price(7_000), AT, timedelta(0), "x")}, CLASSES)
    assert isinstance(pool, PoolUnpriced)
    assert pool.missing == (stale,)
    with pytest.raises(PriceStale):
        require_priced(pool)
    with pytest.raises(PriceMissing):
        require_priced(value_pool(lots, {}, CLASSES))
    with pytest.raises(ParameterMissing):
        value_pool([Lot("a", "GOLD", Carbon(1))], {}, CLASSES)
    with pytest.raises(QuantityOutOfRange):
        Lot("a", "PHCER", Carbon(0))
