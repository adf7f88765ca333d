"""Which events a maturity contract schedules (ACTUS 7.1 to 7.4: contract schedules)."""

from __future__ import annotations

from datetime import datetime
from math import ceil

from financing.base.errors import ContractInvalid
from financing.lending.contracts.actus.events import Observation, Planned
from financing.lending.contracts.actus.terms import Terms, moment_of, number_of
from financing.lending.contracts.cycles import EVENTS_MAX, Cycle, is_month_end, schedule
from financing.lending.contracts.day_counts import year_fraction


class Plan:
    """The events of a PAM, LAM, NAM or ANN, up to maturity; an observation may add prepayments."""

    def __init__(self, terms: Terms, observed: Observation) -> None:
        self.terms, self.observed = terms, observed
        self.issued = terms.moment("initialExchangeDate")
        self.redemption_cycle = terms.cycle("cycleOfPrincipalRedemption")
        self.redemption_anchor = terms.moment_or_none("cycleAnchorDateOfPrincipalRedemption") or self._after_issue(
            self.redemption_cycle
        )
        self.convention = terms.text("dayCountConvention") or "AA"
        self.matures = terms.moment_or_none("maturityDate") or self._maturity()

    def years(self, start: datetime, end: datetime) -> float:
        """Years between two moments by the contract's convention."""
        return year_fraction(self.convention, start, end, self.matures)

    def events(self) -> list[Planned]:
        """All events in order."""
        planned = [self._at("IED", self.issued)]
        if self.terms.kind != "PAM":
            planned += [self._at("PR", moment) for moment in self.redemptions()]
        planned += self._interest() + self._resets() + self._others() + self._prepayments()
        planned.append(self._at("MD", self.matures))
        return sorted(planned, key=lambda event: event.order)

    def redemptions(self) -> list[datetime]:
        """Moments of principal redemption before maturity."""
        return self.moments(self.redemption_anchor, self.redemption_cycle, self.matures)

    def _interest(self) -> list[Planned]:
        terms = self.terms
        if terms.number_or_none("nominalInterestRate") is None:
            return []
        cycle = terms.cycle("cycleOfInterestPayment")
        anchor = terms.moment_or_none("cycleAnchorDateOfInterestPayment") or self._after_issue(cycle)
        capitalised_to = terms.moment_or_none("capitalizationEndDate")
        planned: list[Planned] = []
        moments = self.moments(anchor, cycle, self.matures, with_end=True)
        if self.terms.kind in {"NAM", "ANN"}:
            redeemed = self.redemptions()
            first = self.redemption_anchor
            before = [moment for moment in moments if first is None or moment < first]
            moments = sorted({*before, *redeemed, self.matures})
        if capitalised_to is not None:
            begin = anchor if anchor is not None else self.issued
            capital = [m for m in self.moments(begin, cycle, capitalised_to, with_end=True) if m <= capitalised_to]
            planned += [self._at("IPCI", moment) for moment in capital]
            moments = [moment for moment in moments if moment > capitalised_to]
        return planned + [self._at("IP", moment) for moment in moments]

    def _resets(self) -> list[Planned]:
        terms = self.terms
        cycle, anchor = terms.cycle("cycleOfRateReset"), terms.moment_or_none("cycleAnchorDateOfRateReset")
        if cycle is None and anchor is None:
            return []
        moments = self.moments(anchor or self._after_issue(cycle), cycle, self.matures)
        resets = [self._at("RR", moment) for moment in moments]
        if terms.number_or_none("nextResetRate") is not None:
            first = next((place for place, event in enumerate(resets) if event.reported > terms.status), None)
            if first is not None:
                resets[first] = self._at("RRF", moments[first])
        return resets

    def _others(self) -> list[Planned]:
        terms = self.terms
        planned: list[Planned] = []
        if (terms.text("scalingEffect") or "000").strip("0O"):
            planned += self._repeated("SC", "ScalingIndex", with_end=False)
        if terms.number("feeRate") and (terms.raw("cycleOfFee") or terms.raw("cycleAnchorDateOfFee")):
            planned += self._repeated("FP", "Fee", with_end=True)
        if terms.text("interestCalculationBase") == "NTL" and terms.kind != "PAM":
            planned += self._repeated("IPCB", "InterestCalculationBase", with_end=False)
        for name, kind in (("purchaseDate", "PRD"), ("terminationDate", "TD")):
            moment = terms.moment_or_none(name)
            if moment is not None:
                planned.append(Planned(kind, moment, moment))
        return planned

    def _repeated(self, kind: str, name: str, *, with_end: bool) -> list[Planned]:
        cycle = self.terms.cycle(f"cycleOf{name}")
        anchor = self.terms.moment_or_none(f"cycleAnchorDateOf{name}") or self._after_issue(cycle)
        return [self._at(kind, moment) for moment in self.moments(anchor, cycle, self.matures, with_end=with_end)]

    def _prepayments(self) -> list[Planned]:
        """Observed prepayments and penalties; a contract with a penalty asks for one with each prepayment."""
        prepayments: dict[tuple[datetime, str], Planned] = {}
        penalised = (self.terms.text("penaltyType") or "O") != "O"
        for seen in self.observed.events:
            kind = str(seen.get("type", ""))
            if kind in {"PP", "PY"} and seen.get("contractId") == self.terms.text("contractID"):
                moment = moment_of(str(seen.get("time")))
                amount = number_of(seen.get("value"), "value") if kind == "PP" else None
                prepayments[moment, kind] = Planned(kind, moment, moment, amount)
                if kind == "PP" and penalised:
                    prepayments.setdefault((moment, "PY"), Planned("PY", moment, moment))
        return list(prepayments.values())

    def moments(
        self, anchor: datetime | None, cycle: Cycle | None, end: datetime, *, with_end: bool = False
    ) -> list[datetime]:
        """The moments of a cycle by the contract's end-of-month convention."""
        return schedule(anchor, cycle, end, end_of_month=self.terms.end_of_month, with_end=with_end)

    def _after_issue(self, cycle: Cycle | None) -> datetime | None:
        return None if cycle is None else cycle.after(self.issued, 1, month_end=False)

    def _at(self, kind: str, moment: datetime) -> Planned:
        shift = self.terms.shift
        return Planned(kind, shift.shifted(moment), shift.calculated(moment))

    def _maturity(self) -> datetime:
        """Where none is given: when the redemptions have paid the notional back, or the amortisation date."""
        terms, cycle, anchor = self.terms, self.redemption_cycle, self.redemption_anchor
        amortised = terms.moment_or_none("amortizationDate")
        if terms.kind == "ANN" and amortised is not None:
            return amortised
        payment = terms.number_or_none("nextPrincipalRedemptionPayment")
        if cycle is None or anchor is None or not payment:
            raise ContractInvalid("a contract without maturity redeems in cycles", missing=["maturityDate"])
        notional = terms.number("notionalPrincipal")
        passed = 0
        if self.issued < terms.status:
            # Redemptions before the status date have happened: count from the next one on.
            while cycle.after(anchor, passed, month_end=False) <= terms.status:
                passed += 1
        per_period = payment
        if terms.kind in {"NAM", "ANN"}:
            first, second = (cycle.after(anchor, passed + step, month_end=False) for step in (0, 1))
            # The contract's end, which one of the conventions asks for, is what is looked for here.
            one = year_fraction(self.convention, first, second)
            per_period = payment - notional * one * terms.number("nominalInterestRate")
        if per_period <= 0:
            raise ContractInvalid("the redemption does not pay the interest: the contract never ends")
        if notional > per_period * EVENTS_MAX:
            raise ContractInvalid("the redemptions take more events than a contract has", events_max=EVENTS_MAX)
        count = ceil(notional / per_period)
        month_end = terms.end_of_month and is_month_end(anchor)
        return cycle.after(anchor, passed + count - 1, month_end=month_end)
