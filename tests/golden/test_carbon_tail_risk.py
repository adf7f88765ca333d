"""The 20-day tails on record (July 2021 to 2025 and 2026, μ = 0), from the parameters on record, in two ways."""

from datetime import date

import pytest

from financing.base.parameters.loader import load_parameters
from financing.base.quantities import EmissionFactor, Rate
from financing.valuation.price_models.processes import on_record
from financing.valuation.price_models.tail_risk import jump_tail, simulated_tail
from financing.valuation.streams.income import tonnes_lost

PARAMETERS = load_parameters()
ON = date(2026, 11, 20)
# The record gives parameters to three digits: σ_J = 0.047 ± 0.0005 alone moves the VaR of CEA by 0.13.
ROUNDING_PCT = 0.20
ANCHORS = [("CEA", 17.6, 20.5), ("GDEA", 26.7, 30.6), ("HBEA", 26.0, 29.9), ("EUA", 25.3, 29.2)]


@pytest.mark.parametrize(("key", "var", "es"), ANCHORS)
def test_the_tails_on_record_come_out_in_closed_form(key, var, es):
    process = PARAMETERS.price_process(key, ON)
    model, _ = on_record(process)
    tail = jump_tail(model, 20)
    assert (process.merton_var_pct, process.merton_es_pct) == (var, es)
    assert tail.var * 100 == pytest.approx(var, abs=ROUNDING_PCT)
    assert tail.es * 100 == pytest.approx(es, abs=ROUNDING_PCT)


@pytest.mark.parametrize(("key", "var", "es"), ANCHORS)
def test_and_by_monte_carlo_within_its_error(key, var, es):
    model, _ = on_record(PARAMETERS.price_process(key, ON))
    exact, drawn = jump_tail(model, 20), simulated_tail(model, 20, 200_000, seed=20)
    assert abs(drawn.var - exact.var) < 4 * drawn.var_error
    assert abs(drawn.es - exact.es) < 4 * drawn.es_error
    assert drawn.var * 100 == pytest.approx(var, abs=ROUNDING_PCT + 400 * drawn.var_error)
    assert drawn.es * 100 == pytest.approx(es, abs=ROUNDING_PCT + 400 * drawn.es_error)


def test_a_cut_of_the_factor_costs_the_tonnes_on_record():
    margin = PARAMETERS.grid_factor("east_china_operating_margin_2019", ON).factor
    jiangsu = PARAMETERS.grid_factor("jiangsu_average_2022", ON).factor
    assert tonnes_lost(margin, jiangsu) == Rate(2_453)
    assert tonnes_lost(margin, EmissionFactor(420_000)) == Rate(4_698)
    assert tonnes_lost(jiangsu, margin) == Rate(0)


def test_the_fits_on_record_split_the_variance_as_a_threshold_does():
    for process in PARAMETERS.price_processes.records:
        calm = process.sigma**2 * (1 - process.jump_rate / 252)
        jumps = process.jump_rate * (process.jump_mean**2 + process.jump_sd**2)
        assert (calm + jumps) ** 0.5 == pytest.approx(process.volatility, abs=0.003)
