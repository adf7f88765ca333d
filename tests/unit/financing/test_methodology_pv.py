from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from financing.errors import InvalidState, PeriodInvalid, QuantityOutOfRange, ReadingRejected
from financing.methodology.pv import pv_reduction, rederived
from financing.parameters.loader import load_parameters
from financing.quantities import Carbon, Energy, Period

PARAMETERS = load_parameters()
ON = date(2026, 11, 22)
METHODOLOGY = PARAMETERS.pv_methodology(1, ON)
FACTOR = PARAMETERS.grid_factor("jiangsu_average_2022", ON)
PERIOD = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


def calculate(**changes):
    inputs = {
        "generation": Energy(10_000_000),
        "export": Energy(4_000_000),
        "green_power_sold": Energy(0),
        "period": PERIOD,
        "methodology": METHODOLOGY,
        "factor": FACTOR,
    }
    return pv_reduction(**(inputs | changes))


@pytest.mark.parametrize(("mode", "kg"), [("all", 5_978), ("self_use", 3_586), ("export", 2_391)])
def test_the_claim_mode_says_which_energy_counts(mode, kg):
    reduction = calculate(methodology=METHODOLOGY.model_copy(update={"claim_mode": mode}))
    assert reduction.reduction == Carbon(kg) == rederived(reduction)


def test_energy_sold_as_green_power_is_not_claimed_twice():
    reduction = calculate(green_power_sold=Energy(10_000_000))
    assert (reduction.claimed, reduction.reduction) == (Energy(0), Carbon(0))
    for sold in (Energy(10_000_001), Energy(-1)):
        with pytest.raises(QuantityOutOfRange):
            calculate(green_power_sold=sold)


def test_the_workings_name_their_parameters():
    reduction = calculate()
    assert dict(reduction.parameter_hashes)["grid_factors.toml"] == PARAMETERS.hashes["grid_factors.toml"]
    assert "10000.000 kWh x (0.597800" in reduction.formula()
    assert reduction.formula().endswith("5978 kg, rounded down")


def test_an_altered_working_no_longer_derives_the_booked_kilograms():
    reduction = calculate()
    assert rederived(replace(reduction, generation=Energy(9_000_000))) != reduction.reduction


def test_emissions_above_the_baseline_make_no_negative_reduction():
    dirty = METHODOLOGY.model_copy(update={"project_emissions_mg_per_kwh": 700_000})
    assert calculate(methodology=dirty).reduction == Carbon(0)


def test_what_cannot_be_calculated_is_refused():
    with pytest.raises(PeriodInvalid):
        calculate(period=Period(datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)))
    with pytest.raises(InvalidState):
        calculate(methodology=METHODOLOGY.model_copy(update={"status": "superseded"}))
    with pytest.raises(InvalidState):
        calculate(factor=PARAMETERS.grid_factor("sichuan_average_2022", ON))
    with pytest.raises(ReadingRejected):
        calculate(export=None, methodology=METHODOLOGY.model_copy(update={"claim_mode": "export"}))
    with pytest.raises(QuantityOutOfRange):
        calculate(generation=Energy(-1), export=None)
    with pytest.raises(QuantityOutOfRange):
        calculate(export=Energy(10_000_001), methodology=METHODOLOGY.model_copy(update={"claim_mode": "self_use"}))
