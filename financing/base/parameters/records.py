"""The shape of every parameter record. Unknown keys, missing sources and impossible values are refused by pydantic.

`valid_from` is the first day a record holds, `valid_until` the first day it no longer holds (half-open, as `Period`).
`mark` says how the value is known: S source description of the modelled system, V read in a published source,
D computed from verified data, I our inference, R recollection to confirm before legal reliance.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from financing.base.quantities import BPS_PER_UNIT, EmissionFactor, Money, Rate

Mark = Literal["S", "V", "D", "I", "R"]
Bps = Annotated[int, Field(strict=True, ge=0, le=BPS_PER_UNIT)]
Days = Annotated[int, Field(strict=True, ge=0, le=3660)]
PublishedOn = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a value was published. `published` is a year, month or day: as exact as the publication states."""

    title: str = Field(min_length=1)
    publisher: str = Field(min_length=1)
    published: PublishedOn
    url: str | None = None


class Citation(_Strict):
    """The source and mark of one field, where it differs from its record's."""

    source: Source
    mark: Mark


class Record(_Strict):
    """What every dated record carries. `file` and `version_hash` (SHA-256 of the file) are set by the loader."""

    key: str = Field(min_length=1)
    valid_from: date
    valid_until: date | None = None
    source: Source
    mark: Mark
    citations: dict[str, Citation] = {}
    note: str = ""
    file: str
    version_hash: str

    @model_validator(mode="after")
    def _dated_and_cited(self) -> Self:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("valid_until lies after valid_from")
        unknown = set(self.citations) - set(type(self).model_fields)
        if unknown:
            raise ValueError(f"citations of unknown fields: {sorted(unknown)}")
        return self

    def holds_on(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_until is None or on < self.valid_until)

    def overlaps(self, other: Record) -> bool:
        starts_before_end = self.valid_until is None or other.valid_from < self.valid_until
        return starts_before_end and (other.valid_until is None or self.valid_from < other.valid_until)


class GridFactor(Record):
    """Grid emission factor of one region, kind and reference year, mg CO2e per kWh."""

    region: str
    kind: Literal[
        "average", "average_without_traded_non_fossil", "fossil", "operating_margin", "build_margin", "combined_margin"
    ]
    year: int = Field(strict=True, ge=2000, le=2100)
    mg_per_kwh: int = Field(strict=True, gt=0, le=2_000_000)

    @property
    def factor(self) -> EmissionFactor:
        return EmissionFactor(self.mg_per_kwh)


class ReferenceValue(Record):
    """A published physical value that formulas refer to, exact: a quoted decimal and its unit."""

    name_zh: str
    name_en: str
    value: str = Field(pattern=r"^\d{1,15}(\.\d{1,12})?$")
    unit: str = Field(min_length=1)


class LoadLimits(Record):
    """Limits for a meter of consumption (charging pile, lighting circuit), bp of nameplate power x time."""

    interval_load_factor_bps_reject: int = Field(strict=True, gt=0)
    interval_load_factor_bps_warn: int = Field(strict=True, gt=0)
    mean_load_factor_bps_max: int = Field(strict=True, gt=0)
    mean_load_factor_ppm_min: int = Field(strict=True, ge=0, le=1_000_000)


class PlausibilityLimits(Record):
    """Limits against which a PV meter's readings are checked. Capacity factors are bp of nameplate × time."""

    interval_capacity_factor_bps_reject: int = Field(strict=True, gt=0)
    interval_capacity_factor_bps_warn: int = Field(strict=True, gt=0)
    mean_capacity_factor_bps_max: Bps
    night_elevation_deg_max: float = Field(ge=-18, le=0)
    night_capacity_factor_bps_max: Bps
    spike_ratio_min: int = Field(strict=True, ge=2)
    spike_capacity_factor_bps_min: Bps
    mean_capacity_factor_ppm_min: int = Field(strict=True, ge=0, le=1_000_000)
    clock_shift_minutes_warn: int = Field(strict=True, gt=0, le=720)
    clock_shift_minutes_max: int = Field(strict=True, gt=0, le=720)
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)


class AccreditedCertifier(Record):
    """What a certifier may verify; `key` is its organisation id, `methodologies` are codes."""

    methodologies: tuple[str, ...] = Field(min_length=1)


class CollateralClass(Record):
    """Haircut, advance rate and lines of one asset class. Lines are debt ÷ mark value, in bp."""

    name_zh: str
    name_en: str
    haircut_bps: Bps
    advance_bps: Bps
    warn_bps: Bps
    call_bps: Bps
    liquidate_bps: Bps
    price_stale_after_days: Days
    price_jump_bps_max: int = Field(strict=True, gt=0)

    @model_validator(mode="after")
    def _lines_are_ordered(self) -> Self:
        if not 0 < self.advance_bps < self.warn_bps < self.call_bps < self.liquidate_bps:
            raise ValueError("advance < warn < call < liquidate must hold")
        if self.advance_bps > BPS_PER_UNIT - self.haircut_bps:
            raise ValueError("the advance rate is at most 1 − haircut")
        if self.warn_bps < BPS_PER_UNIT - self.haircut_bps:
            raise ValueError(
                "the warn line is at least 1 − haircut: a forced sale at the reserve would worsen coverage"
            )
        return self

    @property
    def haircut(self) -> Rate:
        return Rate(self.haircut_bps)

    @property
    def advance(self) -> Rate:
        return Rate(self.advance_bps)


class GradeSpread(_Strict):
    """Spread over the loan prime rate for one grade, bp."""

    grade: str
    spread_bps: int = Field(strict=True)


class Approval(_Strict):
    """Who wrote this version of a product and which second person approved it, and when."""

    prepared_by: str = Field(min_length=1)
    approved_by: str = Field(min_length=1)
    approved_on: date

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        if self.prepared_by == self.approved_by:
            raise ValueError("a product is approved by a second person")
        return self


class SecurityRule(_Strict):
    """Another kind of security that a product takes beside credits: how much of its value may be lent, and from what
    share of the loan it must be there (0: it may be left out)."""

    kind: Literal["receivable", "income_stream", "guarantee"]
    advance_bps: Bps
    share_bps_min: Bps


class GreenTerms(_Strict):
    """What the money may be used for, and by how much the rate falls when the agreed reduction is reached, or rises
    when it is missed (sustainability-linked)."""

    purposes: tuple[str, ...] = Field(min_length=1)
    reward_bps: int = Field(strict=True, ge=0, le=100)
    penalty_bps: int = Field(strict=True, ge=0, le=100)


class ProductTerms(BaseModel):
    """What a loan product offers, as its file states it and anyone is shown it."""

    version: int = Field(strict=True, ge=1)
    name_zh: str
    name_en: str
    eligible_classes: tuple[str, ...]
    amount_fen_min: int = Field(strict=True, gt=0)
    amount_fen_max: int = Field(strict=True, gt=0)
    tenor_days_max: int = Field(strict=True, gt=0)
    scheme: Literal["bullet", "interest_only", "equal_principal", "annuity"]
    day_count: Literal["ACT/360", "ACT/365", "30E/360"]
    period_months: int = Field(strict=True, ge=1, le=12)
    interest_only_months: tuple[int, ...]
    rate_reset_months: int = Field(strict=True, ge=0, le=12)
    tranches_max: int = Field(strict=True, ge=1, le=24)
    arrangement_fee_bps: Bps
    securities: tuple[SecurityRule, ...]
    green: GreenTerms | None = None
    refinancing_facility: bool = Field(strict=True)
    second_person_above_fen: int = Field(strict=True, ge=0)
    second_person_limit_fen: int = Field(strict=True, gt=0)
    score_min: int = Field(strict=True, ge=300, le=850)
    probability_bps_max: Bps
    rate_bps_max: int = Field(strict=True, gt=0)
    cure_days: Days
    cure_day_kind: Literal["calendar", "business"]


class LendingProduct(ProductTerms, Record):
    """A loan product: security, credit standard, price, repayment, tenor and default rules."""

    approval: Approval
    business_days: Literal["none", "modified_following"]
    penal_share_bps: Bps
    principal_first_after_90_days: bool = Field(strict=True)
    prepayment: Literal["shorten", "lower"]
    lpr_term: str
    score_refer_below: int = Field(strict=True, ge=300, le=850)
    bank_only_outcome: Literal["approve", "refer", "decline"]
    rate_grid: tuple[GradeSpread, ...] = Field(min_length=1)
    funding_spread_bps: int = Field(strict=True)
    capital_ratio_bps: Bps
    capital_hurdle_bps: Bps
    operating_cost_bps: Bps
    lgd_bps_min: Bps
    disposal_cost_bps: Bps
    decision_valid_days: Days
    pledge_reservation_days: Days

    @model_validator(mode="after")
    def _standard_is_consistent(self) -> Self:
        if self.amount_fen_min > self.amount_fen_max:
            raise ValueError("amount_fen_min exceeds amount_fen_max")
        if self.score_refer_below < self.score_min:
            raise ValueError("score_refer_below lies below score_min")
        if len({row.grade for row in self.rate_grid}) != len(self.rate_grid):
            raise ValueError("a grade occurs twice in the rate grid")
        if not self.eligible_classes and not self.securities:
            raise ValueError("a product names what secures it: eligible_classes or securities")
        if len({rule.kind for rule in self.securities}) != len(self.securities):
            raise ValueError("a kind of security occurs twice")
        if any(not 1 <= month <= 12 for month in self.interest_only_months) or len(self.interest_only_months) > 11:
            raise ValueError("interest_only_months are months of the year, not all of them")
        if self.second_person_limit_fen < self.second_person_above_fen:
            raise ValueError("second_person_limit_fen lies below second_person_above_fen")
        return self

    @property
    def amount_max(self) -> Money:
        return Money(self.amount_fen_max)

    @property
    def amount_min(self) -> Money:
        return Money(self.amount_fen_min)

    def spread_of(self, grade: str) -> Rate | None:
        """Spread of `grade`, or None when the grade is outside the credit standard."""
        return next((Rate(row.spread_bps) for row in self.rate_grid if row.grade == grade), None)


class ProvisioningRules(Record):
    """Days past due that make the classes and stages of loans, and when credit risk has risen significantly."""

    class_days: tuple[int, int, int, int]
    stage_2_days: Days
    stage_3_days: Days
    pd_ratio_pct: int = Field(strict=True, ge=100, le=1_000)
    pd_rise_bps: Bps
    sale_days: Days
    cliff_alert_days: Days

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.class_days) != sorted(set(self.class_days)) or self.stage_3_days < self.stage_2_days:
            raise ValueError("thresholds rise with the severity")
        return self


class TradingRules(Record):
    """Fees, deposits and times of auctions and over-the-counter sales; a fee is one side's."""

    fee_per_100k: int = Field(strict=True, ge=0, le=10_000)
    deposit_bps: Bps
    extension_minutes: int = Field(strict=True, ge=0, le=60)
    reveal_hours_min: int = Field(strict=True, ge=1, le=240)
    pay_days: Days
    listing_days_max: Days
    deal_days_max: Days

    def fee_on(self, amount: Money) -> Money:
        """What one side pays on `amount`, half to even."""
        return amount.scaled_half_even(Fraction(self.fee_per_100k, 100_000))


class PvSubsidy(Record):
    """A programme that pays for generation of distributed PV: fen a kWh for some years, with yield to estimate by."""

    name_zh: str
    name_en: str
    fen_per_kwh: int = Field(strict=True, gt=0)
    years: int = Field(strict=True, gt=0, le=25)
    capacity_w_min: int = Field(strict=True, gt=0)
    capacity_w_max: int = Field(strict=True, gt=0)
    yield_h_min: int = Field(strict=True, gt=0)
    yield_h_max: int = Field(strict=True, gt=0)
    degradation_first_bps: Bps
    degradation_bps: Bps


class Region(Record):
    """A region with a registry of its own. `registry_code` opens its serial numbers."""

    registry_id: str
    registry_code: str = Field(pattern=r"^[A-Z]{2,8}$")
    name_zh: str
    name_en: str
    factor_key: str


class Recognition(Record):
    """How one region takes another's credits: kilogram for kilogram, or at its own grid factor and never for more.

    `methodologies` are the codes it takes; none means all.
    """

    from_region: str
    to_region: str
    mode: Literal["recognise", "requantify"]
    methodologies: tuple[str, ...]

    @model_validator(mode="after")
    def _between_two(self) -> Self:
        if self.from_region == self.to_region:
            raise ValueError("a region does not recognise itself")
        return self


class PrimeRate(Record):
    """Loan prime rate of one term; `key` is the term (1Y, 5Y)."""

    rate_bps: int = Field(strict=True, gt=0)

    @property
    def rate(self) -> Rate:
        return Rate(self.rate_bps)
