from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from financing.base.errors import CorruptData, DuplicateReading, ReadingRejected
from financing.base.quantities import Energy, Period, Rate
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.readings import ReadingBatch, require_within_capacity
from financing.registry.metering.totals import fill_gaps, total_of

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = Period(START, START + timedelta(days=1))


def starts(count: int, minutes: int = 30) -> np.ndarray:
    return np.datetime64("2026-05-01T00:00:00", "s") + np.arange(count) * np.timedelta64(minutes * 60, "s")


def batch(generation: list[int], export: list[int] | None = None) -> ReadingBatch:
    return ReadingBatch(
        "M1",
        30,
        starts(len(generation)),
        np.array(generation, dtype=np.int64),
        None if export is None else np.array(export, dtype=np.int64),
    )


def test_readings_cannot_be_changed():
    readings = batch([1, 2])
    with pytest.raises(ValueError, match="read-only"):
        readings.generation_wh[0] = 9


def test_the_batch_does_not_follow_later_changes_of_its_source():
    source = np.array([1, 2], dtype=np.int64)
    readings = ReadingBatch("M1", 30, starts(2), source)
    source[0] = 99
    assert readings.generation() == Energy(3)


def test_a_reading_twice_is_refused_by_its_own_code():
    twice = np.array(["2026-05-01T00:00", "2026-05-01T00:00"], dtype="datetime64[s]")
    with pytest.raises(DuplicateReading):
        ReadingBatch("M1", 30, twice, np.array([1, 1]))


@pytest.mark.parametrize(
    ("times", "generation", "export"),
    [
        (["2026-05-01T00:30", "2026-05-01T00:00"], [1, 1], None),
        (["2026-05-01T00:10"], [1], None),
        (["NaT"], [1], None),
        (["2026-05-01T00:00"], [-1], None),
        (["2026-05-01T00:00"], [1], [2]),
        (["2026-05-01T00:00"], [1], [-1]),
        (["2026-05-01T00:00"], [1, 2], None),
        (["2026-05-01T00:00", "2026-05-01T00:30"], [2**62, 2**62], None),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused(times, generation, export):
    with pytest.raises(ReadingRejected):
        ReadingBatch(
            "M1",
            30,
            np.array(times, dtype="datetime64[s]"),
            np.array(generation, dtype=np.int64),
            None if export is None else np.array(export, dtype=np.int64),
        )


def test_floats_and_times_below_a_second_are_refused():
    with pytest.raises(ReadingRejected):
        ReadingBatch("M1", 30, starts(1), np.array([1.5]))
    with pytest.raises(ReadingRejected):
        ReadingBatch("M1", 30, np.array(["2026-05-01T00:00:00.5"], dtype="datetime64[ms]"), np.array([1]))
    with pytest.raises(ReadingRejected):
        ReadingBatch("M1", 7, starts(1), np.array([1]))
    with pytest.raises(ReadingRejected):
        ReadingBatch(" ", 30, starts(1), np.array([1]))


def test_kilowatt_hours_sent_as_watt_hours_exceed_the_plant():
    require_within_capacity(batch([500]), 1_000, 13_000)
    with pytest.raises(ReadingRejected, match="capacity"):
        require_within_capacity(batch([500_000]), 1_000, 13_000)


def test_gaps_are_filled_with_zero_and_counted():
    whole = batch([10] * 48)
    holes = ReadingBatch("M1", 30, np.delete(whole.starts, [3, 4]), np.delete(whole.generation_wh, [3, 4]))
    filled, missing = fill_gaps(holes, DAY)
    assert (len(filled), missing) == (48, 2)
    assert list(filled.generation_wh[2:6]) == [10, 0, 0, 10]
    total = total_of(holes, DAY)
    assert (total.generation, total.intervals_missing, total.completeness()) == (Energy(460), 2, Rate(9_583))


def test_a_total_counts_only_its_period_and_needs_a_reading():
    longer = batch([10] * 96, [4] * 96)
    total = total_of(longer, DAY)
    assert (total.generation, total.export) == (Energy(480), Energy(192))
    with pytest.raises(ReadingRejected, match="no reading"):
        total_of(longer, Period(START - timedelta(days=2), START - timedelta(days=1)))
    with pytest.raises(ReadingRejected, match="grid"):
        total_of(longer, Period(START + timedelta(minutes=1), START + timedelta(days=1, minutes=1)))


def test_the_commitment_binds_every_part():
    base = batch([10, 20], [1, 2])
    others = [
        batch([10, 21], [1, 2]),
        batch([10, 20], [1, 3]),
        batch([10, 20]),
        ReadingBatch("M2", 30, base.starts, base.generation_wh, base.export_wh),
        ReadingBatch("M1", 30, base.starts + np.timedelta64(1800, "s"), base.generation_wh, base.export_wh),
        ReadingBatch("M1", 15, base.starts, base.generation_wh, base.export_wh),
    ]
    assert len({base.commitment(), *(other.commitment() for other in others)}) == 7
    assert batch([10, 20], [1, 2]).commitment() == base.commitment()


def test_csv_is_read_with_its_zone_and_four_decimals():
    content = (
        b"interval_start,generation_kwh,export_kwh\n2026-05-01T08:00:00+08:00,1.2345,0.5\n2026-05-01T00:30:00Z,0,0\n"
    )
    readings = parse_readings(content, "M1", 30)
    assert readings.starts[0] == np.datetime64("2026-05-01T00:00:00")
    assert list(readings.generation_wh) == [1_234, 0]
    assert list(readings.export_wh) == [500, 0]


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ("2026-05-01T00:00:00,1", ReadingRejected),
        ("yesterday,1", ReadingRejected),
        ("2026-05-01T00:00:00.5Z,1", ReadingRejected),
        ("2026-05-01T00:00:00Z,NaN", ReadingRejected),
        ("2026-05-01T00:00:00Z,Infinity", ReadingRejected),
        ("2026-05-01T00:00:00Z,-0.1", ReadingRejected),
        ("2026-05-01T00:00:00Z,1e30", ReadingRejected),
        ("2026-05-01T00:00:00Z,0.00001", ReadingRejected),
        ("2026-05-01T00:00:00Z,one", ReadingRejected),
        ("2026-05-01T00:00:00Z", CorruptData),
        ('2026-05-01T00:00:00Z,"1', CorruptData),
    ],
)
def test_a_refused_line_is_named(row, refusal):
    content = f"interval_start,generation_kwh\n2026-04-30T23:30:00Z,1\n{row}\n".encode()
    with pytest.raises(refusal, match="line 3"):
        parse_readings(content, "M1", 30)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xff", b"interval_start,generation_kwh\n", b"time,kwh\n2026-05-01T00:00:00Z,1\n"]
)
def test_a_file_that_is_no_such_csv_is_corrupt(content):
    with pytest.raises(CorruptData):
        parse_readings(content, "M1", 30)
