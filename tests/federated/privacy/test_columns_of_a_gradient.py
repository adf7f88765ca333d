"""How many columns a gradient may have: what is said of an attacker who knows all but the labels is what it reaches."""

from dataclasses import replace

import numpy as np
import pytest

from federated.nodes.budget import default_training_limit
from federated.privacy.attacks.membership import auc_of
from federated.privacy.vertical.columns import least_rows, most_columns, spread_of


@pytest.mark.parametrize(("rate", "auc"), [(0.5, 0.55), (0.07, 0.55), (0.2, 0.65)])
def test_who_knows_columns_and_probabilities_tells_labels_as_well_as_is_said(rate, auc):
    rng, rows = np.random.default_rng(3), 3_000
    columns = rng.normal(size=(rows, most_columns(rows, rate * (1 - rate), auc)))
    solved = np.linalg.solve(columns.T @ columns, columns.T)
    reached = []
    for _ in range(12):
        labels = (rng.random(rows) < rate).astype(np.float64)
        reached.append(auc_of(columns @ (solved @ (labels - rate)), labels == 1))
    assert np.mean(reached) == pytest.approx(auc, abs=0.012)


def test_rows_and_columns_are_two_sides_of_one_limit():
    for columns in (1, 7, 111):
        rows = least_rows(columns, 0.17, 0.55)
        assert most_columns(rows, 0.17, 0.55) >= columns > most_columns(rows - 7, 0.17, 0.55)
    assert most_columns(10_000, 0.0, 0.55) == 0
    assert least_rows(1, 0.0, 0.55) > 10**12


def test_limits_that_say_nothing_are_refused_and_rare_defaults_count():
    for wrong in (0.45, 1.0, 7.0, float("nan")):
        with pytest.raises(ValueError, match=r"from 0\.5 to below 1"):
            most_columns(10_000, 0.2, wrong)
        with pytest.raises(ValueError, match=r"from 0\.5 to below 1"):
            replace(default_training_limit(), label_auc=wrong)
    assert most_columns(10_000, 0.2, 0.5) == 0
    assert spread_of(0.5, [0.3, 0.02]) == pytest.approx(2 * 0.02 * 0.98)
    assert spread_of(0.2, [0.3, 0.15]) == pytest.approx(0.16)
