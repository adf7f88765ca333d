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
    for event in planned:
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
            found.append(
                Event(kind, event.reported, payoff, currency, state.notional, state.rate, state.accrued)
            )
    return found


def _counts(event: Planned, terms: Terms) -> bool:
    return event.kind == "IED" and event.calculated == terms.status


def _prepare_redemption(terms: Terms, plan: Plan, machine: Machine) -> None:
    """A linear amortiser without a payment redeems in equal parts: one more than it has dates before maturity."""
    if terms.kind == "LAM" and terms.number_or_none("nextPrincipalRedemptionPayment") is None:
        parts = len(plan.redemptions()) + 1
        machine.state.redemption = terms.sign * terms.number("notionalPrincipal") / parts


def _with_fixings(terms: Terms, plan: Plan, planned: list[Planned]) -> list[Planned]:
    """Annuities fix their payment a day before the first redemption if none is given, and after every reset."""
    fixings = [Planned("PRF2", e.reported, e.calculated) for e in planned if e.kind in {"RR", "RRF"}]
    if terms.number_or_none("nextPrincipalRedemptionPayment") is None:
        dates = plan.redemptions()
        if dates:
            first = dates[0] - timedelta(days=1)
            if first >= plan.issued and first > terms.status:
                fixings.append(Planned("PRF", first, first))
    return sorted([*planned, *fixings], key=lambda event: event.order)


def _annuity(terms: Terms, plan: Plan, machine: Machine, event: Planned) -> float:
    """The level payment that pays notional and accrued interest back by the end of amortisation (ACTUS 3.8)."""
    convention = terms.text("dayCountConvention") or "AA"
    end = terms.moment_or_none("amortizationDate") or plan.matures
    cycle = plan.redemption_cycle
    anchor = plan.redemption_anchor
    if cycle is None or anchor is None:
        raise ContractInvalid("an annuity redeems in cycles", missing=["cycleOfPrincipalRedemption"])
    moments = [
        m for m in plan._cycle(anchor, cycle, end, with_end=True) if m > event.calculated  # noqa: SLF001
    ]
    state = machine.state
    first = moments[0]
    to_first = event.kind == "PRF"
    base = state.base if terms.kind != "PAM" else state.notional
    accrued_until = first if to_first else event.calculated
    accrued = state.accrued + year_fraction(convention, state.since, accrued_until) * state.rate * base
    start = first if to_first else event.calculated
    rest = moments[1:] if to_first else moments
    factors = []
    since = start
    for moment in rest:
        factors.append(1 + state.rate * year_fraction(convention, since, moment))
        since = moment
    growth, total = 1.0, 1.0 if to_first else 0.0
    tail = 1.0
    for factor in factors:
        growth *= factor
    remaining = growth
    total = growth if to_first else 0.0
    for factor in factors:
        remaining /= factor
        total += remaining
    del tail
    return (state.notional + accrued) * growth / total
