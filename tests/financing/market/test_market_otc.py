from datetime import UTC, datetime, timedelta

import pytest

from financing.base.errors import InvalidState, NotPermitted, OfferExpired, QuantityOutOfRange
from financing.base.quantities import Carbon, Price
from financing.market.over_the_counter.deals import Listing, end, take

AT = datetime(2026, 11, 22, tzinfo=UTC)
ALL = Carbon.from_tonnes(100)


def listing(**changes):
    fields = {
        "listing_id": "l1",
        "seller": "plant",
        "buyer": "mill",
        "asset": "PHCER:iss_1",
        "quantity": ALL,
        "left": ALL,
        "price": Price.from_yuan_per_tonne("30"),
        "listed_at": AT,
        "expires_at": AT + timedelta(days=1),
    }
    return Listing(**(fields | changes))


def test_the_named_buyer_takes_it_in_parts_until_nothing_is_left():
    part = take(listing(), "mill", Carbon.from_tonnes(40), AT)
    assert (part.state, part.left, part.quantity) == ("open", Carbon.from_tonnes(60), ALL)
    sold = take(part, "mill", Carbon.from_tonnes(60), AT)
    assert (sold.state, sold.left) == ("sold", Carbon(0))
    with pytest.raises(InvalidState):
        take(sold, "mill", Carbon.from_tonnes(1), AT)
    with pytest.raises(InvalidState):
        end(sold, "plant", AT)
    for quantity in (Carbon.from_tonnes(61), Carbon(1_500), Carbon(0)):
        with pytest.raises(QuantityOutOfRange):
            take(part, "mill", quantity, AT)


def test_nobody_else_takes_or_withdraws():
    for other in ("plant", "thief"):
        with pytest.raises(NotPermitted):
            take(listing(), other, ALL, AT)
    with pytest.raises(NotPermitted):
        end(listing(), "mill", AT)
    assert end(listing(), "plant", AT).state == "withdrawn"


def test_an_addressed_listing_is_shown_to_its_two_sides_only():
    assert [listing().shown_to(party) for party in ("plant", "mill", "thief")] == [True, True, False]
    assert listing(buyer=None).shown_to("thief")
    assert take(listing(buyer=None), "thief", ALL, AT).state == "sold"


def test_a_listing_lapses_at_its_expiry():
    late = AT + timedelta(days=1)
    assert listing().state_at(late - timedelta(seconds=1)) == "open"
    assert listing().state_at(late) == "expired"
    for party in ("plant", "mill"):
        assert end(listing(), party, late).state == "expired"
    assert end(listing(buyer=None), "thief", late).state == "expired"
    with pytest.raises(OfferExpired):
        take(listing(), "mill", ALL, late)
    # A stranger would read the terms in the answer.
    with pytest.raises(NotPermitted):
        end(listing(), "thief", late)
    with pytest.raises(InvalidState):
        end(end(listing(), "plant", late), "plant", late)
    with pytest.raises(InvalidState):
        take(listing(), "mill", ALL, AT - timedelta(seconds=1))


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
def test_an_impossible_listing_is_refused(changes, refusal):
    with pytest.raises(refusal):
        listing(**changes)
