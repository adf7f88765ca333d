"""The shape of the records that value carbon collateral with its uncertainty.

Volatilities, intensities and correlations are estimates and therefore floats; whatever deducts from money is bp.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from financing.base.parameters.records import Bps, Days, Record

Annual = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Correlation = Annotated[float, Field(gt=-1, lt=1, allow_inf_nan=False)]
Months = Annotated[tuple[float, ...], Field(min_length=12, max_length=12)]


class PriceProcess(Record):
    """Fits of both price models to daily closes of one market, per year of 252 days, and what history lost.

    `jump_mean` and `jump_sd` are of log jumps; `theta` is in the market's own money a tonne; losses are in percent.
    """

    market: str = Field(min_length=1)
    volatility: Annual
    kappa: Annual
    theta: Annual
    dickey_fuller_t: Finite
    sigma: Annual
    jump_rate: Annual
    jump_mean: Finite
    jump_sd: Annual
    historic_var_pct: tuple[float, float, float]
    merton_var_pct: Annual
    merton_es_pct: Annual


class RatingFactor(BaseModel):
    """What a rating multiplies the price by, bp."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grade: str = Field(min_length=1)
    factor_bps: int = Field(strict=True, gt=0, le=20_000)


class ValuationRule(Record):
    """How a class is marked when it trades thinly, and what its derived haircut is made of."""

    price_process: str
    volatility: Annual
    sale_days: int = Field(strict=True, gt=0, le=252)
    block_bps: Bps
    quality_bps: Bps
    concentration_bps: Bps
    concentration_share_bps: int = Field(strict=True, gt=0)
    untraded_days: Days
    untraded_bps: Bps
    floor_bps: Bps
    vwap_days: int = Field(strict=True, gt=0, le=366)
    reference_class: str
    reference_beta_bps: int = Field(strict=True, ge=0, le=20_000)
    anchor_ratio_max: int = Field(strict=True, ge=2, le=50)
    blend_half_life_days: int = Field(strict=True, gt=0, le=366)
    blend_days_max: Days
    interval_z: Annual
    vintage_bps: Bps
    liquidity_bps: Bps
    liquidity_stress_bps: Bps
    ratings: tuple[RatingFactor, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({row.grade for row in self.ratings}) != len(self.ratings):
            raise ValueError("a rating occurs twice")
        if bool(self.reference_class) != bool(self.reference_beta_bps):
            raise ValueError("a reference class and its beta come together")
        if self.liquidity_stress_bps < self.liquidity_bps:
            raise ValueError("the stressed liquidity discount is at least the usual one")
        return self


class StreamRule(Record):
    """Yield, degradation, delivery and discount of reductions and electricity that are still to be generated."""

    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    tilt_deg: float = Field(ge=0, le=90)
    azimuth_deg: float = Field(ge=0, lt=360)
    linke_turbidity: Months
    clear_sky_share: Months
    yield_h_p90: int = Field(strict=True, gt=0)
    yield_h_p10: int = Field(strict=True, gt=0)
    month_sd: float = Field(gt=0, lt=1)
    degradation_first_bps: Bps
    degradation_bps: Bps
    delivery_bps: Bps
    risk_free_bps: Bps
    spread_bps: Bps
    haircut_bps: Bps
    factor_key: str
    price_class: str
    self_use_fen_per_kwh: int = Field(strict=True, gt=0)
    feed_in_fen_per_kwh: int = Field(strict=True, gt=0)

    @model_validator(mode="after")
    def _quantiles_are_ordered(self) -> Self:
        if self.yield_h_p90 >= self.yield_h_p10:
            raise ValueError("nine years in ten exceed P90, one exceeds P10: P90 < P10")
        if not all(0 < share <= 1 for share in self.clear_sky_share):
            raise ValueError("a share of clear sky lies in (0, 1]")
        return self


class StressScenario(Record):
    """What happens at once. A factor is one of `grid_factors.toml`, or stated here, or (both absent) unchanged."""

    name_zh: str
    name_en: str
    price_fall_bps: Bps
    factor_key: str = ""
    factor_mg_per_kwh: int = Field(default=0, strict=True, ge=0, le=2_000_000)
    yield_p90: bool = Field(strict=True)
    default_multiple: int = Field(strict=True, ge=1, le=20)
    frozen: bool = Field(strict=True)
    frozen_days: Days

    @model_validator(mode="after")
    def _one_factor(self) -> Self:
        if self.factor_key and self.factor_mg_per_kwh:
            raise ValueError("a factor is named or stated, not both")
        if self.frozen != (self.frozen_days > 0):
            raise ValueError("a freeze lasts some days")
        return self


class PortfolioRule(Record):
    """Dependence and loss assumptions of the joint simulation."""

    horizon_days: int = Field(strict=True, gt=0, le=252)
    class_correlation: Correlation
    wrong_way: Correlation
    yield_sd: float = Field(ge=0, lt=1)
    unsecured_recovery_bps: Bps
    lgd_bps_min: Bps
    discount_bps: Bps
    capital_level_bps: int = Field(strict=True, gt=5000, lt=10_000)
    loading: Literal["basel_corporate"]
