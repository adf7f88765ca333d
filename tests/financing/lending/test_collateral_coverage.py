"""Coverage, margin and release; the four defects seen in peers are named tests here."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from financing.base.errors import CoverageInsufficient, InvalidState, PriceImplausible, PriceMissing, PriceStale
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price, Rate
from financing.lending.collateral.coverage import CoverageStatus, coverage, require_releasable
from financing.lending.collateral.margin import cash_cure, collateral_cure, is_cured, judge, make_call
from financing.market.prices.model import Marked, Unpriced
from financing.valuation.pools import Lot, value_pool

AT = datetime(2026, 11, 22, 17, tzinfo=UTC)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(date(2026, 11, 22))
PRODUCT = PARAMETERS.product("phcer_pledge_loan", date(2026, 11, 22))
HALF = CLASSES["PHCER"].model_copy(update={"haircut_bps": 5_000, "advance_bps": 5_000, "warn_bps": 5_500})


def marked(asset_class="PHCER", fen=3_000):
    return Marked(asset_class, Price(fen), AT, timedelta(0), "SIP")


def pool(tonnes=10_000, fen=3_000, classes=CLASSES):
    return value_pool([Lot("a", "PHCER", Carbon.from_tonnes(tonnes))], {"PHCER": marked(fen=fen)}, classes)


@pytest.mark.parametrize("reason", ["missing", "stale", "implausible"])
def test_defect_1_no_value_is_not_no_shortfall(reason):
    unpriced = value_pool([Lot("a", "PHCER", Carbon(1))], {"PHCER": Unpriced("PHCER", reason)}, CLASSES)
    found = coverage(Money(1), unpriced)
    assert (found.status, found.shortfall, found.ltv, found.market) == (CoverageStatus.UNPRICED, None, None, None)
    assert coverage(Money(0), unpriced).status is CoverageStatus.UNPRICED
    assert not is_cured(Money(1), unpriced)
    for act in (
        lambda: cash_cure(Money(1), unpriced),
        lambda: make_call("L", Money(1), unpriced, PRODUCT, AT, PARAMETERS.china),
        lambda: require_releasable(Money(1), unpriced),
        lambda: collateral_cure(Money(1), pool(), Unpriced("PHCER", reason), CLASSES["PHCER"]),
    ):
        with pytest.raises((PriceMissing, PriceStale, PriceImplausible)):
            act()


def test_defect_2_the_cure_is_the_shortfall_divided_by_the_advance_rate():
    half = {"PHCER": HALF}
    debt = Money.from_yuan("1000000")
    held = pool(tonnes=8_000, fen=10_000, classes=half)
    assert held.market == Money.from_yuan("800000")
    cure = collateral_cure(debt, held, marked(fen=10_000), HALF)
    assert cash_cure(debt, held) == Money.from_yuan("600000")
    assert cure.value == Money.from_yuan("1200000")
    assert cure.quantity == cure.whole_tonnes == Carbon.from_tonnes(12_000)
    lots = [Lot("a", "PHCER", Carbon.from_tonnes(8_000)), Lot("b", "PHCER", Carbon.from_tonnes(6_000))]
    with_shortfall_only = value_pool(lots, {"PHCER": marked(fen=10_000)}, half)
    assert coverage(debt, with_shortfall_only).ltv == Rate(7_143)
    assert not is_cured(debt, with_shortfall_only)


def test_defect_3_a_mixed_pool_has_its_lines_per_asset():
    lots = [Lot("a", "PHCER", Carbon.from_tonnes(1_000)), Lot("b", "CEA", Carbon.from_tonnes(1_000))]
    mixed = value_pool(lots, {"PHCER": marked(), "CEA": marked("CEA", 7_000)}, CLASSES)
    found = coverage(Money.from_yuan("62500"), mixed)
    assert found.lines.advance == Money.from_yuan("62500")
    assert found.lines.warn == Money.from_yuan("69000")
    assert found.lines.call == Money.from_yuan("75500")
    assert found.lines.liquidate == Money.from_yuan("85500")
    assert (found.status, found.ltv, found.shortfall) == (CoverageStatus.HEALTHY, Rate(6_250), Money(0))


def test_defect_4_a_preview_changes_nothing():
    held = pool(fen=2_000)
    debt = Money.from_yuan("135000")
    before = (coverage(debt, held), deepcopy(held))
    for _ in range(3):
        collateral_cure(debt, held, marked(fen=2_000), CLASSES["PHCER"])
        make_call("L", debt, held, PRODUCT, AT, PARAMETERS.china)
    assert (coverage(debt, held), held) == before


@pytest.mark.parametrize(
    ("yuan", "status"),
    [
        ("164999.99", CoverageStatus.HEALTHY),
        ("165000", CoverageStatus.WARN),
        ("195000", CoverageStatus.CALL),
        ("224999.99", CoverageStatus.CALL),
        ("225000", CoverageStatus.LIQUIDATE),
    ],
)
def test_a_line_is_reached_at_its_percentage(yuan, status):
    assert coverage(Money.from_yuan(yuan), pool()).status is status


def test_a_debt_without_any_collateral_stands_on_the_liquidation_line():
    nothing = value_pool([], {}, CLASSES)
    assert (coverage(Money(1), nothing).status, coverage(Money(1), nothing).ltv) == (CoverageStatus.LIQUIDATE, None)
    assert coverage(Money(0), nothing).status is CoverageStatus.HEALTHY


def test_a_call_names_cash_and_a_deadline_in_calendar_days_of_china():
    debt = Money.from_yuan("135000")
    call = make_call("L", debt, pool(fen=2_000), PRODUCT, AT, PARAMETERS.china)
    assert (call.shortfall, call.cash) == (Money.from_yuan("45000"), Money.from_yuan("45000"))
    assert call.cure_by == date(2026, 11, 26)
    assert not call.is_past_due(datetime(2026, 11, 26, 15, 59, tzinfo=UTC))
    assert call.is_past_due(datetime(2026, 11, 26, 16, 0, tzinfo=UTC))
    with pytest.raises(InvalidState):
        make_call("L", debt, pool(), PRODUCT, AT, PARAMETERS.china)


def test_the_price_of_the_offer_counts_and_whole_tonnes_are_rounded_up():
    debt, held = Money.from_yuan("135000"), pool(fen=2_000)
    cure = collateral_cure(debt, held, marked("CEA", 7_013), CLASSES["CEA"])
    assert cure.value == Money(6_428_572)
    assert cure.quantity < cure.whole_tonnes < cure.quantity + Carbon(1_000)
    assert collateral_cure(Money(1), held, marked(), CLASSES["PHCER"]).quantity == Carbon(0)


def test_release_must_leave_the_debt_below_the_advance_line():
    require_releasable(Money.from_yuan("135000"), pool())
    with pytest.raises(CoverageInsufficient):
        require_releasable(Money.from_yuan("135000.01"), pool())
    require_releasable(Money(0), value_pool([Lot("a", "PHCER", Carbon(1))], {}, CLASSES))
    with pytest.raises(CoverageInsufficient):
        require_releasable(Money(1), value_pool([], {}, CLASSES))


@pytest.mark.parametrize("loans", [1, 1_000])
def test_nothing_owed_cures_a_call_even_without_a_price_and_an_unknown_value_neither_calls_nor_cures(loans):
    """One engine: the rule for a loan (`is_cured`, `settle_call`) is the rule of the end of day, in columns."""
    unpriced = value_pool([Lot("a", "PHCER", Carbon(1))], {}, CLASSES)
    for owed, back in ((0, True), (1, False)):
        assert is_cured(Money(owed), unpriced) is back
        status = np.full(loans, CoverageStatus.UNPRICED, np.int64)
        nothing = np.zeros(loans, np.int64)
        for called in (False, True):
            verdicts = judge(np.full(loans, owed), nothing, status, np.full(loans, called))
            assert not verdicts.call.any()
            assert verdicts.cure.tolist() == [called and back] * loans
