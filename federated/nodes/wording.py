"""How a reason is worded, from the schema: by the node of the column, or by a bank's for a grid company's column."""

from __future__ import annotations

import numpy as np

from federated.models.served.reasons import Reason
from federated.nodes.schema import PartySchema

MISSING, HIGH, LOW = "M", "H", "L"


def kind_of(value: float, reference: float) -> str:
    """Whether a value is missing, at least the reference customer's, or lower."""
    if np.isnan(value):
        return MISSING
    return HIGH if value >= reference else LOW


def reason_together(bank: PartySchema, grid: PartySchema) -> Reason:
    """The reason that both parties' columns give together, which neither of them gives alone."""
    return Reason(
        f"{bank.code_prefix}{grid.code_prefix}",
        "银行数据与用电数据合看时风险高于典型客户（单看任何一方都看不出）",
        "bank and electricity data taken together point to more risk than the typical customer's (neither alone does)",
    )


def reason_of(party: PartySchema, number: int, kind: str, band: tuple[int, int]) -> Reason:
    """The reason about a party's feature of this number in storage order, whose value lies in a `band` of customers."""
    feature = party.features[number]
    code = f"{party.code_prefix}{number + 1:02d}{kind}"
    if kind == MISSING:
        return Reason(code, f"缺少数据：{feature.zh}", f"no data on: {feature.en}")
    low, high = band
    band_zh, band_en = (
        f"（在客户中处于 {low}%–{high}% 分位）",
        f" (between the {low} % and {high} % marks of customers)",
    )
    if kind == HIGH:
        return Reason(code, feature.high_zh + band_zh, feature.high_en + band_en)
    return Reason(code, feature.low_zh + band_zh, feature.low_en + band_en)
