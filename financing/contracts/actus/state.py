"""The state of a maturity contract and how each event changes it (ACTUS 7.1 to 7.4: state transition and payoff).

Amounts carry the sign of the role: a lender's notional is positive, a borrower's negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from financing.contracts.actus.events import Observation, Planned
from financing.contracts.actus.terms import Terms
from financing.contracts.day_counts import year_fraction
from financing.errors import ContractInvalid

UNBOUNDED = float("inf")


@dataclass(slots=True)
class State:
    """Variables of a contract between events; `since` is the moment up to which interest is accrued."""

    since: datetime
    notional: float = 0.0
    rate: float = 0.0
    accrued: float = 0.0
    fee: float = 0.0
    base: float = 0.0
    redemption: float = 0.0
    notional_scale: float = 1.0
    interest_scale: float = 1.0
    after_issue: bool = False


class Machine:
    """Takes a contract of any maturity type through its events; the types differ in `redeem` and in their schedules."""

    def __init__(self, terms: Terms, observed: Observation) -> None:
        self.terms, self.observed, self.sign = terms, observed, terms.sign
        self.convention = terms.text("dayCountConvention") or "AA"
        self.state = State(terms.status, redemption=terms.sign * terms.number("nextPrincipalRedemptionPayment"))
        self.base_kind = terms.text("interestCalculationBase") or "NT"

    def start(self, issued: datetime) -> None:
        """Set the state of a contract that was issued before its status date."""
        terms, state = self.terms, self.state
        if issued >= terms.status:
            return
        state.notional = self.sign * terms.number("notionalPrincipal")
        state.rate = terms.number("nominalInterestRate")
        state.accrued = self.sign * terms.number("accruedInterest")
        state.fee = self.sign * terms.number("feeAccrued")
        self._set_base()

    def happen(self, event: Planned) -> float:
        """Let one event happen: changes the state, returns the payoff."""
        effect = getattr(self, f"_{event.kind.lower()}", None)
        if effect is None:
            raise ContractInvalid("no such event", kind=event.kind)
        return float(effect(event))

    def _accrue(self, to: datetime) -> None:
        state, terms = self.state, self.terms
        years = year_fraction(self.convention, state.since, to)
        state.accrued += years * state.rate * (state.notional if terms.kind == "PAM" else state.base)
        if terms.text("feeBasis") == "N":
            state.fee += years * state.notional * terms.number("feeRate")
        state.since = to

    def _ied(self, event: Planned) -> float:
        terms, state = self.terms, self.state
        state.since = event.calculated
        state.notional = self.sign * terms.number("notionalPrincipal")
        state.rate = terms.number("nominalInterestRate")
        anchor = terms.moment_or_none("cycleAnchorDateOfInterestPayment")
        self._set_base()
        if terms.number_or_none("accruedInterest") is not None:
            state.accrued = self.sign * terms.number("accruedInterest")
        elif anchor is not None and anchor < event.calculated:
            base = state.notional if terms.kind == "PAM" else state.base
            state.accrued = year_fraction(self.convention, anchor, event.calculated) * base * state.rate
        return -self.sign * (terms.number("notionalPrincipal") + terms.number("premiumDiscountAtIED"))

    def _set_base(self) -> None:
        given = self.terms.number_or_none("interestCalculationBaseAmount")
        self.state.base = self.state.notional if self.base_kind == "NT" or given is None else self.sign * given

    def _ip(self, event: Planned) -> float:
        self._accrue(event.calculated)
        payoff = self.state.interest_scale * self.state.accrued
        self.state.accrued = 0.0
        return payoff

    def _ipci(self, event: Planned) -> float:
        self._accrue(event.calculated)
        self.state.notional += self.state.accrued
        self.state.accrued = 0.0
        self._follow_notional()
        return 0.0

    def _pr(self, event: Planned) -> float:
        self._accrue(event.calculated)
        state = self.state
        paid = state.redemption
        if self.terms.kind in {"NAM", "ANN"}:
            paid -= state.accrued
        if abs(paid) > abs(state.notional) and paid * self.sign > 0:
            paid = state.notional
        state.notional -= paid
        self._follow_notional()
        return state.notional_scale * paid

    def _prf(self, event: Planned) -> float:
        self._accrue(event.calculated)
        assert event.value is not None
        self.state.redemption = event.value
        return 0.0

    _prf2 = _prf

    def _md(self, event: Planned) -> float:
        self._accrue(event.calculated)
        payoff = self.state.notional_scale * self.state.notional
        self.state.notional, self.state.accrued, self.state.fee = 0.0, 0.0, 0.0
        self._follow_notional()
        return payoff

    def _prd(self, event: Planned) -> float:
        self._accrue(event.calculated)
        return -self.sign * (self.terms.number("priceAtPurchaseDate") + self.state.accrued)

    def _td(self, event: Planned) -> float:
        self._accrue(event.calculated)
        payoff = self.sign * (self.terms.number("priceAtTerminationDate") + self.state.accrued)
        self.state.notional, self.state.accrued, self.state.fee = 0.0, 0.0, 0.0
        self._follow_notional()
        return payoff

    def _rrf(self, event: Planned) -> float:
        self._accrue(event.calculated)
        self.state.rate = self.terms.number("nextResetRate")
        return 0.0

    def _rr(self, event: Planned) -> float:
        self._accrue(event.calculated)
        terms, state = self.terms, self.state
        # The reference implementation reads the market object at the reset itself, whatever the fixing days.
        seen = self.observed.at(terms.text("marketObjectCodeOfRateReset") or "", event.calculated)
        target = seen * terms.number("rateMultiplier", 1.0) + terms.number("rateSpread")
        change = min(
            max(target - state.rate, -abs(terms.number("periodFloor", UNBOUNDED))), terms.number("periodCap", UNBOUNDED)
        )
        floor, cap = terms.number("lifeFloor", -UNBOUNDED), terms.number("lifeCap", UNBOUNDED)
        state.rate = min(max(state.rate + change, floor), cap)
        return 0.0

    def _sc(self, event: Planned) -> float:
        self._accrue(event.calculated)
        terms, state = self.terms, self.state
        effect = terms.text("scalingEffect") or "000"
        seen = self.observed.at(terms.text("marketObjectCodeOfScalingIndex") or "", event.calculated)
        start = terms.number_or_none("scalingIndexAtContractDealDate") or terms.number_or_none(
            "scalingIndexAtStatusDate"
        )
        if not start:
            raise ContractInvalid("an index scales from its value at the deal", effect=effect)
        if effect[0] == "I":
            state.interest_scale = seen / start
        if effect[1] == "N":
            state.notional_scale = seen / start
        return 0.0

    def _ipcb(self, event: Planned) -> float:
        self._accrue(event.calculated)
        self.state.base = self.state.notional
        return 0.0

    def _fp(self, event: Planned) -> float:
        self._accrue(event.calculated)
        terms, state = self.terms, self.state
        payoff = self.sign * terms.number("feeRate") if terms.text("feeBasis") == "A" else state.fee
        state.fee = 0.0
        return payoff

    def _pp(self, event: Planned) -> float:
        self._accrue(event.calculated)
        amount = event.value or 0.0
        self.state.notional -= amount
        self._follow_notional()
        return amount

    def _py(self, event: Planned) -> float:
        terms = self.terms
        self._accrue(event.calculated)
        rate, kind = terms.number("penaltyRate"), terms.text("penaltyType")
        if kind == "A":
            return self.sign * rate
        return rate * self.state.notional if kind == "N" else 0.0

    def _follow_notional(self) -> None:
        if self.base_kind != "NTL" and not (self.base_kind == "NTIED" and self.terms.kind == "PAM"):
            self.state.base = self.state.notional
