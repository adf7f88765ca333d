"""Distributed photovoltaics: ER = (EG_self + EG_export − kWh sold as green power) · EF (AMS-I.D, captive AMS-I.F)."""

from __future__ import annotations

from financing.errors import InvalidState, QuantityOutOfRange, ReadingRejected
from financing.methodology.reduction import Reduction
from financing.parameters.records import GridFactor, PvMethodology
from financing.quantities import Carbon, EmissionFactor, Energy, Period


def pv_reduction(
    *,
    generation: Energy,
    export: Energy | None,
    green_power_sold: Energy,
    period: Period,
    methodology: PvMethodology,
    factor: GridFactor,
) -> Reduction:
    """Reduction of `period`, rounded down to the kg.

    Raises `InvalidState` when the methodology is not approved or not the factor's, `ReadingRejected` when the claim
    mode needs an export register that the meter lacks, `QuantityOutOfRange` when more was sold as green power than
    is claimable or an energy is negative, `PeriodInvalid` when the period touches two calendar years.
    """
    if methodology.status != "approved":
        raise InvalidState("the methodology is not approved", methodology=methodology.key, status=methodology.status)
    if factor.key not in {methodology.factor_key, *methodology.factor_alternatives}:
        raise InvalidState("the methodology does not use this factor", methodology=methodology.key, factor=factor.key)
    claimable = _claimable(generation, export, methodology)
    if not Energy(0) <= green_power_sold <= claimable:
        raise QuantityOutOfRange(
            "energy sold as green power lies between zero and the claimable energy",
            green_power_sold_wh=green_power_sold.wh,
            claimable_wh=claimable.wh,
        )
    claimed = claimable - green_power_sold
    project = EmissionFactor(methodology.project_emissions_mg_per_kwh)
    leakage = EmissionFactor(methodology.leakage_mg_per_kwh)
    net = factor.factor - project - leakage
    return Reduction(
        methodology="PV",
        version=methodology.version,
        claim_mode=methodology.claim_mode,
        period=period,
        vintage=period.vintage(),
        generation=generation,
        export=export,
        green_power_sold=green_power_sold,
        claimed=claimed,
        factor_key=factor.key,
        factor=factor.factor,
        project_emissions_factor=project,
        leakage_factor=leakage,
        net_factor=net,
        # Project emissions above the baseline make no reduction; they are never booked as a negative one.
        reduction=max(net, EmissionFactor(0)).reduction_of(claimed),
        parameter_hashes=((factor.file, factor.version_hash), (methodology.file, methodology.version_hash)),
    )


def rederived(reduction: Reduction) -> Carbon:
    """The kilograms that the workings alone give; equal to `reduction.reduction` unless a figure was altered."""
    net = reduction.factor - reduction.project_emissions_factor - reduction.leakage_factor
    base = {
        "all": reduction.generation,
        "self_use": reduction.generation - (reduction.export or Energy(0)),
        "export": reduction.export or Energy(0),
    }[reduction.claim_mode]
    return max(net, EmissionFactor(0)).reduction_of(base - reduction.green_power_sold)


def _claimable(generation: Energy, export: Energy | None, methodology: PvMethodology) -> Energy:
    generation.require_non_negative()
    if methodology.claim_mode == "all":
        return generation
    if export is None:
        raise ReadingRejected("this claim mode needs an export register", claim_mode=methodology.claim_mode)
    if not Energy(0) <= export <= generation:
        raise QuantityOutOfRange("export lies between zero and generation", export_wh=export.wh)
    return export if methodology.claim_mode == "export" else generation - export
