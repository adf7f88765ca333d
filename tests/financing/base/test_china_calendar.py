"""The calendar file against two maintained libraries, day by day; what it says of years nobody has announced."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType

import holidays
import pytest
from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

from financing.base.errors import CalendarMissing, CorruptData
from financing.base.parameters import load_parameters
from financing.base.parameters.china_calendar import CalendarStatus, ChinaCalendar
from financing.base.quantities import CHINA_TIME
from financing.lending.collateral.margin import cure_by
from financing.lending.loans.days import NO_DAY, date_of, day_of
from financing.lending.loans.markets import market_of
from financing.market.order_book.cache import calendar_of
from financing.market.order_book.engine.events import DayClosed
from financing.market.order_book.engine.matching_engine import MatchingEngine
from financing.market.order_book.engine.schedule import due

PARAMETERS = load_parameters()
CHINA = PARAMETERS.china
RULES = PARAMETERS.venue("listed", date(2026, 11, 23))


def days_of(year):
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def announced(*years):
    """The calendar with those years as if a notice had come, and the others as they are."""
    found = {year: each.model_copy(update={"status": "announced"}) for year, each in CHINA.years.items()}
    return ChinaCalendar(MappingProxyType(dict(CHINA.years) | {year: found[year] for year in years}))


@pytest.mark.parametrize("year", sorted(CHINA.years))
def test_banks_work_on_the_days_that_the_library_of_holidays_gives(year):
    known = holidays.country_holidays("CN", years=year)
    if CHINA.years[year].status == "announced" and year not in known.special_public_holidays:
        pytest.skip("announced, and not in this release of the library")
    worked = set(known.weekend_workdays)
    expected = [day for day in days_of(year) if day in worked or (day.weekday() < 5 and day not in known)]
    assert [day for day in days_of(year) if CHINA.is_business_day(day)] == expected


@pytest.mark.parametrize("year", range(2020, XSHGExchangeCalendar.bound_max().year + 1))
def test_the_exchange_trades_on_the_days_that_the_library_of_exchanges_gives(year):
    assert CHINA.years[year].status == "announced"
    sessions = XSHGExchangeCalendar(start=f"{year}-01-01", end=f"{year}-12-31").sessions
    assert [day for day in days_of(year) if CHINA.is_trading_day(day)] == [session.date() for session in sessions]


def test_a_worked_weekend_is_a_business_day_and_no_trading_day():
    for day in (date(2026, 1, 4), date(2026, 2, 14), date(2026, 10, 10)):
        assert (CHINA.is_business_day(day), CHINA.is_trading_day(day)) == (True, False)


def test_the_exchange_kept_new_years_eve_of_2024_and_banks_did_not():
    eve = date(2024, 2, 9)
    assert (CHINA.is_business_day(eve), CHINA.is_trading_day(eve)) == (True, False)


def test_2027_is_provisional_until_its_notice_is_entered_and_no_year_is_known_after_the_file():
    assert CHINA.status(date(2026, 12, 31)) is CalendarStatus.ANNOUNCED
    assert CHINA.status(date(2027, 1, 1)) is CalendarStatus.PROVISIONAL
    assert [day.day for day in days_of(2027)[:10] if CHINA.is_trading_day(day)] == [4, 5, 6, 7, 8]
    after = CHINA.last + timedelta(days=1)
    assert CHINA.status(after) is CHINA.status(CHINA.first - timedelta(days=1)) is CalendarStatus.MISSING
    for ask in (CHINA.is_trading_day, CHINA.is_business_day):
        with pytest.raises(CalendarMissing) as refusal:
            ask(after)
        assert refusal.value.context["last"] == str(CHINA.last)


def test_what_is_announced_ends_before_the_first_provisional_year():
    assert CHINA.announced().last == date(2026, 12, 31)
    assert announced(2027).announced().last == date(2027, 12, 31)
    assert announced(2028).announced().last == date(2026, 12, 31)
    assert announced(*CHINA.years).announced().last == CHINA.last


@pytest.mark.parametrize("kept", [lambda year: year != 2030, lambda year: year > 2026])
def test_a_calendar_with_a_gap_or_nothing_announced_is_corrupt(kept):
    with pytest.raises(CorruptData):
        ChinaCalendar.of(each for year, each in CHINA.years.items() if kept(year))


@pytest.mark.parametrize(
    ("today", "calendar", "told"),
    [
        (date(2026, 11, 1), CHINA, None),
        (date(2026, 11, 2), CHINA, "2027 are provisional"),
        (date(2027, 7, 1), CHINA, "2027 are provisional"),
        (date(2026, 11, 28), announced(2027), None),
        (date(2027, 11, 28), announced(2027), "2028 are provisional"),
        (date(2026, 11, 28), CHINA.until(2026), "2027 are missing"),
    ],
)
def test_an_operator_is_warned_sixty_days_ahead(today, calendar, told):
    warning = calendar.warning(today)
    assert (warning is None) if told is None else (told in warning)


def test_a_venue_may_refuse_provisional_days():
    strict = RULES.model_copy(update={"provisional_days": False})
    assert calendar_of(RULES, PARAMETERS).status(date(2027, 1, 4)) is CalendarStatus.PROVISIONAL
    assert calendar_of(strict, PARAMETERS).status(date(2026, 12, 31)) is CalendarStatus.ANNOUNCED
    assert calendar_of(strict, PARAMETERS).status(date(2027, 1, 4)) is CalendarStatus.MISSING


def test_a_day_ends_without_a_calendar_and_none_begins():
    state = MatchingEngine("PKG:x")
    state.day, state.day_over = date(2026, 12, 31), False
    at = datetime(2027, 1, 4, 10, tzinfo=CHINA_TIME)
    assert due(state, RULES, CHINA.until(2026), at) == DayClosed(date(2026, 12, 31))
    state.day_over = True
    assert due(state, RULES, CHINA.until(2026), at) is None


def test_margin_calls_and_instalments_read_the_same_file():
    product = PARAMETERS.product("phcer_pledge_loan", date(2026, 11, 22)).model_copy(
        update={"cure_day_kind": "business", "cure_days": 2}
    )
    assert cure_by(product, date(2026, 12, 31), CHINA) == date(2027, 1, 5)
    with pytest.raises(CalendarMissing):
        cure_by(product, date(2026, 12, 31), CHINA.until(2026))
    payable = market_of(PARAMETERS).payable_on
    assert date_of(int(payable[day_of(date(2027, 2, 6))])) == date(2027, 2, 11)
    assert date_of(int(payable[-1])).year <= CHINA.last.year
    assert len(payable) == day_of(date(2046, 1, 1))
    assert payable[day_of(date(2019, 12, 31))] == NO_DAY
    shorter = market_of(replace(PARAMETERS, china=CHINA.until(2030))).payable_on
    assert len(shorter) == day_of(date(2030, 1, 1))
