"""The worked examples of charging, lighting and wetland, by hand from the numbers beside them."""

from fractions import Fraction

import pytest
from reductions import reduction

from financing.base.quantities import Carbon
from financing.registry.methodology.engine import rederived

MWH = 1_000_000
MARSH = {"area": "1", "methane": "0", "nitrous_oxide": "0", "half_width": "0.05"}


def test_a_car_saves_0_37_kg_a_metered_kwh():
    """7 L/100 km, 15 kWh/100 km, efficiency 0.9, grid 0.5978: 0.9 / 0.15 x 0.07 x 2.296 - 0.5978 = 0.36652."""
    found = reduction("EV", metered={"charger": MWH}, choices={"vehicle": "car", "charger": "level_2"})
    assert Fraction(found.step("reduction").value) == Fraction("366.52")
    assert (found.reduction, round(found.reduction.kg / 1000, 2)) == (Carbon(366), 0.37)


def test_a_bus_saves_0_19_kg_a_metered_kwh():
    """0.40 L/km, 1.38 kWh/km including the charging loss: 0.40 x 2.703 / 1.38 - 0.5978 = 0.18568."""
    found = reduction("EV", metered={"charger": MWH}, choices={"vehicle": "bus", "charger": "dc"})
    assert found.reduction == Carbon(185)
    assert round(float(Fraction(found.step("reduction").value)) / 1000, 2) == 0.19


@pytest.mark.parametrize(("level", "kg"), [("level_1", 318), ("level_2", 366), ("dc", 391)])
def test_the_charger_says_how_much_reaches_the_battery(level, kg):
    assert reduction("EV", metered={"charger": MWH}, choices={"charger": level}).reduction == Carbon(kg)


def test_a_street_lamp_saves_0_380_t_a_year():
    """HPS 250 W + 10 % ballast to LED 120 W, 4,100 h: 155 W x 4,100 h x 0.5978 = 379.9 kg."""
    found = reduction(
        "LIGHT",
        declared={
            "lamps": "1000",
            "baseline_power": "250",
            "ballast": "0.10",
            "project_power": "120",
            "hours": "4100",
            "failed": "0",
        },
    )
    assert found.reduction == Carbon(379_901)
    assert round(found.reduction.kg / 1_000_000, 3) == 0.380


def test_metered_light_is_the_consumption_times_the_ratio_of_efficacies():
    """10 MWh at 140 lm/W instead of 70 lm/W: as much again is saved, 10 MWh x 0.5978."""
    efficacies = {"baseline_efficacy": "70", "project_efficacy": "140"}
    assert reduction("LIGHT", 2, metered={"circuit": 10 * MWH}, declared=efficacies).reduction == Carbon(5_978)


def test_a_hectare_of_marsh_takes_up_7_21_t_gross_and_1_81_t_net_of_methane():
    """196.7 gC/m2/yr x 44/12 = 7.2123 t; less 193.7 kg CH4 x 27.9 = 5.4042 t leaves 1.8081 t."""
    gross = reduction("WETLAND", declared=MARSH)
    assert round(float(Fraction(gross.step("gross").value)), 2) == 7.21
    net = reduction("WETLAND", declared=MARSH | {"methane": "193.7"})
    assert round(float(Fraction(net.step("net").value)), 2) == 1.81
    assert (net.reduction, net.buffer, net.credited) == (Carbon(1_808), Carbon(181), Carbon(1_627))
    assert rederived(net) == (net.reduction, net.buffer)


@pytest.mark.parametrize(("half_width", "kg"), [("0.10", 7_212), ("0.11", 6_418), ("0.2", 5_769), ("1", 0)])
def test_uncertainty_is_deducted_only_beyond_a_tenth(half_width, kg):
    assert reduction("WETLAND", declared=MARSH | {"half_width": half_width}).reduction == Carbon(kg)
