"""Worked examples of the PV formula, by hand from published factors."""

from datetime import UTC, datetime

import pytest
from reductions import ON, PARAMETERS, pv

from financing.base.quantities import Carbon, Period
from financing.registry.methodology.engine import rederived

YEAR = Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("kwh", "factor", "kg"),
    [
        (1_300_000, "east_china_operating_margin_2019", 1_029_730),
        (1_300_000, "jiangsu_average_2022", 777_140),
        (270_000_000, "east_china_operating_margin_2019", 213_867_000),
        (293_000_000, "east_china_operating_margin_2019", 232_085_300),
        (270_000_000, "jiangsu_average_2022", 161_406_000),
        (293_000_000, "jiangsu_average_2022", 175_155_400),
        (1_000, "east_china_operating_margin_2016", 808),
    ],
)
def test_all_generation_times_the_factor(kwh, factor, kg):
    reduction = pv(kwh * 1_000, period=YEAR, instead={"factor": factor})
    assert reduction.reduction == Carbon(kg)
    assert rederived(reduction) == (Carbon(kg), Carbon(0))


def test_operating_margin_to_jiangsu_costs_a_quarter_of_the_tonnes():
    margin = PARAMETERS.grid_factor("east_china_operating_margin_2019", ON).mg_per_kwh
    jiangsu = PARAMETERS.grid_factor("jiangsu_average_2022", ON).mg_per_kwh
    assert round(100 * (1 - jiangsu / margin), 1) == 24.5


def test_solar_combined_margin_is_three_quarters_operating_one_quarter_build():
    operating = PARAMETERS.grid_factor("east_china_operating_margin_2019", ON).mg_per_kwh
    build = PARAMETERS.grid_factor("east_china_build_margin_2019", ON).mg_per_kwh
    combined = PARAMETERS.grid_factor("east_china_combined_margin_solar_2019", ON).mg_per_kwh
    assert 4 * combined == 3 * operating + build
