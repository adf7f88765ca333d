from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from financing.base.errors import SerialInvalid
from financing.base.quantities import Carbon, EmissionFactor, Energy, Period
from financing.ledger.check_digits import with_check, without_check
from financing.ledger.serials import issue_block, parse_serial, take_from, take_tail
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import fill_gaps, total_of

PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
DAY = Period(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC))
identifiers = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=40)


def block(kg, issuance="i"):
    return issue_block(
        issuance_id=issuance,
        methodology_tag="PV1",
        project_code="P",
        period=PERIOD,
        quantity=Carbon(kg),
        registry_code="SIP",
    )


def is_refused(text):
    try:
        without_check(text)
    except SerialInvalid:
        return True
    return False


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(identifiers, st.data())
def test_one_wrong_or_two_swapped_digits_are_noticed(text, data):
    whole = with_check(text)
    assert without_check(whole) == text
    digits = [place for place, character in enumerate(whole) if character.isdigit()]
    place = data.draw(st.sampled_from(digits))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != whole[place]]))
    assert is_refused(whole[:place] + wrong + whole[place + 1 :])
    if place + 1 in digits and whole[place] != whole[place + 1]:
        assert is_refused(whole[:place] + whole[place + 1] + whole[place] + whole[place + 2 :])


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=20))
def test_splits_conserve_every_kilogram_once(parts):
    rest, taken = block(sum(parts)), []
    for part in parts[:-1]:
        rest, tail = take_tail(rest, Carbon(part))
        taken.append(tail)
    pieces = sorted([rest, *taken], key=lambda piece: piece.first_kg)
    assert pieces[0].first_kg == 1
    assert pieces[-1].last_kg == sum(parts)
    assert all(before.last_kg + 1 == after.first_kg for before, after in pairwise(pieces))
    assert all(str(parse_serial(piece.serial)) == piece.serial for piece in pieces)


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.data())
def test_taking_from_blocks_conserves_the_whole(sizes, data):
    blocks = tuple(block(size, str(place)) for place, size in enumerate(sizes))
    asked = data.draw(st.integers(1, sum(sizes)))
    stay, taken = take_from(blocks, Carbon(asked))
    assert sum(part.quantity.kg for part in taken) == asked
    assert sum(part.quantity.kg for part in (*stay, *taken)) == sum(sizes)


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.lists(st.integers(0, 10**12), max_size=10), st.integers(1, 2_000_000))
def test_reductions_of_parts_never_exceed_the_reduction_of_the_whole(parts, mg):
    factor = EmissionFactor(mg)
    separately = sum(factor.reduction_of(Energy(part)).kg for part in parts)
    whole = factor.reduction_of(Energy(sum(parts))).kg
    assert separately <= whole <= separately + len(parts)


@settings(max_examples=sized(66, 2_000), deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=48, max_size=48), st.sets(st.integers(0, 47), max_size=47))
def test_a_gap_only_ever_lowers_the_total(values, gaps):
    times = np.datetime64("2026-05-01T00:00:00", "s") + np.arange(48) * np.timedelta64(1800, "s")
    generation = np.array(values, dtype=np.int64)
    keep = np.array([place not in gaps for place in range(48)])
    holes = ReadingBatch("M", 30, times[keep], generation[keep])
    filled, missing = fill_gaps(holes, DAY)
    assert (missing, len(filled)) == (len(gaps), 48)
    assert total_of(holes, DAY).generation.wh == sum(v for place, v in enumerate(values) if place not in gaps)
