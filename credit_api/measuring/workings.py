"""The workings of a reduction over HTTP: inputs, cited parameters and steps, all exact."""

from __future__ import annotations

from fractions import Fraction

from credit_api.http.fields import ResponseModel
from financing.registry.methodology.reduction import ParameterValue


class StepOut(ResponseModel):
    """A step of the formula; `value` is exact, a decimal or a fraction."""

    name: str
    expression: str
    value: str
    unit: str


def mg_per_kwh(factor: ParameterValue | None) -> int | None:
    """A grid factor in the API's unit; None for a parameter that is none."""
    if factor is None or factor.unit not in {"kgCO2e/kWh", "mgCO2e/kWh"}:
        return None
    return int(Fraction(factor.value) * (1_000_000 if factor.unit == "kgCO2e/kWh" else 1))
