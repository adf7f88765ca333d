import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from simulations.worlds.credit_population import generate_population


def test_a_population_is_its_seed():
    first, again, other = generate_population(500, 1), generate_population(500, 1), generate_population(500, 2)
    assert np.array_equal(first.bank_values, again.bank_values, equal_nan=True)
    assert first.labels.tolist() == again.labels.tolist() != other.labels.tolist()
    assert first.subjects[0] == "FIRM-00001"
    assert first.schema.data_origin == "generated"


def test_both_sides_carry_signal_and_missing_values():
    tables = generate_population(6_000, 5)
    assert tables.labels.mean() == pytest.approx(0.12, abs=0.015)
    bank, grid = tables.schema.bank.columns, tables.schema.grid.columns
    idle = tables.grid_values[:, grid.index("idle_days_90d")]
    leverage = tables.bank_values[:, bank.index("leverage")]
    assert roc_auc_score(tables.labels, idle) > 0.6
    assert roc_auc_score(tables.labels, leverage) > 0.6
    assert 0.06 < np.isnan(tables.bank_values[:, bank.index("interest_cover")]).mean() < 0.10
    assert 0.80 < tables.joint.mean() < 0.92
    assert {tables.bank_of.count(b) for b in set(tables.bank_of)} == {2_000}


@pytest.mark.parametrize(("firms", "rate"), [(10, 0.1), (500, 0.0), (500, 1.0)])
def test_impossible_populations_are_refused(firms, rate):
    with pytest.raises(ValueError, match="at least 300 firms"):
        generate_population(firms, 1, rate)
