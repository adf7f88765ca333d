"""Run a contract: from terms and observations to the events that are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from financing.contracts.actus.covers import run_cover
from financing.contracts.actus.events import Event, Observation, Planned
from financing.contracts.actus.planning import Plan
from financing.contracts.actus.state import Machine
from financing.contracts.actus.terms import Terms, moment_of
from financing.contracts.day_counts import year_fraction
from financing.errors import ContractInvalid


def observation_of(data: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Observation:
    """Observations as the vectors have them. Raises `ContractInvalid` for a value or a time that is none."""
    series = {}
    for code, found in data.items():
        try:
            points = [(moment_of(str(each["timestamp"])), float(str(each["value"]).strip())) for each in found["data"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ContractInvalid("observations are times with values", code=code) from error
        series[code] = tuple(sorted(points))
    return Observation(series, tuple(events))


def run(raw: Mapping[str, Any], observed: Observation, to: datetime | None = None) -> list[Event]:
    """The events of a contract up to `to` (all for None). Raises `ContractInvalid`."""
    terms = Terms(raw)
    if terms.kind in {"CEC", "CEG"}:
        return run_cover(terms, observed, to, run)
    return _maturity_events(terms, observed, to)


def _maturity_events(terms: Terms, observed: Observation, to: datetime | None) -> list[Event]:
    plan = Plan(terms, observed)
    machine = Machine(terms, observed)
    machine.start(plan.issued)
    _prepare_redemption(terms, plan, machine)
    planned = [event for event in plan.events() if event.calculated > terms.status or _counts(event, terms)]
    if terms.kind == "ANN":
        planned = _with_fixings(terms, plan, planned)
    bought, ended = terms.moment_or_none("purchaseDate"), terms.moment_or_none("terminationDate")
    found = []
    for each in planned:
        event = each
        if ended is not None and (event.calculated > ended or (event.calculated == ended and event.kind == "MD")):
            break
        if to is not None and event.reported > to:
            break
        if event.kind in {"PRF", "PRF2"}:
            event = Planned(event.kind, event.reported, event.calculated, _annuity(terms, plan, machine, event))
        payoff = machine.happen(event)
        if bought is None or event.reported >= bought:
            state = machine.state
            kind = "PRF" if event.kind == "PRF2" else event.kind
            currency = terms.text("currency") or ""
            found.append(Event(kind, event.reported, payoff, currency, state.notional, state.rate, state.accrued))
    return found


def _counts(event: Planned, terms: Terms) -> bool:
    return event.kind == "IED" and event.calculated == terms.status


def _prepare_redemption(terms: Terms, plan: Plan, machine: Machine) -> None:
    """The payment of a contract that names none: equal parts, one more than there are dates before maturity (LAM); the
    annuity, unless a fixing before the first redemption sets it (ANN)."""
    if terms.number_or_none("nextPrincipalRedemptionPayment") is not None:
        return
    dates = plan.redemptions()
    if terms.kind == "LAM":
        machine.state.redemption = terms.sign * terms.number("notionalPrincipal") / (len(dates) + 1)
    elif terms.kind == "ANN" and dates and not _is_fixed(terms, plan, dates[0]):
        state = machine.state
        if plan.issued >= terms.status:
            notional, rate = terms.sign * terms.number("notionalPrincipal"), terms.number("nominalInterestRate")
            ahead = [plan.issued, *(moment for moment in _amortising(terms, plan) if moment >= plan.issued)]
            first = ahead[1]
            accrued = year_fraction(machine.convention, plan.issued, first) * rate * notional
            machine.state.redemption = _level(machine.convention, notional + accrued, rate, first, ahead[2:], paid=1)
        else:
            ahead = [moment for moment in _amortising(terms, plan) if moment > terms.status]
            owed = state.notional + state.accrued
            machine.state.redemption = _level(machine.convention, owed, state.rate, terms.status, ahead, paid=0)


def _is_fixed(terms: Terms, plan: Plan, first: datetime) -> bool:
    """Whether a fixing event, a day before the first redemption, lies within the contract's reported life."""
    fixing = first - timedelta(days=1)
    return fixing >= plan.issued and fixing > terms.status


def _amortising(terms: Terms, plan: Plan) -> list[datetime]:
    """The redemption moments over which an annuity pays back, the end of amortisation included."""
    end = terms.moment_or_none("amortizationDate") or plan.matures
    return plan.moments(plan.redemption_anchor, plan.redemption_cycle, end, with_end=True)


def _with_fixings(terms: Terms, plan: Plan, planned: list[Planned]) -> list[Planned]:
    """Annuities fix their payment a day before the first redemption if none is given, and after every reset."""
    fixings = [Planned("PRF2", e.reported, e.calculated) for e in planned if e.kind in {"RR", "RRF"}]
    dates = plan.redemptions()
    if terms.number_or_none("nextPrincipalRedemptionPayment") is None and dates and _is_fixed(terms, plan, dates[0]):
        first = dates[0] - timedelta(days=1)
        fixings.append(Planned("PRF", first, first))
    return sorted([*planned, *fixings], key=lambda event: event.order)


def _annuity(terms: Terms, plan: Plan, machine: Machine, event: Planned) -> float:
    """The payment fixed by an event: from the first redemption on (PRF), or from the next one on (after a reset)."""
    state, convention = machine.state, machine.convention
    ahead = [moment for moment in _amortising(terms, plan) if moment > event.calculated]
    if not ahead:
        return state.redemption
    first = event.kind == "PRF"
    start = ahead[0] if first else event.calculated
    owed = state.notional + state.accrued + year_fraction(convention, state.since, start) * state.rate * state.base
    return _level(convention, owed, state.rate, start, ahead[1:] if first else ahead, paid=int(first))


def _level(convention: str, owed: float, rate: float, start: datetime, moments: list[datetime], *, paid: int) -> float:
    """The level payment at `moments` (and, with `paid`, at `start`) that is worth `owed` at `start` (ACTUS 3.8):
    owed × Π f_i ÷ Σ_j Π_{i>j} f_i, with f_i = 1 + rate × years of the period i."""
    growth, worth, since = 1.0, float(paid), start
    for moment in moments:
        factor = 1 + rate * year_fraction(convention, since, moment)
        growth *= factor
        worth = worth * factor + 1.0
        since = moment
    return owed * growth / worth
