"""Which kilograms serials name twice, found without going through all of them."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from financing.ledger.serials import SerialText
from financing.registry.transfers.messages import Spans


def serial(origin, first, last):
    return SerialText(
        methodology_tag="PV1", project_code=origin, vintage=2025, first_day=date(2025, 1, 1),
        last_day=date(2025, 12, 31), first_kg=first, last_kg=last, registry_code="SIP",
    )  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 30), st.integers(0, 6)), max_size=30))
def test_what_was_named_before_is_found_as_by_looking_at_each_kilogram(drawn):
    spans, named = Spans(), set()
    for origin, first, more in drawn:
        kilograms = {(origin, kg) for kg in range(first, first + more + 1)}
        assert spans.add(serial(origin, first, first + more)) is not bool(kilograms & named)
        if not kilograms & named:
            named |= kilograms
