"""Prices, offers, pledges, decisions, loans and margin calls over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from credit_api.http.fields import (
    Fen,
    FenPerTonne,
    Id,
    Kg,
    Moment,
    RequestModel,
    ResponseModel,
    Text,
    TextPair,
)
from financing.lending.collateral.disposal import Waterfall
from financing.lending.collateral.standing import LoanCoverage
from financing.lending.loans.classification import RiskClass
from financing.lending.store import DecisionRecord, StoredCall, StoredPledge
from financing.market.over_the_counter.offers import state_at
from financing.market.prices.model import Mark, Marked
from financing.market.prices.store import StoredOffer


class DepositIn(RequestModel):
    organisation_id: Id
    amount_fen: Fen
    reference: Text = Field(description="the payment system's own number of the transfer")


class PriceIn(RequestModel):
    asset_class: Id
    price_fen_per_tonne: FenPerTonne
    observed_at: Moment
    source: Text
    confirmed: bool = Field(
        default=False, strict=True, description="a second person confirmed a move beyond the class's band"
    )


class PriceOut(ResponseModel):
    asset_class: str
    price_fen_per_tonne: int
    observed_at: datetime
    source: str
    confirmed: bool


class MarkOut(ResponseModel):
    """A class's mark: a price, or the reason why there is none. An unpriced class has no value, not a value of zero."""

    asset_class: str
    priced: bool
    price_fen_per_tonne: int | None
    observed_at: datetime | None
    unpriced_reason: str | None

    @classmethod
    def of(cls, found: Mark) -> Self:
        if isinstance(found, Marked):
            return cls(
                asset_class=found.asset_class,
                priced=True,
                price_fen_per_tonne=found.price.amount,
                observed_at=found.observed_at,
                unpriced_reason=None,
            )
        return cls(
            asset_class=found.asset_class,
            priced=False,
            price_fen_per_tonne=None,
            observed_at=found.last_observed_at,
            unpriced_reason=found.reason,
        )


class OfferIn(RequestModel):
    buyer_id: Id
    issuance_id: Id
    quantity_kg: Kg = Field(description="whole tonnes: a multiple of 1000")
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


class DisposalIn(RequestModel):
    """A lender's offer of pledged credits to one buyer, at no less than the reserve price."""

    buyer_id: Id
    quantity_kg: Kg
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


class OfferOut(ResponseModel):
    offer_id: str
    seller_id: str
    buyer_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int
    amount_fen: int
    state: str
    offered_at: datetime
    expires_at: datetime
    pledge_id: str | None
    entry_id: int | None

    @classmethod
    def of(cls, stored: StoredOffer, at: datetime) -> Self:
        offer = stored.offer
        return cls(
            offer_id=offer.offer_id,
            seller_id=offer.seller,
            buyer_id=offer.buyer,
            asset=offer.asset,
            quantity_kg=offer.quantity.kg,
            price_fen_per_tonne=offer.price.amount,
            amount_fen=offer.settlement().amount.fen,
            state=state_at(offer, at).value,
            offered_at=offer.offered_at,
            expires_at=offer.expires_at,
            pledge_id=stored.pledge_id,
            entry_id=stored.entry_id,
        )


class WaterfallOut(ResponseModel):
    """Where the proceeds of a disposal went; the parts add up to the proceeds."""

    proceeds_fen: int
    costs_fen: int
    penal_fen: int
    interest_fen: int
    principal_fen: int
    surplus_fen: int
    unpaid_debt_fen: int

    @classmethod
    def of(cls, flow: Waterfall) -> Self:
        return cls(
            proceeds_fen=flow.proceeds.fen,
            costs_fen=flow.costs.fen,
            penal_fen=flow.penal.fen,
            interest_fen=flow.interest.fen,
            principal_fen=flow.principal.fen,
            surplus_fen=flow.surplus.fen,
            unpaid_debt_fen=flow.bad_debt.fen,
        )


class SettlementOut(ResponseModel):
    offer: OfferOut
    waterfall: WaterfallOut | None = Field(description="only when a lender sold collateral")


class PledgeIn(RequestModel):
    bank_id: Id
    issuance_id: Id
    quantity_kg: Kg
    product: Id = "phcer_pledge_loan"
    evidence_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    compliance_year: int | None = Field(default=None, strict=True, ge=2013, le=2100)
    surrender_by: date | None = Field(default=None, description="when an allowance loses its use")
    carry_over: bool = Field(default=False, strict=True, description="whether it may be used in the next year")


class PledgePostingIn(RequestModel):
    loan_id: Id
    registration_number: Text = Field(description="number in the movable-property registry (动产融资统一登记)")


class ReleaseIn(RequestModel):
    quantity_kg: Kg


class PledgeOut(ResponseModel):
    pledge_id: str
    pledgor_id: str
    bank_id: str
    issuance_id: str
    asset_class: str
    quantity_kg: int
    outstanding_kg: int
    state: str
    loan_id: str | None
    registration_number: str | None
    registered_on: date | None
    freeze_number: str | None
    evidence_sha256: str | None
    compliance_year: int | None
    surrender_by: date | None
    carry_over: bool
    reserved_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, stored: StoredPledge) -> Self:
        pledge = stored.pledge
        return cls(
            pledge_id=pledge.pledge_id,
            pledgor_id=pledge.pledgor,
            bank_id=pledge.pledgee,
            issuance_id=stored.issuance_id,
            asset_class=pledge.lot.asset_class,
            quantity_kg=pledge.lot.quantity.kg,
            outstanding_kg=pledge.outstanding.kg,
            state=pledge.state.value,
            loan_id=pledge.loan_id,
            registration_number=stored.registration_number,
            registered_on=stored.registered_on,
            freeze_number=stored.freeze_number,
            evidence_sha256=stored.evidence_hash,
            compliance_year=stored.compliance_year,
            surrender_by=stored.surrender_by,
            carry_over=stored.carry_over,
            reserved_at=pledge.reserved_at,
            expires_at=pledge.expires_at,
        )


class ApplicationIn(RequestModel):
    """`inquiry_id` is the answer of an earlier POST /v1/scores of this bank about the borrower."""

    borrower_id: Id
    inquiry_id: Id
    product: Id = "phcer_pledge_loan"
    amount_fen: Fen
    tenor_days: int = Field(strict=True, ge=1, le=3660)
    currency: Literal["CNY"] = Field(default="CNY", description="there is no other: a foreign amount is refused")
    pledge_ids: Annotated[list[Id], Field(max_length=100)] = Field(default_factory=list)
    security_ids: Annotated[list[Id], Field(max_length=20)] = Field(default_factory=list)


class ReasonOut(TextPair):
    outcome: str


class DecisionOut(ResponseModel):
    decision_id: str
    borrower_id: str
    product: str
    requested_fen: int
    outcome: str
    max_amount_fen: int
    annual_rate_bps: int | None
    lendable_fen: int | None
    loss_given_default_bps: int | None
    expected_loss_fen: int | None
    reasons: list[ReasonOut]
    model_version: str | None
    parameter_hashes: dict[str, str]
    pledge_ids: list[str]
    decided_at: datetime
    valid_until: datetime

    @classmethod
    def of(cls, record: DecisionRecord) -> Self:
        decision, workings = record.decision, record.decision.workings
        return cls(
            decision_id=record.decision_id,
            borrower_id=record.borrower_id,
            product=record.application.product,
            requested_fen=record.application.amount.fen,
            outcome=decision.outcome,
            max_amount_fen=decision.max_amount.fen,
            annual_rate_bps=decision.rate.bps if decision.rate else None,
            lendable_fen=decision.lendable.fen if decision.lendable is not None else None,
            loss_given_default_bps=workings.loss_given_default.bps if workings else None,
            expected_loss_fen=workings.expected_loss.fen if workings else None,
            reasons=[
                ReasonOut(code=found.code, zh=found.zh, en=found.en, outcome=found.outcome)
                for found in decision.reasons
            ],
            model_version=decision.model_version,
            parameter_hashes=dict(decision.parameter_hashes),
            pledge_ids=list(record.pledge_ids),
            decided_at=decision.decided_at,
            valid_until=decision.valid_until,
        )


class LoanIn(RequestModel):
    """`registration_number` is what the movable-property registry (动产融资统一登记) gave for the pledges."""

    decision_id: Id
    amount_fen: Fen
    registration_number: Text


class CallOut(ResponseModel):
    margin_call_id: str
    loan_id: str
    state: str
    debt_fen: int
    market_value_fen: int
    shortfall_fen: int
    cash_cure_fen: int
    cure_by: date
    called_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, stored: StoredCall) -> Self:
        return cls(
            margin_call_id=stored.call_id,
            loan_id=stored.call.loan_id,
            state=stored.state,
            debt_fen=stored.call.debt.fen,
            market_value_fen=stored.market.fen,
            shortfall_fen=stored.call.shortfall.fen,
            cash_cure_fen=stored.call.cash.fen,
            cure_by=stored.call.cure_by,
            called_at=stored.call.called_at,
            closed_at=stored.closed_at,
        )


class CreditCureOut(ResponseModel):
    asset_class: str
    value_fen: int
    quantity_kg: int


class LoanOut(ResponseModel):
    """A loan as it stands today: debt, collateral, coverage and what would cure it."""

    loan_id: str
    decision_id: str
    bank_id: str
    borrower_id: str
    product: str
    state: str
    annual_rate_bps: int
    disbursed_on: date
    matures_on: date
    drawn_fen: int
    principal_fen: int
    interest_fen: int
    penal_fen: int
    debt_fen: int
    days_past_due: int
    risk_class: str
    stage: int
    allowance_fen: int
    coverage: str
    collateral_kg: int
    collateral_value_fen: int | None
    ltv_bps: int | None
    warn_fen: int | None
    call_fen: int | None
    liquidate_fen: int | None
    pledge_ids: list[str]
    margin_call: CallOut | None
    cash_cure_fen: int | None
    credit_cures: list[CreditCureOut]

    @classmethod
    def of(cls, standing: LoanCoverage) -> Self:
        loan, seen = standing.stored.loan, standing.coverage
        return cls(
            loan_id=loan.loan_id,
            decision_id=standing.stored.decision_id,
            bank_id=loan.lender,
            borrower_id=loan.borrower,
            product=standing.stored.product,
            state=loan.state.value,
            annual_rate_bps=loan.rate.bps,
            disbursed_on=loan.disbursed_on,
            matures_on=loan.matures_on,
            drawn_fen=loan.drawn.fen,
            principal_fen=standing.debt.principal.fen,
            interest_fen=standing.debt.interest.fen,
            penal_fen=standing.debt.penal.fen,
            days_past_due=standing.days_past_due,
            risk_class=RiskClass(int(standing.stored.book.risk_class[0])).name.lower(),
            stage=int(standing.stored.book.stage[0]),
            allowance_fen=int(standing.stored.book.allowance[0]),
            debt_fen=standing.debt.total.fen,
            coverage=seen.status.value,
            collateral_kg=sum(held.pledge.outstanding.kg for held in standing.pledges),
            collateral_value_fen=seen.market.fen if seen.market is not None else None,
            ltv_bps=seen.ltv.bps if seen.ltv is not None else None,
            warn_fen=seen.lines.warn.fen if seen.lines else None,
            call_fen=seen.lines.call.fen if seen.lines else None,
            liquidate_fen=seen.lines.liquidate.fen if seen.lines else None,
            pledge_ids=[held.pledge.pledge_id for held in standing.pledges],
            margin_call=CallOut.of(standing.call) if standing.call else None,
            cash_cure_fen=standing.cash_cure.fen if standing.cash_cure is not None else None,
            credit_cures=[
                CreditCureOut(asset_class=cure.asset_class, value_fen=cure.value.fen, quantity_kg=cure.quantity.kg)
                for cure in standing.credit_cures
            ],
        )


class LoanBook(ResponseModel):
    loans: list[LoanOut]


class PriceRecordedOut(ResponseModel):
    """The admitted price. Loans are looked at again in the same commit; whose they are stays with their parties."""

    price: PriceOut
    loans_revalued: int


class RepaymentIn(RequestModel):
    amount_fen: Fen
    value_on: date | None = Field(default=None, description="the day the money came; today if left out")
    external_id: Id | None = Field(default=None, description="the payer's own number; recorded once")


class RepaymentOut(ResponseModel):
    penal_fen: int
    interest_fen: int
    principal_fen: int
    loan: LoanOut


class AccrualIn(RequestModel):
    on: date
