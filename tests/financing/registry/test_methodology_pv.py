from dataclasses import replace
from datetime import UTC, datetime

import pytest
from reductions import PARAMETERS, pv

from financing.base.errors import (
    InvalidState,
    MethodologyInvalid,
    NotFound,
    PeriodInvalid,
    QuantityOutOfRange,
    ReadingRejected,
)
from financing.base.quantities import Carbon, Period
from financing.registry.methodology.engine import rederived

HALF = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


def calculate(generation_wh=10_000_000, export_wh=4_000_000, **more):
    return pv(generation_wh, export_wh, **({"period": HALF} | more))


@pytest.mark.parametrize(("mode", "kg"), [("all", 5_978), ("self_use", 3_586), ("export", 2_391)])
def test_the_claim_mode_says_which_energy_counts(mode, kg):
    reduction = calculate(choices={"claim": mode})
    assert reduction.reduction == Carbon(kg)
    assert rederived(reduction) == (Carbon(kg), Carbon(0))


def test_energy_sold_as_green_power_is_not_claimed_twice():
    reduction = calculate(green_wh=10_000_000)
    assert (reduction.step("claimed").value, reduction.reduction) == ("0", Carbon(0))
    for sold in (10_000_001, -1):
        with pytest.raises(QuantityOutOfRange):
            calculate(green_wh=sold)


def test_the_workings_name_their_parameters():
    reduction = calculate()
    assert dict(reduction.parameter_hashes)["grid_factors.toml"] == PARAMETERS.hashes["grid_factors.toml"]
    factor = reduction.parameter("factor")
    assert (factor.key, factor.mark) == ("jiangsu_average_2022", "V")
    assert "公告" in factor.source
    assert "claimed = claimable - green_power_sold = 10000 kWh" in reduction.formula()
    assert reduction.formula().endswith("5978 kg, rounded down")


def test_an_altered_working_no_longer_derives_the_booked_kilograms():
    reduction = calculate()
    altered = tuple(replace(each, value="9000") if each.name == "generation" else each for each in reduction.inputs)
    with pytest.raises(MethodologyInvalid, match="claimable"):
        rederived(replace(reduction, inputs=altered))


def test_what_cannot_be_calculated_is_refused():
    with pytest.raises(PeriodInvalid):
        calculate(period=Period(datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)))
    with pytest.raises(InvalidState):
        calculate(instead={"factor": "sichuan_average_2022"})
    with pytest.raises(ReadingRejected):
        calculate(export_wh=None, choices={"claim": "export"})
    with pytest.raises(QuantityOutOfRange):
        calculate(generation_wh=-1, export_wh=None)
    with pytest.raises(QuantityOutOfRange):
        calculate(export_wh=10_000_001, choices={"claim": "self_use"})
    with pytest.raises(NotFound):
        calculate(choices={"claim": "everything"})
