from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from financing.base.errors import CorruptData, ReadingRejected
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Energy, Period
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.intervals import DAY, MONTH
from financing.registry.metering.plausibility import Site, check_load, check_readings
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.solar import solar_elevation_deg
from financing.registry.metering.totals import total_of

PARAMETERS = load_parameters()
LIMITS = PARAMETERS.plausibility("pv", date(2026, 11, 22))
LOAD = PARAMETERS.load_limit("load", date(2026, 11, 22))
RULE = PARAMETERS.methodology("PV", 1).monitoring
SUZHOU = Site(100_000, 31.3, 120.6)
START = datetime(2026, 5, 1, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=4))
TIMES = np.datetime64("2026-05-01T00:00:00", "s") + np.arange(384) * np.timedelta64(900, "s")
SUN = (np.sin(np.radians(np.maximum(solar_elevation_deg(TIMES, 31.3, 120.6), 0))) * 15_000).astype(np.int64)


def codes(generation, register=None):
    batch = ReadingBatch("M1", 15, TIMES, generation, None, register)
    return {each.code: each.severity for each in check_readings(batch, PERIOD, SUZHOU, LIMITS, RULE)}


def test_kwh_sent_as_wh_are_suspected():
    assert codes(SUN) == {}
    assert codes(SUN // 1000) == {"unit_suspected": "error"}
    assert codes(np.zeros(384, dtype=np.int64)) == {}


def test_utc_sent_as_china_time_is_a_shifted_clock():
    shifted = codes(np.roll(SUN, -32))
    assert shifted["clock_shift"] == "error"
    assert codes(np.roll(SUN, 8))["clock_shift"] == "warning"


def test_a_register_rises_by_what_was_metered():
    register = 5_000_000 + np.cumsum(SUN)
    assert codes(SUN, register) == {}
    back = register.copy()
    back[200] = 0
    assert codes(SUN, back)["register_backwards"] == "error"
    off = register.copy()
    off[40:] += 7
    assert codes(SUN, off) == {"register_disagrees": "error"}
    with pytest.raises(ReadingRejected):
        ReadingBatch("M1", 15, TIMES, SUN, None, -register)


def test_a_register_is_committed_to():
    register = np.cumsum(SUN)
    with_it, other = (ReadingBatch("M1", 15, TIMES, SUN, None, each).commitment() for each in (register, register + 1))
    assert len({ReadingBatch("M1", 15, TIMES, SUN).commitment(), with_it, other}) == 3


def test_a_pile_may_charge_at_night_and_jump():
    power = np.zeros(384, dtype=np.int64)
    power[60::7] = 15_000
    batch = ReadingBatch("P1", 15, TIMES, power)
    assert check_load(batch, PERIOD, 100_000, LOAD, RULE) == ()
    low = ReadingBatch("P1", 15, TIMES, power // 10_000)
    assert [each.code for each in check_load(low, PERIOD, 100_000, LOAD, RULE)] == ["unit_suspected"]
    full = ReadingBatch("P1", 15, TIMES, np.full(384, 26_500))
    found = {each.code for each in check_load(full, PERIOD, 100_000, LOAD, RULE)}
    assert found == {"above_nameplate", "capacity_factor"}


def test_days_and_months_begin_at_midnight_in_china():
    days = np.array(["2026-04-30T16:00:00", "2026-05-01T16:00:00"], dtype="datetime64[s]")
    assert len(ReadingBatch("M1", DAY, days, np.array([1, 2]))) == 2
    months = np.array(["2026-01-31T16:00:00", "2026-02-28T16:00:00"], dtype="datetime64[s]")
    batch = ReadingBatch("M1", MONTH, months, np.array([5_000_000, 6_000_000]))
    period = Period(datetime(2026, 1, 31, 16, tzinfo=UTC), datetime(2026, 4, 30, 16, tzinfo=UTC))
    total = total_of(batch, period)
    assert (total.generation, total.intervals_expected, total.intervals_missing) == (Energy(11_000_000), 3, 1)
    for minutes, start in ((DAY, "2026-05-01T00:00:00"), (MONTH, "2026-02-01T16:00:00")):
        with pytest.raises(ReadingRejected):
            ReadingBatch("M1", minutes, np.array([start], dtype="datetime64[s]"), np.array([1]))
    with pytest.raises(ReadingRejected):
        total_of(batch, Period(period.start, period.end - timedelta(days=1)))


def test_whole_columns_read_as_lines_do():
    lines = [f"2026-05-01T00:{m:02d}:00Z,{v},{v},{r}" for m, v, r in ((0, "0.0005", "1"), (15, "0.0015", "2.25"))]
    plain = "interval_start,generation_kwh,export_kwh,register_kwh\n" + "\n".join(lines) + "\n"
    whole = parse_readings(plain.encode(), "M1", 15)
    by_line = parse_readings(plain.replace("Z,", "+00:00,").encode(), "M1", 15)
    assert whole.generation_wh.tolist() == [0, 2] == by_line.generation_wh.tolist()
    assert whole.commitment() == by_line.commitment()
    for bad in (plain.replace("2.25", "-2.25"), plain.replace("2.25", "2.25,9"), plain.replace("register", "meter")):
        with pytest.raises((ReadingRejected, CorruptData)):
            parse_readings(bad.encode(), "M1", 15)
