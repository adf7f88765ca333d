"""What must hold for every pool, debt and price; each expectation is computed here with fractions, not by the rules."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from soak import sized

from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price
from financing.lending.collateral.coverage import CoverageStatus, coverage
from financing.lending.collateral.disposal import plan_disposal, surplus_shares, waterfall
from financing.lending.collateral.margin import cash_cure, collateral_cure, is_cured
from financing.market.prices.model import Marked, Unpriced
from financing.valuation.pools import Lot, PoolUnpriced, value_pool

AT = datetime(2026, 11, 22, tzinfo=UTC)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(date(2026, 11, 22))
PRODUCT = PARAMETERS.product("phcer_pledge_loan", date(2026, 11, 22))
KEYS = sorted(CLASSES)

prices = st.fixed_dictionaries({key: st.integers(1, 100_000) for key in KEYS})
lots = st.lists(st.builds(Lot, st.just("a"), st.sampled_from(KEYS), st.integers(1, 10**9).map(Carbon)), max_size=5)
amounts = st.integers(0, 10**11).map(Money)


def marks(fen):
    return {key: Marked(key, Price(price), AT, timedelta(0), "x") for key, price in fen.items()}


@settings(max_examples=sized(300, 10_000), deadline=None)
@given(lots, prices, amounts, st.sampled_from(KEYS))
@example(
    [Lot("a", "CCER", Carbon(1))],
    {**dict.fromkeys(KEYS, 1), "CCER": 21_859, "PHCER": 21_646},
    Money(73_842_675_002),
    "PHCER_WETLAND",
)
def test_the_quoted_cure_cures_and_one_unit_less_does_not(held, fen, debt, key):
    found, policy = marks(fen), CLASSES[key]
    pool = value_pool(held, found, CLASSES)
    cash = cash_cure(debt, pool)
    assert is_cured(debt - cash, pool)
    cure = collateral_cure(debt, pool, found[key], policy)
    assert cure.whole_tonnes >= cure.quantity
    if not cash:
        assert cure.quantity == Carbon(0)
        return
    assert not is_cured(debt - cash + Money(1), pool)
    assert is_cured(debt, value_pool([*held, Lot("b", key, cure.quantity)], found, CLASSES))
    if cure.quantity > Carbon(1):
        short = [*held, Lot("b", key, cure.quantity - Carbon(1))]
        assert not is_cured(debt, value_pool(short, found, CLASSES))


@settings(max_examples=sized(166, 5_000), deadline=None)
@given(lots, prices, amounts)
def test_coverage_is_never_better_than_exact_arithmetic(held, fen, debt):
    found = coverage(debt, value_pool(held, marks(fen), CLASSES))
    exact = {
        line: sum(
            (
                Fraction(fen[lot.asset_class] * lot.quantity.kg, 1_000)
                * Fraction(getattr(CLASSES[lot.asset_class], f"{line}_bps"), 10_000)
                for lot in held
            ),
            Fraction(0),
        )
        for line in ("advance", "warn", "call", "liquidate")
    }
    for line, value in exact.items():
        assert value - 2 * len(held) <= getattr(found.lines, line).fen <= value
    if debt and debt.fen >= exact["liquidate"]:
        assert found.status is CoverageStatus.LIQUIDATE
    if found.status is CoverageStatus.HEALTHY and debt:
        assert debt.fen < exact["warn"]


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(lots.filter(bool), prices, amounts, st.data())
def test_one_missing_price_is_never_healthy(held, fen, debt, data):
    gone = data.draw(st.sampled_from([lot.asset_class for lot in held]))
    pool = value_pool(held, marks(fen) | {gone: Unpriced(gone, "stale")}, CLASSES)
    assert isinstance(pool, PoolUnpriced)
    assert coverage(debt, pool).status is CoverageStatus.UNPRICED
    assert is_cured(debt, pool) is (not debt)


@settings(max_examples=sized(300, 10_000), deadline=None)
@given(amounts, amounts, amounts, amounts, amounts)
def test_the_waterfall_conserves_every_fen(proceeds, costs, penal, interest, principal):
    paid = waterfall(proceeds, costs, penal=penal, interest=interest, principal=principal)
    assert paid.costs + paid.penal + paid.interest + paid.principal + paid.surplus == proceeds
    assert paid.costs + paid.unpaid_costs == costs
    assert paid.penal + paid.interest + paid.principal + paid.bad_debt == penal + interest + principal
    assert not (paid.interest and paid.penal != penal)
    assert not (paid.surplus and (paid.bad_debt or paid.unpaid_costs))
    assert not (paid.principal and paid.interest != interest)


@settings(max_examples=sized(166, 5_000), deadline=None)
@given(amounts, st.lists(amounts, min_size=1, max_size=6))
def test_surplus_shares_sum_exactly_and_are_fair_to_one_fen(surplus, brought):
    total = sum(money.fen for money in brought)
    assume(total > 0)
    shares = surplus_shares(surplus, [(str(place), money) for place, money in enumerate(brought)])
    assert sum(share.fen for _, share in shares) == surplus.fen
    for (_, share), money in zip(shares, brought, strict=True):
        assert abs(share.fen - Fraction(surplus.fen * money.fen, total)) < 1


@settings(max_examples=sized(166, 5_000), deadline=None)
@given(lots, prices, amounts)
def test_a_disposal_plan_pays_the_debt_at_the_reserve_or_offers_everything(held, fen, debt):
    assume(all(price > 10 for price in fen.values()))
    plan = plan_disposal(debt, value_pool(held, marks(fen), CLASSES), PRODUCT)
    proceeds = sum(part.proceeds_at_reserve.fen for part in plan)
    sold = sum(part.lot.quantity.kg for part in plan)
    enough = Fraction(proceeds * (10_000 - PRODUCT.disposal_cost_bps), 10_000) >= debt.fen
    assert enough or sold == sum(lot.quantity.kg for lot in held)
