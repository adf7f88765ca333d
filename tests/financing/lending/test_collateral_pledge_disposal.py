from datetime import UTC, date, datetime, timedelta

import pytest

from financing.base.errors import DisposalNotAllowed, InvalidState, PeriodInvalid, PriceMissing, QuantityOutOfRange
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price
from financing.lending.collateral.disposal import (
    DisposalGround,
    plan_disposal,
    require_disposable,
    reserve_price,
    surplus_shares,
    waterfall,
)
from financing.lending.collateral.margin import make_call
from financing.lending.collateral.pledge import Pledge, PledgeState, dispose, expire, post, release, void
from financing.market.prices.model import Marked
from financing.valuation.pools import Lot, value_pool

AT = datetime(2026, 11, 22, tzinfo=UTC)
MATURITY = date(2027, 5, 1)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(date(2026, 11, 22))
PRODUCT = PARAMETERS.product("phcer_pledge_loan", date(2026, 11, 22))
LOT = Lot("a", "PHCER", Carbon.from_tonnes(10_000))
DEBT = Money.from_yuan("135000")


def pledge(**changes):
    fields = {
        "pledge_id": "p1",
        "pledgor": "plant",
        "pledgee": "bank",
        "lot": LOT,
        "reserved_at": AT,
        "expires_at": AT + timedelta(days=7),
    }
    return Pledge(**(fields | changes))


def pool(fen, lots=(LOT,)):
    marks = {key: Marked(key, Price(fen), AT, timedelta(0), "SIP") for key in ("PHCER", "CEA")}
    return value_pool(lots, marks, CLASSES)


def may_sell(fen, call=None, at=AT, debt=DEBT):
    return require_disposable(debt, pool(fen), call, matures_on=MATURITY, product=PRODUCT, at=at)


def test_a_pledge_is_reserved_then_posted_then_released_in_parts():
    posted = post(pledge(), "loan-1", AT)
    part = release(posted, Carbon.from_tonnes(4_000))
    assert (part.state, part.outstanding) == (PledgeState.POSTED, Carbon.from_tonnes(6_000))
    assert part.remaining_lot() == Lot("a", "PHCER", Carbon.from_tonnes(6_000))
    done = release(part, Carbon.from_tonnes(6_000))
    assert (done.state, done.outstanding, done.remaining_lot()) == (PledgeState.RELEASED, Carbon(0), None)


def test_a_pledge_ends_disposed_when_the_last_part_is_sold():
    part = release(post(pledge(), "loan-1", AT), Carbon(1))
    assert dispose(part, part.outstanding).state is PledgeState.DISPOSED
    with pytest.raises(QuantityOutOfRange):
        dispose(part, part.outstanding + Carbon(1))
    with pytest.raises(QuantityOutOfRange):
        release(part, Carbon(0))


def test_a_reservation_ends_void_expired_or_posted_and_never_twice():
    late = AT + timedelta(days=7)
    assert (void(pledge()).outstanding, expire(pledge(), late).outstanding) == (Carbon(0), Carbon(0))
    posted = post(pledge(), "loan-1", AT)
    for act in (
        lambda: post(pledge(), "loan-1", late),
        lambda: expire(pledge(), AT),
        lambda: release(pledge(), Carbon(1)),
        lambda: dispose(void(pledge()), Carbon(1)),
        lambda: post(posted, "loan-2", AT),
        lambda: void(posted),
        lambda: expire(posted, late),
    ):
        with pytest.raises(InvalidState):
            act()
    with pytest.raises(PeriodInvalid):
        pledge(expires_at=AT)


def test_disposal_needs_the_liquidation_line_a_lapsed_call_or_a_default():
    call = make_call("L", DEBT, pool(2_000), PRODUCT, AT, PARAMETERS.china)
    deadline = AT + timedelta(days=3)
    for fen, made in ((3_000, None), (2_000, None), (2_000, call)):
        with pytest.raises(DisposalNotAllowed):
            may_sell(fen, made, deadline)
    assert may_sell(1_800) is DisposalGround.LIQUIDATION_LINE
    assert may_sell(2_000, call, AT + timedelta(days=4)) is DisposalGround.CALL_NOT_CURED
    with pytest.raises(DisposalNotAllowed):
        may_sell(3_000, call, AT + timedelta(days=4))
    matured = datetime(2027, 5, 4, tzinfo=UTC)
    with pytest.raises(DisposalNotAllowed):
        may_sell(3_000, None, matured)
    assert may_sell(3_000, None, matured + timedelta(days=1)) is DisposalGround.MATURITY_DEFAULT
    with pytest.raises(DisposalNotAllowed):
        may_sell(1_800, debt=Money(0))


def test_nothing_is_sold_without_a_mark():
    with pytest.raises(PriceMissing):
        require_disposable(DEBT, value_pool([LOT], {}, CLASSES), None, matures_on=MATURITY, product=PRODUCT, at=AT)


def test_the_plan_sells_the_least_that_pays_debt_and_costs_at_the_reserve():
    lots = (LOT, Lot("b", "CEA", Carbon(1_000_500)))
    priced = pool(7_000, lots)
    assert reserve_price(priced.lines[1]) == Price(4_900)
    plan = plan_disposal(Money.from_yuan("20000"), priced, PRODUCT)
    assert [(part.lot.asset, part.lot.quantity) for part in plan] == [("b", Carbon.from_tonnes(430))]
    needed = Money.from_yuan("20000").fen / 0.95
    assert plan[0].proceeds_at_reserve.fen >= needed > Price(4_900).value_of(Carbon.from_tonnes(429)).fen


def test_the_plan_goes_on_to_the_next_lot_and_offers_all_when_all_is_too_little():
    lots = (LOT, Lot("b", "CEA", Carbon(1_500)))
    plan = plan_disposal(DEBT, pool(1_000, lots), PRODUCT)
    assert [(part.lot.asset, part.lot.quantity) for part in plan] == [("b", Carbon(1_500)), ("a", LOT.quantity)]
    assert plan_disposal(Money(0), pool(1_000), PRODUCT) == ()
    with pytest.raises(QuantityOutOfRange):
        plan_disposal(DEBT, pool(1), PRODUCT)
    with pytest.raises(QuantityOutOfRange):
        plan_disposal(DEBT, pool(1_000), PRODUCT.model_copy(update={"disposal_cost_bps": 10_000}))


def test_the_waterfall_pays_costs_interest_principal_and_returns_the_rest():
    paid = waterfall(Money(1_000), Money(50), interest=Money(100), principal=Money(700))
    assert (paid.costs, paid.interest, paid.principal, paid.surplus) == (Money(50), Money(100), Money(700), Money(150))
    assert (paid.unpaid_costs, paid.bad_debt) == (Money(0), Money(0))


def test_what_the_proceeds_do_not_cover_is_bad_debt_in_the_open():
    paid = waterfall(Money(120), Money(50), interest=Money(100), principal=Money(700))
    assert (paid.interest, paid.principal, paid.surplus, paid.bad_debt) == (Money(70), Money(0), Money(0), Money(730))
    assert waterfall(Money(10), Money(50), interest=Money(0), principal=Money(0)).unpaid_costs == Money(40)


def test_a_surplus_is_shared_to_the_fen():
    shares = surplus_shares(Money(100), [("a", Money(1)), ("b", Money(1)), ("c", Money(1))])
    assert shares == (("a", Money(34)), ("b", Money(33)), ("c", Money(33)))
    assert surplus_shares(Money(0), [("a", Money(0))]) == (("a", Money(0)),)
    with pytest.raises(QuantityOutOfRange):
        surplus_shares(Money(1), [("a", Money(0))])
