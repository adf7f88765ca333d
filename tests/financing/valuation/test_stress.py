from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from financing.base.errors import ParameterMissing, PriceMissing, RiskInputInvalid
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, EmissionFactor, Money, Price, Rate
from financing.lending.collateral.coverage import CoverageStatus, coverage
from financing.lending.collateral.margin import cash_cure
from financing.market.prices.model import Marked, Unpriced
from financing.valuation.pools import Lot, value_pool
from financing.valuation.portfolio.loan_book import ClassRisk, LoanBook
from financing.valuation.portfolio.reverse_stress import break_curve, breaking_fall, smallest_fall
from financing.valuation.portfolio.stress import (
    SecuredLoan,
    fallen_marks,
    scenario_factor,
    stressed_book,
    stressed_loan,
    stressed_stream,
)
from financing.valuation.price_models.forward_curve import CarryCurve
from financing.valuation.price_models.processes import JumpDiffusion
from financing.valuation.streams.income import FutureStream
from financing.valuation.streams.pv_yield import calibrated

AT, ON = datetime(2026, 11, 20, tzinfo=UTC), date(2026, 11, 20)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(ON)
RULES = {rule.key: rule for rule in PARAMETERS.valuation_rules.records}
SCENARIOS = {each.key: each for each in PARAMETERS.stress_scenarios_on(ON)}
FACTORS = {record.key: record.factor for record in PARAMETERS.grid_factors.records}
OM = FACTORS["east_china_operating_margin_2019"]
STREAMS = PARAMETERS.stream_rule("pv_suzhou", ON)
YIELDS = calibrated(STREAMS)
MARKS = {
    "PHCER": Marked("PHCER", Price(3_000), AT, timedelta(0), "x"),
    "CEA": Marked("CEA", Price(7_130), AT, timedelta(0), "x"),
}
# 1,000 t at 30: worth 30,000 yuan; 12,000 yuan of debt are 40 %.
LOAN = SecuredLoan("loan", Money(1_200_000), (Lot("a", "PHCER", Carbon(1_000_000)),), Rate(200))


def status(debt, pool):
    return coverage(debt, pool).status.label


def called(debt, pool):
    return coverage(debt, pool).status in (CoverageStatus.CALL, CoverageStatus.LIQUIDATE)


def under(key, loan=LOAN, marks=MARKS):
    return stressed_loan(loan, SCENARIOS[key], marks, CLASSES, RULES, status, cash_cure)


def test_a_price_fall_moves_statuses_and_asks_for_the_exact_cure():
    found = under("price_down_30")
    # 12,000 ÷ 21,000 = 57.1 %: at the warn line. The advance line is 45 % of 21,000.
    assert (found.status_before, found.status, found.cure) == ("healthy", "warn", Money(255_000))
    # 21,000 less 17 % brings 17,430.
    assert (found.loss_given_default, found.expected_loss) == (Money(0), Money(0))
    worse = under("price_down_50")
    # 15,000 · 0.83 = 12,450.
    assert (worse.status, worse.loss_given_default) == ("liquidate", Money(0))


def test_issued_credits_lose_nothing_by_factor_or_yield():
    for key in ("factor_jiangsu_2022", "factor_042", "yield_p90_year"):
        found = under(key)
        assert (found.status, found.cure) == ("healthy", Money(0))


def test_defaults_double_the_expected_loss_and_not_what_a_default_loses():
    deep = replace(LOAN, debt=Money(3_000_000))
    once, twice = under("price_down_30", deep), under("defaults_doubled", deep)
    assert twice.loss_given_default == Money(3_000_000 - 2_490_000)
    assert twice.expected_loss == Money(20_400)
    assert once.expected_loss == Money((3_000_000 - 1_743_000) * 200 // 10_000)


def test_a_frozen_market_has_no_price_and_a_sale_after_it_less():
    found = under("liquidity_freeze", replace(LOAN, debt=Money(3_000_000)))
    assert (found.status, found.cure) == ("unpriced", None)
    assert found.loss_given_default == Money(3_000_000 - 2_340_000)


def test_what_never_had_a_price_has_no_loss_of_zero():
    found = under("price_down_50", marks={})
    assert (found.status_before, found.status) == ("unpriced", "unpriced")
    assert (found.cure, found.loss_given_default, found.expected_loss) == (None, None, None)
    with pytest.raises(PriceMissing):
        breaking_fall(LOAN, {}, CLASSES, called)


def test_parameters_that_are_missing_stop_it():
    with pytest.raises(ParameterMissing):
        stressed_loan(LOAN, SCENARIOS["price_down_30"], MARKS, CLASSES, {}, status, cash_cure)
    with pytest.raises(ParameterMissing):
        scenario_factor(SCENARIOS["factor_jiangsu_2022"], OM, {})


def test_a_factor_never_rises_under_stress():
    assert scenario_factor(SCENARIOS["factor_jiangsu_2022"], OM, FACTORS) == EmissionFactor(597_800)
    low = EmissionFactor(400_000)
    for scenario in SCENARIOS.values():
        assert scenario_factor(scenario, low, FACTORS) == low


def test_a_stream_loses_tonnes_price_and_yield():
    stream = FutureStream("plant", 1_000_000, ON, ON, 3, Rate(10_000))
    curve = CarryCurve(30.0, 0.018)

    def value(key):
        return stressed_stream(stream, SCENARIOS[key], STREAMS, YIELDS, OM, FACTORS, curve)

    base = value("defaults_doubled")
    assert value("price_down_50").at_p90.fen == pytest.approx(base.at_p90.fen / 2, abs=3)
    assert value("factor_jiangsu_2022").reduction_p90.kg == pytest.approx(
        base.reduction_p90.kg * (1 - 0.2453), rel=1e-4
    )
    assert value("factor_042").reduction_p90.kg == pytest.approx(base.reduction_p90.kg * (1 - 0.4698), rel=1e-4)
    poor = value("yield_p90_year")
    assert poor.expected == poor.at_p90 == base.at_p90
    assert value("combined").at_p90 < value("price_down_50").at_p90


def test_a_book_under_every_scenario():
    model = JumpDiffusion(0.0, 0.24, 23.0, 0.0, 0.07)
    classes = (
        ClassRisk("PHCER", Price(3_000), model, 60, Rate(1_700)),
        ClassRisk("FUTURE", Price(3_000), model, 60, Rate(1_700), True),
    )
    ones = np.array([1_000, 1_000])
    book = LoanBook(ones, np.array([0.02, 0.6]), np.array([0.3, 0.3]), np.array([0, 1]), ones * 1_000, classes)

    def under_(key):
        return stressed_book(book, SCENARIOS[key], RULES, YIELDS, OM, FACTORS)

    assert under_("price_down_30").classes[0].price == Price(2_100)
    assert list(under_("factor_042").collateral) == [1_000_000, 530_200]
    assert list(under_("yield_p90_year").collateral) == [1_000_000, 959_588]
    assert list(under_("defaults_doubled").pd) == [0.04, 0.999]
    frozen = under_("liquidity_freeze").classes
    assert (frozen[0].sale_discount, frozen[0].sale_days) == (Rate(2_200), 123)
    assert (frozen[1].sale_discount, frozen[1].sale_days) == (Rate(1_700), 123)


def test_the_smallest_fall_breaks_and_one_basis_point_less_does_not():
    for line, broken in ((6_500, called), (5_500, lambda d, p: coverage(d, p).status is not CoverageStatus.HEALTHY)):
        fall = breaking_fall(LOAN, MARKS, CLASSES, broken)
        assert fall is not None
        assert broken(LOAN.debt, value_pool(LOAN.lots, fallen_marks(MARKS, fall), CLASSES))
        less = Rate(fall.bps - 1)
        assert not broken(LOAN.debt, value_pool(LOAN.lots, fallen_marks(MARKS, less), CLASSES))
        assert fall.bps == pytest.approx(10_000 * (1 - 0.4 / (line / 10_000)), abs=4)


def test_the_ends_of_a_bisection():
    assert smallest_fall(lambda fall: True) == Rate(0)
    assert smallest_fall(lambda fall: False) is None
    assert smallest_fall(lambda fall: fall.bps >= 1) == Rate(1)
    assert smallest_fall(lambda fall: fall.bps >= 10_000) == Rate(10_000)


def test_a_book_of_loans_breaks_by_share_of_debt():
    loans = [replace(LOAN, loan_id=f"l{i}", debt=Money(debt)) for i, debt in enumerate((1_200_000, 600_000, 1_900_000))]
    curve = break_curve(loans, MARKS, CLASSES, called)
    falls = [fall.bps for _, fall, _ in curve.loans if fall is not None]
    assert falls == sorted(falls)
    assert [loan_id for loan_id, _, _ in curve.loans] == ["l2", "l0", "l1"]
    assert curve.broken_at(Rate(falls[0])) == Money(1_900_000)
    assert curve.broken_at(Rate(falls[1])) == Money(3_100_000)
    assert curve.fall_breaking(Rate(5_000)) == Rate(falls[0])
    assert curve.fall_breaking(Rate(8_000)) == Rate(falls[1])
    with pytest.raises(RiskInputInvalid):
        curve.fall_breaking(Rate(0))


def test_fallen_marks_leave_the_unpriced_unpriced():
    gone = Unpriced("CCER", "missing")
    fallen = fallen_marks({**MARKS, "CCER": gone}, Rate(5_000))
    assert fallen["CCER"] is gone
    assert isinstance(fallen["CEA"], Marked)
    assert fallen["CEA"].price == Price(3_565)


def test_a_loan_without_debt_or_probability_is_refused():
    for change in ({"debt": Money(0)}, {"probability": Rate(0)}):
        with pytest.raises(RiskInputInvalid):
            replace(LOAN, **change)
