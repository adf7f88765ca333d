"""Whatever is metered and declared: a reduction derives itself again, its buffer holds, and splitting gains nothing."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from reductions import pv, reduction
from soak import sized

from financing.registry.methodology.engine import rederived

hundredths = st.integers(0, 10_000).map(lambda n: str(Fraction(n, 100)))
shares = st.integers(0, 100).map(lambda n: str(Fraction(n, 100)))
energies = st.integers(0, 10**13)


@settings(max_examples=sized(50, 1_500), deadline=None)
@given(hundredths, hundredths, shares)
def test_a_wetland_derives_itself_and_its_buffer_is_a_tenth_at_least(area, methane, half_width):
    declared = {"area": area, "methane": methane, "nitrous_oxide": "0", "half_width": half_width}
    found = reduction("WETLAND", declared=declared)
    assert rederived(found) == (found.reduction, found.buffer)
    assert 10 * found.buffer.kg >= found.reduction.kg
    assert found.credited.kg >= 0


@settings(max_examples=sized(50, 1_500), deadline=None)
@given(energies, energies)
def test_two_halves_are_never_worth_more_than_the_whole(first, second):
    whole = pv(first + second).reduction.kg
    assert 0 <= whole - pv(first).reduction.kg - pv(second).reduction.kg <= 1


@settings(max_examples=sized(50, 1_500), deadline=None)
@given(energies, st.sampled_from(["car", "bus"]), st.sampled_from(["level_1", "level_2", "dc"]))
def test_charging_more_never_saves_less(wh, vehicle, charger):
    choices = {"vehicle": vehicle, "charger": charger}
    found = reduction("EV", metered={"charger": wh}, choices=choices)
    more = reduction("EV", metered={"charger": wh + 1_000_000}, choices=choices)
    assert rederived(found) == (found.reduction, found.buffer)
    assert found.reduction <= more.reduction
