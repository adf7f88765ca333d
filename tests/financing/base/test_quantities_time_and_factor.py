from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from financing.base.errors import PeriodInvalid
from financing.base.quantities import (
    Carbon,
    EmissionFactor,
    Energy,
    Period,
    Rate,
    business_date,
    rate_from_estimate_up,
    require_utc,
)

CHINA = timezone(timedelta(hours=8))


def test_factor_times_energy_is_rounded_down_to_the_kilogram():
    assert EmissionFactor(597_800).reduction_of(Energy(1_672)) == Carbon(0)
    assert EmissionFactor(597_800).reduction_of(Energy(1_673)) == Carbon(1)


def test_a_time_without_zone_is_refused():
    with pytest.raises(PeriodInvalid):
        require_utc(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(PeriodInvalid):
        Period(datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC))  # noqa: DTZ001


def test_a_period_ends_after_it_starts():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(PeriodInvalid):
        Period(at, at)


def test_the_business_date_is_chinas():
    assert business_date(datetime(2025, 12, 31, 16, 0, tzinfo=UTC)) == date(2026, 1, 1)
    assert business_date(datetime(2025, 12, 31, 15, 59, tzinfo=UTC)) == date(2025, 12, 31)


def test_vintage_is_the_calendar_year_in_china():
    year = Period(datetime(2026, 1, 1, tzinfo=CHINA), datetime(2027, 1, 1, tzinfo=CHINA))
    assert year.vintage() == 2026
    assert (year.first_day(), year.last_day()) == (date(2026, 1, 1), date(2026, 12, 31))
    with pytest.raises(PeriodInvalid):
        Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)).vintage()


def test_touching_periods_do_not_overlap():
    first = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    second = Period(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert not first.overlaps(second)
    assert first.overlaps(Period(first.end - timedelta(seconds=1), second.end))


def test_an_estimated_rate_is_rounded_up_but_an_exact_one_kept():
    assert rate_from_estimate_up(0.02) == Rate(200)
    assert rate_from_estimate_up(0.020001) == Rate(201)
