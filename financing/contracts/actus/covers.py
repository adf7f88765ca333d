"""Credit enhancement: collateral (CEC) and guarantees (CEG) pay when a covered contract has a credit event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from financing.contracts.actus.events import Event, Observation
from financing.contracts.actus.terms import Terms, days_of, moment_of
from financing.errors import ContractInvalid

Run = Callable[[Mapping[str, Any], Observation, "datetime | None"], "list[Event]"]


def run_cover(terms: Terms, observed: Observation, to: datetime | None, run: Run) -> list[Event]:
    """The events of a cover: purchase, exercise on a covered credit event, settlement, maturity."""
    covered = [each for each in terms.raw("contractStructure") or () if each.get("referenceRole") == "COVE"]
    covering = [each for each in terms.raw("contractStructure") or () if each.get("referenceRole") == "COVI"]
    if not covered:
        raise ContractInvalid("a cover names what it covers", missing=["contractStructure"])
    matures = terms.moment_or_none("maturityDate") or _last(covered, observed, run)
    share = terms.number("coverageOfCreditEnhancement", 1.0)
    default = _default(terms, covered, observed, matures)
    currency = terms.text("currency") or ""
    found: list[Event] = []
    bought = terms.moment_or_none("purchaseDate")
    notional = _insured(terms, covered, observed, bought or terms.status, run) * share if terms.kind == "CEG" else 0.0
    if bought is not None:
        price = -terms.sign * terms.number("priceAtPurchaseDate")
        found.append(Event("PRD", bought, price, currency, terms.sign * notional, 0.0, 0.0, 0.0))
    if default is not None and (bought is None or default >= bought):
        exposure = _insured(terms, covered, observed, default, run) * share
        amount = exposure
        if terms.kind == "CEC":
            amount = min(_collateral(covering, observed, default, run), exposure)
        settled = terms.shift.shifted(default + days_of(terms.text("settlementPeriod")))
        found.append(Event("XD", default, 0.0, currency, terms.sign * exposure, 0.0, 0.0, terms.sign * amount))
        found.append(Event("STD", settled, terms.sign * amount, currency, 0.0, 0.0, 0.0, terms.sign * amount))
    else:
        found.append(Event("MD", matures, 0.0, currency, 0.0, 0.0, 0.0, 0.0))
    return [event for event in found if to is None or event.at <= to]


def _identifier(reference: Mapping[str, Any]) -> str:
    named = reference.get("object", {})
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
            moments.append(moment_of(str(seen["time"])))
    found = min(moments, default=None)
    return found if found is not None and found <= matures else None


def _insured(terms: Terms, covered: list[Mapping[str, Any]], observed: Observation, at: datetime, run: Run) -> float:
    """The exposure that is covered at a moment: notional only, or with accrued interest, or market value."""
    if terms.kind == "CEG" and terms.number_or_none("notionalPrincipal") is not None:
        return terms.number("notionalPrincipal")
    kind = terms.text("guaranteedExposure") or "NO"
    total = 0.0
    for each in covered:
        contract = each["object"]
        if contract.get("contractType") is None:
            raise ContractInvalid("the covered contract's terms are not given", contract=_identifier(each))
        past = run(contract, observed, at)
        if not past:
            continue
        last = past[-1]
        total += abs(last.notional)
        if kind == "NI":
            total += abs(_accrued(contract, observed, at, run))
        elif kind == "MV":
            code = str(contract.get("marketObjectCode") or "")
            total += observed.at(code, at) - abs(last.notional)
    return total


def _accrued(contract: Mapping[str, Any], observed: Observation, at: datetime, run: Run) -> float:
    """Interest accrued at a moment: what a purchase at zero price on that moment would pay."""
    asked = {**contract, "purchaseDate": at.isoformat(), "priceAtPurchaseDate": "0"}
    events = run(asked, observed, at)
    purchase = next((event for event in events if event.kind == "PRD"), None)
    return purchase.accrued if purchase is not None else 0.0


def _collateral(covering: list[Mapping[str, Any]], observed: Observation, at: datetime, run: Run) -> float:
    """What the collateral is worth: quantity × price of a commodity or stock, notional and interest of a contract."""
    total = 0.0
    for each in covering:
        thing = each["object"]
        code, quantity = str(thing.get("marketObjectCode") or ""), float(str(thing.get("quantity") or 1))
        if thing.get("contractType") in {"COM", "STK", "UMP"}:
            total += quantity * observed.at(code, at)
        else:
            past = run(thing, observed, at)
            total += abs(past[-1].notional) if past else 0.0
    return total


def _last(covered: list[Mapping[str, Any]], observed: Observation, run: Run) -> datetime:
    moments = []
    for each in covered:
        contract = each["object"]
        matures = contract.get("maturityDate")
        if matures is not None:
            moments.append(moment_of(str(matures)))
        elif contract.get("contractType") is not None:
            moments.append(run(contract, observed, None)[-1].at)
    if not moments:
        raise ContractInvalid("a cover without maturity ends with what it covers", missing=["maturityDate"])
    return max(moments)
