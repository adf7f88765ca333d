"""Phases by the Shanghai calendar, the band's edges, and what no calendar knows."""

from datetime import UTC, date, datetime

import pytest

from financing.base.errors import CalendarMissing, CorruptData
from financing.base.parameters import load_parameters
from financing.market.order_book.engine.events import from_plain
from financing.market.order_book.engine.sessions import Phase, band, scheduled_phase

RULES = load_parameters().venue("listed", date(2026, 11, 23))
CHINA = load_parameters().china


@pytest.mark.parametrize(
    ("shanghai", "phase"),
    [
        ("09:14:59", Phase.CLOSED),
        ("09:15:00", Phase.CALL),
        ("09:30:00", Phase.CONTINUOUS),
        ("11:29:59", Phase.CONTINUOUS),
        ("11:30:00", Phase.BREAK),
        ("13:00:00", Phase.CONTINUOUS),
        ("15:00:00", Phase.CLOSED),
    ],
)
def test_a_day_of_phases(shanghai, phase):
    at = datetime.fromisoformat(f"2026-11-23T{shanghai}+08:00")
    assert scheduled_phase(RULES, CHINA, at) is phase


def test_weekends_and_holidays_are_closed_and_the_unknown_is_refused():
    for day in (22, 21):
        assert scheduled_phase(RULES, CHINA, datetime(2026, 11, day, 2, tzinfo=UTC)) is Phase.CLOSED
    assert scheduled_phase(RULES, CHINA, datetime(2026, 10, 1, 2, tzinfo=UTC)) is Phase.CLOSED
    with pytest.raises(CalendarMissing):
        scheduled_phase(RULES, CHINA, datetime(CHINA.last.year + 1, 1, 4, 2, tzinfo=UTC))


def test_the_band_holds_whole_ticks_inside_it():
    assert band(3_000, 1_000) == (2_700, 3_300)
    assert band(3_001, 1_000) == (2_701, 3_301)


def test_a_journal_entry_that_is_none():
    with pytest.raises(CorruptData):
        from_plain("placed", {"order_id": "x"})
    with pytest.raises(CorruptData):
        from_plain("nothing", {})
