"""The decision on an application: score × collateral × product → approve, refer or decline. A pure function.

The same inputs give the same decision for ever: every rate and file hash it used is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydantic import BaseModel

from financing.base.errors import CreditStandardNotMet, InvalidState, NotPermitted
from financing.base.parameters.loader import Parameters
from financing.base.parameters.records import LendingProduct, PrimeRate
from financing.base.quantities import Money, Rate, business_date, rate_from_estimate_up, require_utc
from financing.lending.origination.assessment import Credit, CreditAssessment, NoFile, require_current
from financing.lending.origination.pricing import PriceWorkings, price_loan
from financing.lending.origination.reasons import Outcome, Reason, reason, worst
from financing.lending.origination.securities import Security, shortages, supported
from financing.valuation.pools import Lot, PoolUnpriced, PoolValuation


@dataclass(frozen=True, slots=True)
class LoanApplication:
    """What is asked, from whom, against which lots."""

    application_id: str
    applicant: str
    lender: str
    product: str
    amount: Money
    tenor_days: int
    collateral: tuple[Lot, ...]
    securities: tuple[Security, ...] = ()
    collateral_valid_until: date | None = None  # the earliest day on which pledged allowances lose their use

    def __post_init__(self) -> None:
        self.amount.require_positive()
        Money(self.tenor_days).require_positive()


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome with all that it rests on. `max_amount` is what may be drawn: zero unless approved.

    `lendable` is what the collateral supports (None if unpriced); `workings` is None when no rate could be computed.
    `parameter_hashes` are (file, SHA-256) of every parameter file used.
    """

    application_id: str
    outcome: Outcome
    max_amount: Money
    rate: Rate | None
    reasons: tuple[Reason, ...]
    lendable: Money | None
    workings: PriceWorkings | None
    assessment_id: str | None
    model_version: str | None
    parameter_hashes: tuple[tuple[str, str], ...]
    decided_at: datetime
    valid_until: datetime


def decide(
    application: LoanApplication,
    credit: Credit,
    pool: PoolValuation,
    *,
    product: LendingProduct,
    parameters: Parameters,
    at: datetime,
) -> Decision:
    """Decide at `at`. Raises `AssessmentExpired`, `NotPermitted` (score of someone else), `InvalidState` (the pool is
    not the application's collateral, or another product), `ParameterMissing` (no prime rate holds).
    """
    at = require_utc(at)
    _require_belongs_together(application, credit, pool, product)
    if isinstance(credit, CreditAssessment):
        require_current(credit, at)
    prime = parameters.prime_rate(product.lpr_term, business_date(at))
    other = supported(application.securities, product)
    lendable = None if isinstance(pool, PoolUnpriced) else pool.lendable + other
    granted = min(application.amount, lendable) if lendable is not None else Money(0)
    workings = _priced(granted, other, credit, pool, product, prime)
    reasons = (
        *_request_reasons(application, product, business_date(at)),
        *_security_reasons(application, product, granted, business_date(at)),
        *_collateral_reasons(application, lendable, product),
        *_credit_reasons(credit, product),
        *_price_reasons(workings, product),
    )
    outcome = worst(reasons)
    approved = outcome == "approve"
    valid_until = at + timedelta(days=product.decision_valid_days)
    if isinstance(credit, CreditAssessment):
        valid_until = min(valid_until, credit.valid_until)
    files = {(product.file, product.version_hash), (prime.file, prime.version_hash)}
    if not isinstance(pool, PoolUnpriced):
        files |= {(line.policy.file, line.policy.version_hash) for line in pool.lines}
    return Decision(
        application_id=application.application_id,
        outcome=outcome,
        max_amount=granted if approved else Money(0),
        rate=workings.rate if workings is not None else None,
        reasons=(reason("standard_met", "approve"), *reasons) if approved else reasons,
        lendable=lendable,
        workings=workings,
        assessment_id=credit.assessment_id if isinstance(credit, CreditAssessment) else None,
        model_version=credit.model_version if isinstance(credit, CreditAssessment) else None,
        parameter_hashes=tuple(sorted(files)),
        decided_at=at,
        valid_until=valid_until,
    )


def require_drawable(decision: Decision, amount: Money, at: datetime) -> Rate:
    """The rate at which `amount` may be drawn. Raises `CreditStandardNotMet` unless approved, in term and in amount."""
    if decision.outcome != "approve" or decision.rate is None:
        codes = [each.code for each in decision.reasons]
        raise CreditStandardNotMet(f"the decision is to {decision.outcome}", reasons=codes)
    if not decision.decided_at <= require_utc(at) < decision.valid_until:
        raise CreditStandardNotMet("the decision is no longer valid", valid_until=str(decision.valid_until))
    if amount.require_positive() > decision.max_amount:
        raise CreditStandardNotMet("the amount is above what was approved", max_amount_fen=decision.max_amount.fen)
    return decision.rate


def _require_belongs_together(
    application: LoanApplication, credit: Credit, pool: PoolValuation, product: LendingProduct
) -> None:
    if credit.subject != application.applicant:
        raise NotPermitted("the credit assessment is of another subject", subject=credit.subject)
    if product.key != application.product:
        raise InvalidState("the application is for another product", product=application.product)
    lots = pool.lots if isinstance(pool, PoolUnpriced) else tuple(line.lot for line in pool.lines)
    if lots != application.collateral:
        raise InvalidState("the valuation is of another pool", application_id=application.application_id)


def _priced(
    granted: Money, other: Money, credit: Credit, pool: PoolValuation, product: LendingProduct, prime: PrimeRate
) -> PriceWorkings | None:
    if isinstance(credit, NoFile) or isinstance(pool, PoolUnpriced) or not granted:
        return None
    spread = product.spread_of(credit.grade)
    if spread is None:
        return None
    return price_loan(
        exposure=granted,
        after_haircut=pool.after_haircut + other,
        probability=credit.probability,
        spread=spread,
        product=product,
        prime=prime,
    )


def _request_reasons(application: LoanApplication, product: LendingProduct, on: date) -> list[Reason]:
    reasons = []
    if any(lot.asset_class not in product.eligible_classes for lot in application.collateral):
        reasons.append(reason("class_not_eligible", "decline"))
    if application.tenor_days > product.tenor_days_max:
        reasons.append(reason("tenor_too_long", "decline"))
    until = application.collateral_valid_until
    if until is not None and on + timedelta(days=application.tenor_days) > until:
        reasons.append(reason("tenor_past_validity", "decline"))
    if application.amount > product.amount_max:
        reasons.append(reason("amount_above_maximum", "decline"))
    return reasons


def _security_reasons(application: LoanApplication, product: LendingProduct, granted: Money, on: date) -> list[Reason]:
    reasons = []
    taken = {rule.kind for rule in product.securities}
    if any(each.kind not in taken for each in application.securities):
        reasons.append(reason("security_not_taken", "decline"))
    if any(each.valid_until < on + timedelta(days=application.tenor_days) for each in application.securities):
        reasons.append(reason("security_ends_early", "decline"))
    if shortages(application.securities, product, granted):
        reasons.append(reason("security_missing", "decline"))
    return reasons


def _collateral_reasons(application: LoanApplication, lendable: Money | None, product: LendingProduct) -> list[Reason]:
    if lendable is None:
        return [reason("collateral_unpriced", "refer")]
    if min(lendable, application.amount) < product.amount_min:
        return [reason("collateral_too_small", "decline")]
    return [reason("amount_reduced", "approve")] if lendable < application.amount else []


def _credit_reasons(credit: Credit, product: LendingProduct) -> list[Reason]:
    if isinstance(credit, NoFile):
        return [reason("no_file", "refer")]
    reasons = []
    if credit.score < product.score_min:
        reasons.append(reason("score_below_standard", "decline"))
    elif credit.score < product.score_refer_below:
        reasons.append(reason("score_near_standard", "refer"))
    if rate_from_estimate_up(credit.probability) > Rate(product.probability_bps_max):
        reasons.append(reason("probability_above_standard", "decline"))
    if product.spread_of(credit.grade) is None:
        reasons.append(reason("grade_below_standard", "decline"))
    if credit.basis == "bank_only":
        reasons.append(reason("bank_only", product.bank_only_outcome))
    return reasons


def _price_reasons(workings: PriceWorkings | None, product: LendingProduct) -> list[Reason]:
    if workings is not None and workings.rate > Rate(product.rate_bps_max):
        return [reason("price_above_maximum", "decline")]
    return []


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Everything a decision rested on. `prices` are (class, fen/t, observed at) as they stood."""

    decision_id: str
    borrower_id: str
    application: LoanApplication
    pledge_ids: tuple[str, ...]
    credit: CreditAssessment | NoFile
    prices: tuple[tuple[str, int, datetime], ...]
    decision: Decision
    maker: str = ""  # the first decisions on record do not name theirs


class Approval(BaseModel):
    """What a second person said about a decision."""

    decision_id: str
    maker: str
    checker: str
    outcome: str
    note: str
    decided_at: datetime
