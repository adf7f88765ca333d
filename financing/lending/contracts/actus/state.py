"""The state of a maturity contract and how each event changes it (ACTUS 7.1 to 7.4: state transition and payoff).

Amounts carry the sign of the role: a lender's notional is positive, a borrower's negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from financing.base.errors import ContractInvalid
from financing.lending.contracts.actus.events import Planned
from financing.lending.contracts.actus.planning import Plan

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

    def __init__(self, plan: Plan) -> None:
        terms = plan.terms
        self.terms, self.observed, self.sign, self.years = terms, plan.observed, terms.sign, plan.years
        self.state = State(terms.status, redemption=terms.sign * terms.number("nextPrincipalRedemptionPayment"))
        self.base_kind = terms.text("interestCalculationBase") or "NT"
        effect = terms.text("scalingEffect") or "000"
        if effect[:1] == "I":
            self.state.interest_scale = terms.number("interestScalingMultiplier", 1.0)
        if effect[1:2] == "N":
            self.state.notional_scale = terms.number("notionalScalingMultiplier", 1.0)
        if terms.number("feeRate") and terms.text("feeBasis") not in {"A", "N"}:
            raise ContractInvalid("a fee is absolute (A) or on the notional (N)", fee_basis=terms.text("feeBasis"))

    def start(self, issued: datetime, planned: Sequence[Planned]) -> None:
        """Set the state of a contract that was issued before its status date.

        Interest and fees that the terms do not state have accrued since the last payment; without one in the schedule
        they start at the status date, as in the reference vectors.
        """
        terms, state = self.terms, self.state
        if issued >= terms.status:
            return
        state.notional = self.sign * terms.number("notionalPrincipal")
        state.rate = terms.number("nominalInterestRate")
        self._set_base()
        if terms.number_or_none("accruedInterest") is not None:
            state.accrued = self.sign * terms.number("accruedInterest")
        else:
            state.accrued = self._since_last(planned, {"IP", "IPCI"}) * state.rate * self._interest_base()
        if terms.number_or_none("feeAccrued") is not None:
            state.fee = self.sign * terms.number("feeAccrued")
        elif terms.text("feeBasis") == "N":
            state.fee = self._since_last(planned, {"FP"}) * terms.number("feeRate") * state.notional

    def _since_last(self, planned: Sequence[Planned], kinds: set[str]) -> float:
        status = self.terms.status
        past = [each.calculated for each in planned if each.kind in kinds and each.calculated <= status]
        return self.years(max(past), status) if past else 0.0

    def _interest_base(self) -> float:
        return self.state.notional if self.terms.kind == "PAM" else self.state.base

    def apply(self, event: Planned) -> float:
        """Let one event take effect: changes the state, returns the payoff."""
        effect = getattr(self, f"_{event.kind.lower()}", None)
        if effect is None:
            raise ContractInvalid("no such event", kind=event.kind)
        return float(effect(event))

    def accrue(self, to: datetime) -> None:
        """Let interest and fees on the notional accrue up to a moment."""
        state, terms = self.state, self.terms
        years = self.years(state.since, to)
        state.accrued += years * state.rate * self._interest_base()
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
            state.accrued = self.years(anchor, event.calculated) * self._interest_base() * state.rate
        return -self.sign * (terms.number("notionalPrincipal") + terms.number("premiumDiscountAtIED"))

    def _set_base(self) -> None:
        given = self.terms.number_or_none("interestCalculationBaseAmount")
        self.state.base = self.state.notional if self.base_kind == "NT" or given is None else self.sign * given

    def _ip(self, event: Planned) -> float:
        self.accrue(event.calculated)
        payoff = self.state.interest_scale * self.state.accrued
        self.state.accrued = 0.0
        return payoff

    def _ipci(self, event: Planned) -> float:
        self.accrue(event.calculated)
        self.state.notional += self.state.accrued
        self.state.accrued = 0.0
        self._follow_notional()
        return 0.0

    def _pr(self, event: Planned) -> float:
        self.accrue(event.calculated)
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
        self.accrue(event.calculated)
        assert event.value is not None
        self.state.redemption = event.value
        return 0.0

    _prf2 = _prf

    def _md(self, event: Planned) -> float:
        self.accrue(event.calculated)
        payoff = self.state.notional_scale * self.state.notional
        self._end()
        return payoff

    def _prd(self, event: Planned) -> float:
        self.accrue(event.calculated)
        return -self.sign * (self.terms.number("priceAtPurchaseDate") + self.state.accrued)

    def _td(self, event: Planned) -> float:
        self.accrue(event.calculated)
        payoff = self.sign * (self.terms.number("priceAtTerminationDate") + self.state.accrued)
        self._end()
        return payoff

    def _rrf(self, event: Planned) -> float:
        self.accrue(event.calculated)
        self.state.rate = self.terms.number("nextResetRate")
        return 0.0

    def _rr(self, event: Planned) -> float:
        self.accrue(event.calculated)
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
        self.accrue(event.calculated)
        terms, state = self.terms, self.state
        effect = terms.text("scalingEffect") or "000"
        if terms.raw("marketObjectCodeOfScalingIndex") is None:
            raise ContractInvalid("a term is missing", missing=["marketObjectCodeOfScalingIndex"])
        seen = self.observed.at(terms.text("marketObjectCodeOfScalingIndex") or "", event.calculated)
        start = terms.number_or_none("scalingIndexAtContractDealDate") or terms.number_or_none(
            "scalingIndexAtStatusDate"
        )
        if not start:
            raise ContractInvalid("an index scales from its value at the deal", effect=effect)
        if effect[:1] == "I":
            state.interest_scale = seen / start
        if effect[1:2] == "N":
            state.notional_scale = seen / start
        return 0.0

    def _ipcb(self, event: Planned) -> float:
        self.accrue(event.calculated)
        self.state.base = self.state.notional
        return 0.0

    def _fp(self, event: Planned) -> float:
        self.accrue(event.calculated)
        terms, state = self.terms, self.state
        payoff = self.sign * terms.number("feeRate") if terms.text("feeBasis") == "A" else state.fee
        state.fee = 0.0
        return payoff

    def _pp(self, event: Planned) -> float:
        self.accrue(event.calculated)
        amount = event.value
        if amount is None or abs(amount) > abs(self.state.notional):
            raise ContractInvalid("no more is prepaid than is owed", amount=amount, owed=self.state.notional)
        self.state.notional -= amount
        self._follow_notional()
        return amount

    def _py(self, event: Planned) -> float:
        """A fixed penalty (A), or one on the notional for the time since the last event: at the penalty rate (N, R) or
        at what the contract's rate is above the market's (I). A borrower's notional is negative: it pays."""
        terms, state = self.terms, self.state
        exposed = self.years(state.since, event.calculated) * state.notional
        self.accrue(event.calculated)
        kind = terms.text("penaltyType")
        if kind == "A":
            return self.sign * terms.number("penaltyRate")
        if kind in {"N", "R"}:
            return exposed * terms.number("penaltyRate")
        if kind == "I":
            seen = self.observed.at(terms.text("marketObjectCodeOfRateReset") or "", event.calculated)
            return exposed * max(0.0, state.rate - seen)
        raise ContractInvalid("a penalty is A, N, R or I", penalty_type=kind)

    def _end(self) -> None:
        state = self.state
        state.notional, state.base, state.accrued, state.fee = 0.0, 0.0, 0.0, 0.0

    def _follow_notional(self) -> None:
        if self.base_kind != "NTL" and not (self.base_kind == "NTIED" and self.terms.kind == "PAM"):
            self.state.base = self.state.notional
