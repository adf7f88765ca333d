from datetime import UTC, datetime, timedelta

import pytest

from financing.base.errors import (
    InvalidState,
    NotPermitted,
    OfferExpired,
    QuantityOutOfRange,
)
from financing.base.quantities import Carbon, Money, Price
from financing.market.over_the_counter.offers import (
    Offer,
    OfferState,
    Settlement,
    accept,
    expire,
    state_at,
    withdraw,
)

AT = datetime(2026, 11, 22, tzinfo=UTC)


def offer(**changes):
    fields = {
        "offer_id": "o1",
        "seller": "plant",
        "buyer": "mill",
        "asset": "PHCER/PV1/ROOF1/2026",
        "quantity": Carbon.from_tonnes(100),
        "price": Price.from_yuan_per_tonne("30"),
        "offered_at": AT,
        "expires_at": AT + timedelta(days=1),
    }
    return Offer(**(fields | changes))


def test_the_named_buyer_settles_a_hundred_tonnes_for_three_thousand_yuan():
    accepted, settlement = accept(offer(), "mill", AT)
    assert accepted.state is OfferState.ACCEPTED
    assert settlement == Settlement(
        "plant", "mill", "PHCER/PV1/ROOF1/2026", Carbon.from_tonnes(100), Money.from_yuan("3000")
    )
    with pytest.raises(InvalidState):
        accept(accepted, "mill", AT)
    with pytest.raises(InvalidState):
        withdraw(accepted, "plant", AT)


def test_nobody_else_accepts_or_withdraws():
    for other in ("plant", "thief"):
        with pytest.raises(NotPermitted):
            accept(offer(), other, AT)
    with pytest.raises(NotPermitted):
        withdraw(offer(), "mill", AT)
    assert withdraw(offer(), "plant", AT).state is OfferState.WITHDRAWN


def test_an_offer_lapses_at_its_expiry():
    late = AT + timedelta(days=1)
    assert state_at(offer(), late - timedelta(seconds=1)) is OfferState.OPEN
    assert state_at(offer(), late) is OfferState.EXPIRED
    assert expire(offer(), late).state is OfferState.EXPIRED
    for act in (lambda: accept(offer(), "mill", late), lambda: withdraw(offer(), "plant", late)):
        with pytest.raises(OfferExpired):
            act()
    with pytest.raises(InvalidState):
        expire(offer(), AT)
    with pytest.raises(InvalidState):
        accept(offer(), "mill", AT - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"quantity": Carbon(1_500)}, QuantityOutOfRange),
        ({"quantity": Carbon(0)}, QuantityOutOfRange),
        ({"price": Price(0)}, QuantityOutOfRange),
        ({"buyer": "plant"}, NotPermitted),
        ({"expires_at": AT}, OfferExpired),
    ],
)
def test_an_impossible_offer_is_refused(changes, refusal):
    with pytest.raises(refusal):
        offer(**changes)
