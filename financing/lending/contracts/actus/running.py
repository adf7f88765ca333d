"""Run a contract: from terms and observations to the events that are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from financing.base.errors import ContractInvalid
from financing.lending.contracts.actus.covers import run_cover
from financing.lending.contracts.actus.events import Event, Observation, Planned
from financing.lending.contracts.actus.planning import Plan
from financing.lending.contracts.actus.state import Machine
from financing.lending.contracts.actus.terms import Terms, moment_of, number_of


def observation_of(data: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Observation:
    """Observations as the vectors have them. Raises `ContractInvalid` for a value or a time that is none."""
    if not isinstance(data, Mapping) or not all(isinstance(each, Mapping) for each in events):
        raise ContractInvalid("observations are values of market objects by name, and events with a type and a time")
    series = {}
    for code, values in data.items():
        try:
            points = [(moment_of(str(each["timestamp"])), number_of(each["value"], code)) for each in values["data"]]
        except (KeyError, TypeError) as error:
            raise ContractInvalid("observations are times with values", code=code) from error
        series[code] = tuple(sorted(points))
    return Observation(series, tuple(events))


def run(raw: Mapping[str, Any], observed: Observation, to: datetime | None = None) -> list[Event]:
    """The events of a contract up to `to` (all for None). Raises `ContractInvalid`."""
    terms = Terms(raw)
    if terms.kind in {"CEC", "CEG"}:
        return run_cover(terms, observed, to, run, standing)
    plan = Plan(terms, observed)
    machine = Machine(plan)
    bought, currency = terms.moment_or_none("purchaseDate"), terms.text("currency") or ""
    events = []
    for event in _happening(plan, machine):
        payoff, state = machine.apply(event), machine.state
        if (to is None or event.reported <= to) and (bought is None or event.reported >= bought):
            kind = "PRF" if event.kind == "PRF2" else event.kind
            events.append(Event(kind, event.reported, payoff, currency, state.notional, state.rate, state.accrued))
    return events


def standing(raw: Mapping[str, Any], observed: Observation, at: datetime) -> tuple[float, float]:
    """Notional and accrued interest of a maturity contract after its events up to `at`, signed by its role.

    Raises `ContractInvalid`, also for a moment before the contract's status date: what was owed then is not known.
    """
    terms = Terms(raw)
    if terms.kind in {"CEC", "CEG"}:
        raise ContractInvalid("a cover has no notional of its own", contract_type=terms.kind)
    if at < terms.status:
        raise ContractInvalid("what a contract owes is known from its status date on", status=str(terms.status))
    plan = Plan(terms, observed)
    machine = Machine(plan)
    for event in _happening(plan, machine):
        if event.calculated > at:
            break
        machine.apply(event)
    machine.accrue(at)
    return machine.state.notional, machine.state.accrued


def _happening(plan: Plan, machine: Machine) -> Iterator[Planned]:
    """The events in their order, each yielded when all before it have happened to the machine; a termination is the
    last one."""
    terms, scheduled = plan.terms, plan.events()
    machine.start(plan.issued, scheduled)
    _prepare_redemption(plan, machine)
    planned = [event for event in scheduled if event.calculated > terms.status or _counts(event, terms)]
    if terms.kind == "ANN":
        planned = _with_fixings(plan, planned)
    ended = terms.moment_or_none("terminationDate")
    for event in planned:
        if ended is not None and event.calculated > ended:
            return
        if event.kind in {"PRF", "PRF2"}:
            yield Planned(event.kind, event.reported, event.calculated, _annuity(plan, machine, event))
        else:
            yield event
        if event.kind == "TD":
            return


def _counts(event: Planned, terms: Terms) -> bool:
    return event.kind == "IED" and event.calculated == terms.status


def _prepare_redemption(plan: Plan, machine: Machine) -> None:
    """The payment of a contract that names none: equal parts, one more than there are dates before maturity (LAM); the
    annuity, unless a fixing before the first redemption sets it (ANN)."""
    terms, state = plan.terms, machine.state
    if terms.number_or_none("nextPrincipalRedemptionPayment") is not None:
        return
    dates = plan.redemptions()
    if terms.kind == "NAM":
        raise ContractInvalid("a term is missing", missing=["nextPrincipalRedemptionPayment"])
    if terms.kind == "LAM":
        state.redemption = terms.sign * terms.number("notionalPrincipal") / (len(dates) + 1)
    elif terms.kind == "ANN" and dates and not _is_fixed(plan, dates[0]):
        if plan.issued >= terms.status:
            notional, rate = terms.sign * terms.number("notionalPrincipal"), terms.number("nominalInterestRate")
            ahead = [moment for moment in _amortising(plan) if moment >= plan.issued]
            accrued = plan.years(plan.issued, ahead[0]) * rate * notional
            state.redemption = _level(plan, notional + accrued, rate, ahead[0], ahead[1:], paid=1)
        else:
            ahead = [moment for moment in _amortising(plan) if moment > terms.status]
            state.redemption = _level(plan, state.notional + state.accrued, state.rate, terms.status, ahead, paid=0)


def _is_fixed(plan: Plan, first: datetime) -> bool:
    """Whether a fixing event, a day before the first redemption, lies within the contract's reported life."""
    fixing = first - timedelta(days=1)
    return fixing >= plan.issued and fixing > plan.terms.status


def _amortising(plan: Plan) -> list[datetime]:
    """The redemption moments over which an annuity pays back, the end of amortisation included."""
    end = plan.terms.moment_or_none("amortizationDate") or plan.matures
    return plan.moments(plan.redemption_anchor, plan.redemption_cycle, end, with_end=True)


def _with_fixings(plan: Plan, planned: list[Planned]) -> list[Planned]:
    """Annuities fix their payment a day before the first redemption if none is given, and after every reset."""
    fixings = [Planned("PRF2", e.reported, e.calculated) for e in planned if e.kind in {"RR", "RRF"}]
    dates = plan.redemptions()
    given = plan.terms.number_or_none("nextPrincipalRedemptionPayment") is not None
    if not given and dates and _is_fixed(plan, dates[0]):
        first = dates[0] - timedelta(days=1)
        fixings.append(Planned("PRF", first, first))
    return sorted([*planned, *fixings], key=lambda event: event.order)


def _annuity(plan: Plan, machine: Machine, event: Planned) -> float:
    """The payment fixed by an event: from the first redemption on (PRF), or from the next one on (after a reset)."""
    state = machine.state
    ahead = [moment for moment in _amortising(plan) if moment > event.calculated]
    if not ahead:
        return state.redemption
    first = event.kind == "PRF"
    start = ahead[0] if first else event.calculated
    owed = state.notional + state.accrued + plan.years(state.since, start) * state.rate * state.base
    return _level(plan, owed, state.rate, start, ahead[1:] if first else ahead, paid=int(first))


def _level(plan: Plan, owed: float, rate: float, start: datetime, moments: list[datetime], *, paid: int) -> float:
    """The level payment at `moments` (and, with `paid`, at `start`) that is worth `owed` at `start` (ACTUS 3.8):
    owed × Π f_i ÷ Σ_j Π_{i>j} f_i, with f_i = 1 + rate × years of the period i."""
    growth, worth, since = 1.0, float(paid), start
    for moment in moments:
        factor = 1 + rate * plan.years(since, moment)
        growth *= factor
        worth = worth * factor + 1.0
        since = moment
    if not worth:
        raise ContractInvalid("an annuity has a redemption ahead", start=str(start))
    return owed * growth / worth
