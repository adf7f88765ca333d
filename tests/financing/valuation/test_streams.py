from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import exp

import numpy as np
import pytest

from financing.base.errors import CreditsNotIssued, RiskInputInvalid
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import EmissionFactor, Energy, Money, Price, Rate
from financing.market.prices.model import Marked
from financing.valuation.pools import require_issued, value_lot, value_pool
from financing.valuation.price_models.forward_curve import CarryCurve, ReversionCurve, curve_points
from financing.valuation.price_models.processes import MeanReverting
from financing.valuation.streams.income import FutureStream, age_in_years, degradation, value_stream
from financing.valuation.streams.pv_yield import calibrated, clear_sky_months
from financing.valuation.streams.receivables import ElectricityReceivable, value_receivable

ON = date(2026, 11, 20)
PARAMETERS = load_parameters()
RULE = PARAMETERS.stream_rule("pv_suzhou", ON)
YIELDS = calibrated(RULE)
FACTOR = PARAMETERS.grid_factor("jiangsu_average_2022", ON).factor
FLAT = CarryCurve(30.0, 0.0)
STREAM = FutureStream("plant", 1_000_000, date(2026, 12, 1), date(2026, 12, 1), 3, Rate(10_000))


def test_the_yield_has_the_published_quantiles():
    assert (YIELDS.p90, YIELDS.p50) == (pytest.approx(1_000.0), pytest.approx(1_042.1132))
    drawn = YIELDS.drawn(1, 100_000, seed=1).sum(axis=(1, 2))
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx([1_000, 1_042.1, 1_086], rel=0.002)


def test_the_level_stays_with_a_plant_while_months_come_and_go():
    yearly = YIELDS.drawn(10, 20_000, seed=2).sum(axis=2)
    between = np.corrcoef(np.log(yearly[:, 0]), np.log(yearly[:, 9]))[0, 1]
    spread = np.log(1_086 / 1_000) / (2 * 1.2815515655446004)
    assert between == pytest.approx((YIELDS.level_sd / spread) ** 2, abs=0.03)


def test_what_the_plant_makes_of_the_sun_is_what_plants_make_of_it():
    # Fitted to published hours, not to this ratio: roofs of the region have one between 0.75 and 0.85.
    assert 0.75 < YIELDS.performance < 0.85
    sun = clear_sky_months(RULE)
    assert sun.argmax() in (4, 5, 6)
    assert sun[6] / sun[11] > 1.5
    assert YIELDS.p90_months().sum() == pytest.approx(1_000.0)


def test_months_that_vary_more_than_years_are_refused():
    with pytest.raises(RiskInputInvalid):
        calibrated(RULE.model_copy(update={"month_sd": 0.5}))
    with pytest.raises(RiskInputInvalid):
        YIELDS.drawn(0, 1, 1)


def test_a_stream_is_worth_volume_times_price_times_delivery_discounted():
    found = value_stream(STREAM, RULE, YIELDS, FACTOR, FLAT)
    first = found.rows[0]
    assert first.energy_p90.wh == pytest.approx(1_000_000 * 1_000 * 0.98, abs=2)
    assert first.reduction_p90 == FACTOR.reduction_of(first.energy_p90)
    assert first.at_p90 == Money(int(first.reduction_p90.kg * 3.0 * 0.97 * exp(-0.058)))
    assert found.rows[2].at_p90 == Money(int(found.rows[2].reduction_p90.kg * 3.0 * 0.97**3 * exp(-0.174)))
    assert found.at_p90 == sum((row.at_p90 for row in found.rows), Money(0))
    assert found.at_p90 < found.expected
    assert found.lendable == found.at_p90.scaled_floor(Rate(2_500).fraction())
    assert [row.number for row in found.rows] == [1, 2, 3]


def test_degradation_counts_from_connection():
    assert float(degradation(RULE, 1)) == pytest.approx(0.98)
    assert float(degradation(RULE, 3)) == pytest.approx(0.98 * 0.9945**2)
    older = replace(STREAM, connected_on=date(2024, 12, 2))
    assert age_in_years(older.connected_on, older.starts_on) == 1
    assert (
        value_stream(older, RULE, YIELDS, FACTOR, FLAT).at_p90 < value_stream(STREAM, RULE, YIELDS, FACTOR, FLAT).at_p90
    )
    for refused in (lambda: degradation(RULE, 0), lambda: age_in_years(ON, date(2020, 1, 1))):
        with pytest.raises(RiskInputInvalid):
            refused()


@pytest.mark.parametrize(
    "change",
    [{"capacity_w": 0}, {"years": 0}, {"years": 26}, {"starts_on": date(2020, 1, 1)}, {"creditable": Rate(10_001)}],
)
def test_an_impossible_stream_is_refused(change):
    with pytest.raises(RiskInputInvalid):
        replace(STREAM, **change)


def test_a_stream_is_never_a_lot():
    found = Marked("PHCER", Price(3_000), datetime(2026, 11, 20, tzinfo=UTC), timedelta(0), "x")
    classes = PARAMETERS.classes_on(ON)
    for refused in (
        lambda: require_issued(STREAM),
        lambda: value_lot(STREAM, found, classes["PHCER"]),
        lambda: value_pool([STREAM], {"PHCER": found}, classes),
    ):
        with pytest.raises(CreditsNotIssued):
            refused()


def test_a_receivable_has_its_seasons_and_two_payers():
    one = ElectricityReceivable("plant", 1_000_000, date(2026, 1, 1), date(2026, 1, 1), 12, Rate(7_000))
    found = value_receivable(one, RULE, YIELDS)
    assert [row.starts_on.month for row in found.rows] == list(range(1, 13))
    july, december = found.rows[6], found.rows[11]
    assert july.energy_p90.wh > 1.5 * december.energy_p90.wh
    assert sum(row.energy_p90.wh for row in found.rows) == pytest.approx(980_000_000, rel=1e-6)
    kwh = july.energy_p90.wh / 1000
    assert july.self_use.fen == pytest.approx(kwh * 0.7 * 60, abs=1)
    assert july.feed_in.fen == pytest.approx(kwh * 0.3 * 39, abs=1)
    assert july.present.fen == pytest.approx((july.self_use + july.feed_in).fen * exp(-0.058 * 7 / 12), abs=1)
    sold = value_receivable(replace(one, self_use=Rate(0)), RULE, YIELDS)
    assert sold.at_p90 < found.at_p90
    later = value_receivable(replace(one, months=14), RULE, YIELDS)
    assert later.rows[13].energy_p90 < later.rows[1].energy_p90
    assert later.rows[13].starts_on == date(2027, 2, 1)


@pytest.mark.parametrize(
    "change", [{"capacity_w": 0}, {"months": 0}, {"starts_on": date(2026, 1, 2)}, {"self_use": Rate(-1)}]
)
def test_an_impossible_receivable_is_refused(change):
    one = ElectricityReceivable("plant", 1_000_000, date(2026, 1, 1), date(2026, 1, 1), 12, Rate(7_000))
    with pytest.raises(RiskInputInvalid):
        replace(one, **change)


def test_forward_curves():
    assert CarryCurve(30.0, 0.05, 0.02).at(2.0) == pytest.approx(30 * exp(0.06))
    model = MeanReverting(1.27, 59.7, 0.421)
    points = curve_points(ReversionCurve(30.0, model), [0.0, 1.0, 5.0, 50.0])
    assert points[0] == pytest.approx(30.0)
    assert list(points) == sorted(points)
    assert points[-1] == pytest.approx(59.7 * exp(0.421**2 / (4 * 1.27)))
    for refused in (lambda: CarryCurve(0.0, 0.0), lambda: ReversionCurve(-1.0, model), lambda: FLAT.at(-1.0)):
        with pytest.raises(RiskInputInvalid):
            refused()


def test_no_factor_no_tonnes():
    nothing = value_stream(STREAM, RULE, YIELDS, EmissionFactor(0), FLAT)
    assert (nothing.at_p90, nothing.rows[0].energy_p90 > Energy(0)) == (Money(0), True)
