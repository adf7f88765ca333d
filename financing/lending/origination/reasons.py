"""Why a decision came out as it did: stable codes with text in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["approve", "refer", "decline"]
SEVERITY: dict[Outcome, int] = {"approve": 0, "refer": 1, "decline": 2}

TEXTS: dict[str, tuple[str, str]] = {
    "standard_met": ("符合产品的信用标准与押品要求", "the credit standard and the collateral requirement are met"),
    "amount_reduced": ("押品可贷额低于申请金额,已按可贷额核定", "the collateral supports less than was asked"),
    "no_file": ("没有征信记录,需人工审核", "there is no credit file; a person must decide"),
    "bank_only": (
        "仅依据银行数据评分,未含用电数据",
        "the score rests on bank data alone, without electricity data",
    ),
    "score_below_standard": ("评分低于产品下限", "the score is below the product's minimum"),
    "score_near_standard": ("评分接近产品下限,需人工审核", "the score is close to the product's minimum"),
    "probability_above_standard": ("违约概率高于产品上限", "the probability of default is above the product's maximum"),
    "grade_below_standard": ("信用等级不在产品范围内", "the grade is outside the product's standard"),
    "class_not_eligible": ("押品类别不在产品范围内", "an asset class is not eligible for the product"),
    "tenor_too_long": ("期限超过产品上限", "the tenor is longer than the product allows"),
    "amount_above_maximum": ("申请金额超过产品上限", "the amount is above the product's maximum"),
    "collateral_unpriced": ("押品没有有效价格,无法估值", "the collateral has no valid price, so its value is unknown"),
    "collateral_too_small": ("押品可贷额低于产品最低金额", "the collateral supports less than the product's minimum"),
    "tenor_past_validity": ("期限超过押品有效期", "the tenor is longer than the pledged credits keep their use"),
    "security_not_taken": ("产品不接受该类担保", "the product does not take this kind of security"),
    "security_ends_early": ("担保在贷款到期前失效", "a security ends before the loan does"),
    "security_missing": ("缺少产品要求的担保", "the product demands more security of a kind than is there"),
    "price_above_maximum": ("风险定价超过产品利率上限", "the risk-based rate is above the product's maximum"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code, the outcome it leads to by itself, and its texts."""

    code: str
    outcome: Outcome
    zh: str
    en: str


def reason(code: str, outcome: Outcome) -> Reason:
    zh, en = TEXTS[code]
    return Reason(code, outcome, zh, en)


def worst(reasons: tuple[Reason, ...]) -> Outcome:
    """The most severe outcome that any reason leads to; approve when there is none."""
    return max((each.outcome for each in reasons), key=lambda outcome: SEVERITY[outcome], default="approve")
