"""Credit enhancement: collateral (CEC) and guarantees (CEG) pay when a covered contract has a credit event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from financing.base.errors import ContractInvalid
from financing.lending.contracts.actus.events import Event, Observation
from financing.lending.contracts.actus.terms import Terms, days_of, moment_of, number_of

Run = Callable[[Mapping[str, Any], Observation, "datetime | None"], "list[Event]"]
Standing = Callable[[Mapping[str, Any], Observation, datetime], "tuple[float, float]"]
PRICED = {"COM", "STK", "UMP"}
EXPOSURES = {"NO", "NI", "MV"}


def run_cover(terms: Terms, observed: Observation, to: datetime | None, run: Run, standing: Standing) -> list[Event]:
    """The events of a cover: purchase, exercise on a covered credit event, settlement, maturity.

    `run` and `standing` tell the events of a covered contract and what it owes. Raises `ContractInvalid`.
    """
    covered, covering = _references(terms, "COVE"), _references(terms, "COVI")
    if not covered:
        raise ContractInvalid("a cover names what it covers", missing=["contractStructure"])
    matures = terms.moment_or_none("maturityDate") or _last(covered, observed, run)
    share = terms.number("coverageOfCreditEnhancement", 1.0)
    default = _default(terms, covered, observed, matures)
    currency = terms.text("currency") or ""
    events: list[Event] = []
    bought = terms.moment_or_none("purchaseDate")
    if bought is not None:
        notional = _insured(terms, covered, observed, bought, standing) * share
        price = -terms.sign * terms.number("priceAtPurchaseDate")
        events.append(Event("PRD", bought, price, currency, terms.sign * notional, 0.0, 0.0, 0.0))
    if default is not None and (bought is None or default >= bought):
        exposure = _insured(terms, covered, observed, default, standing) * share
        amount = exposure
        if terms.kind == "CEC":
            amount = min(_collateral(covering, observed, default, standing), exposure)
        settled = terms.shift.shifted(default + days_of(terms.text("settlementPeriod")))
        paid = terms.sign * amount
        events.append(Event("XD", default, 0.0, currency, terms.sign * exposure, 0.0, 0.0, paid, default))
        events.append(Event("STD", settled, paid, currency, 0.0, 0.0, 0.0, paid, default))
    else:
        events.append(Event("MD", matures, 0.0, currency, 0.0, 0.0, 0.0, 0.0))
    return [event for event in events if to is None or event.at <= to]


def _references(terms: Terms, role: str) -> list[Mapping[str, Any]]:
    """The objects that a cover's structure names in a role."""
    structure = terms.raw("contractStructure") or ()
    if isinstance(structure, str | Mapping) or not all(
        isinstance(each, Mapping) and isinstance(each.get("object"), Mapping) for each in structure
    ):
        raise ContractInvalid("a structure is a list of references, each with an object and a role")
    return [each["object"] for each in structure if each.get("referenceRole") == role]


def _identifier(named: Mapping[str, Any]) -> str:
    return str(named.get("contractID") or named.get("contractIdentifier") or "")


def _default(
    terms: Terms, covered: list[Mapping[str, Any]], observed: Observation, matures: datetime
) -> datetime | None:
    """When a covered contract had a credit event of a covered kind, if before maturity."""
    kinds = (terms.text("creditEventTypeCovered") or "DF").replace("[", "").replace("]", "").split(",")
    names = {_identifier(each) for each in covered}
    moments = []
    for seen in observed.events:
        states = seen.get("states")
        performance = str(states.get("contractPerformance", "")) if isinstance(states, Mapping) else ""
        if seen.get("type") == "CE" and seen.get("contractId") in names and performance in {k.strip() for k in kinds}:
            moments.append(moment_of(str(seen.get("time"))))
    first = min((moment for moment in moments if moment > terms.status), default=None)
    return first if first is not None and first <= matures else None


def _insured(
    terms: Terms, covered: list[Mapping[str, Any]], observed: Observation, at: datetime, standing: Standing
) -> float:
    """The exposure that is covered at a moment: notional only (NO), with accrued interest (NI), market value (MV)."""
    if terms.kind == "CEG" and terms.number_or_none("notionalPrincipal") is not None:
        return terms.number("notionalPrincipal")
    kind = terms.text("guaranteedExposure") or "NO"
    if kind not in EXPOSURES:
        raise ContractInvalid("no such exposure", exposure=kind, known=sorted(EXPOSURES))
    total = 0.0
    for contract in covered:
        if contract.get("contractType") is None:
            raise ContractInvalid("the covered contract's terms are not given", contract=_identifier(contract))
        if kind == "MV":
            total += observed.at(str(contract.get("marketObjectCode") or ""), at)
            continue
        notional, accrued = standing(contract, observed, at)
        total += abs(notional) + (abs(accrued) if kind == "NI" else 0.0)
    return total


def _collateral(covering: list[Mapping[str, Any]], observed: Observation, at: datetime, standing: Standing) -> float:
    """What the collateral is worth: quantity × price of a commodity or stock, the notional of a contract."""
    if not covering:
        raise ContractInvalid("collateral names what covers", missing=["contractStructure"])
    total = 0.0
    for thing in covering:
        if thing.get("contractType") in PRICED:
            quantity = number_of(thing.get("quantity", 1), "quantity")
            total += quantity * observed.at(str(thing.get("marketObjectCode") or ""), at)
        else:
            total += abs(standing(thing, observed, at)[0])
    return total


def _last(covered: list[Mapping[str, Any]], observed: Observation, run: Run) -> datetime:
    moments = []
    for contract in covered:
        matures = contract.get("maturityDate")
        if matures is not None:
            moments.append(moment_of(str(matures)))
        elif contract.get("contractType") is not None:
            moments.append(run(contract, observed, None)[-1].at)
    if not moments:
        raise ContractInvalid("a cover without maturity ends with what it covers", missing=["maturityDate"])
    return max(moments)
