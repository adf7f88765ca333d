"""The books in memory: a cache of their journals, brought up to date inside every command's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from financing.base.errors import BookDiverged, FinancingError, NotFound
from financing.base.parameters import Parameters
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.parameters.market import MarketRules
from financing.base.quantities import business_date
from financing.market.order_book.engine.matching_engine import MatchingEngine
from financing.market.order_book.engine.schedule import due
from financing.market.order_book.engine.sessions import Calendar
from financing.market.unit import MarketUnit


class OrderBooks:
    """One state an instrument, for the writer's thread.

    The journal's head, read in the command's own transaction, says whether a state is the true one. A state that is
    behind (another process wrote) reads on; one that is ahead or on another branch (a savepoint or a shared commit
    was rolled back) is built again from the journal.
    """

    def __init__(self) -> None:
        self._states: dict[str, MatchingEngine] = {}
        self.rebuilt = 0

    @contextmanager
    def changing(self, unit: MarketUnit, instrument: str) -> Iterator[MatchingEngine]:
        """The true state, for a command that may change it; forgotten if the command fails after it did."""
        state = self.current(unit, instrument)
        before = state.seq
        try:
            yield state
        except BaseException:
            if state.seq != before:
                self.forget(instrument)
            raise

    def current(self, unit: MarketUnit, instrument: str) -> MatchingEngine:
        """The state that the journal's head describes. Raises `NotFound` for an instrument that is not listed."""
        seq, chain = unit.journal.head(instrument)
        if not seq:
            raise NotFound("no such instrument is listed", instrument=instrument)
        state = self._states.get(instrument)
        if state is not None and state.seq == seq and state.chain == chain:
            return state
        if state is None or state.seq > seq or unit.journal.link(instrument, state.seq) != state.chain:
            state = MatchingEngine(instrument)
            self.rebuilt += 1
        self.forget(instrument)
        catch_up(unit, state)
        self._states[instrument] = state
        return state

    def forget(self, instrument: str) -> None:
        self._states.pop(instrument, None)

    def keep(self, state: MatchingEngine) -> None:
        """Remember the state of an instrument that was just listed."""
        self._states[state.instrument] = state

    def is_due(self, instrument: str, parameters: Parameters, at: datetime) -> bool:
        """Whether time demands an event, as far as is known without looking; from any thread.

        A wrong answer costs a command more work and nothing else: every command looks again.
        """
        state = self._states.get(instrument)
        if state is None:
            return True
        try:
            rules, calendar = venue_of(state, parameters, at)
            return due(state, rules, calendar, at) is not None
        except FinancingError:
            return False


def catch_up(unit: MarketUnit, state: MatchingEngine) -> None:
    """Apply what the journal holds beyond `state`. Raises `BookDiverged` where an event does not do what it did."""
    for recorded in unit.journal.after(state.instrument, state.seq):
        state.apply(recorded.event)
        if state.chain != recorded.chain:
            raise BookDiverged(
                "an event of the journal does not lead to the stored state",
                instrument=state.instrument,
                seq=recorded.seq,
            )


def venue_of(state: MatchingEngine, parameters: Parameters, at: datetime) -> tuple[MarketRules, Calendar]:
    """The rules that hold at `at` and the days they trade. Raises `ParameterMissing`."""
    rules = parameters.venue(state.rules, business_date(at))
    return rules, calendar_of(rules, parameters)


def calendar_of(rules: MarketRules, parameters: Parameters) -> Calendar:
    """To a venue that takes no orders on provisional days, the calendar ends with the last announced year."""
    if rules.always_open:
        return _Always()
    return parameters.china if rules.provisional_days else parameters.china.announced()


def status_of(rules: MarketRules, parameters: Parameters, at: datetime) -> CalendarStatus | None:
    """How the venue's calendar knows the day of `at`; None for a venue that keeps no calendar."""
    return None if rules.always_open else calendar_of(rules, parameters).status(business_date(at))


class _Always:
    """Every day is a trading day."""

    def status(self, day: object) -> CalendarStatus:  # noqa: ARG002
        return CalendarStatus.ANNOUNCED

    def is_trading_day(self, day: object) -> bool:  # noqa: ARG002
        return True
