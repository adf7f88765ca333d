"""A reduction with everything needed to derive it again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from financing.parameters.records import ClaimMode
from financing.quantities import Carbon, EmissionFactor, Energy, Period


@dataclass(frozen=True, slots=True)
class Reduction:
    """Workings of one monitoring period: inputs, parameters with their file hashes, and the booked kilograms."""

    methodology: str
    version: int
    claim_mode: ClaimMode
    period: Period
    vintage: int
    generation: Energy
    export: Energy | None
    green_power_sold: Energy
    claimed: Energy
    factor_key: str
    factor: EmissionFactor
    project_emissions_factor: EmissionFactor
    leakage_factor: EmissionFactor
    net_factor: EmissionFactor
    reduction: Carbon
    parameter_hashes: tuple[tuple[str, str], ...]

    def formula(self) -> str:
        """The calculation in words and figures, for a verifier to follow."""
        kwh: Decimal = self.claimed.kwh()
        return (
            f"ER = {kwh} kWh x ({self.factor.kg_per_kwh()} - {self.project_emissions_factor.kg_per_kwh()}"
            f" - {self.leakage_factor.kg_per_kwh()}) kg/kWh = {self.reduction.kg} kg, rounded down"
        )
