"""A minority can move neither the median of votes out of honest losses, nor the chosen updates far from honest ones."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from soak import sized

from federated.privacy.attacks.gradient_inversion import alone, error_of, first_layer
from federated.privacy.robust.selection import agreeing
from federated.privacy.robust.votes import WORST, verdicts

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)
LOSS = st.floats(0.0, 1.0)


@given(st.integers(1, 3), st.data())
@settings(max_examples=sized(25, 600), deadline=None)
def test_a_verdict_lies_between_honest_losses(liars, data):
    honest = data.draw(arrays(np.float64, (liars + 1, 4), elements=LOSS))
    lies = data.draw(arrays(np.float64, (liars, 4), elements=ANY))
    votes = {f"h{i}": v for i, v in enumerate(honest)} | {f"l{i}": v for i, v in enumerate(lies)}
    found = verdicts(votes, 4)
    assert (found >= honest.min(axis=0) - 1e-12).all()
    assert (found <= np.minimum(honest.max(axis=0), WORST) + 1e-12).all()


@given(st.integers(1, 2), st.data())
@settings(max_examples=sized(25, 600), deadline=None)
def test_a_chosen_liar_is_within_one_honest_diameter(liars, data):
    number = st.floats(-5.0, 5.0)
    honest = data.draw(arrays(np.float64, (liars + 1, 3), elements=number))
    lies = data.draw(arrays(np.float64, (liars, 3), elements=st.floats(-1e9, 1e9)))
    updates = {f"h{i}": u for i, u in enumerate(honest)} | {f"l{i}": u for i, u in enumerate(lies)}
    diameter = max(np.linalg.norm(a - b) for a in honest for b in honest)
    chosen = agreeing(updates)
    assert len(chosen) == liars + 1
    assert any(name.startswith("h") for name in chosen)
    near = [min(np.linalg.norm(updates[name] - h) for h in honest) for name in chosen]
    assert max(near) <= diameter + 1e-6


@given(st.data())
@settings(max_examples=sized(25, 400), deadline=None)
def test_one_rows_input_is_read_off_its_gradient(data):
    row = data.draw(arrays(np.float64, 5, elements=st.floats(-1.0, 1.0)))
    slopes = data.draw(arrays(np.float64, 4, elements=st.floats(0.1, 2.0)))
    assert np.allclose(first_layer(np.outer(slopes, row), slopes), row)


def test_errors_are_those_of_the_best_assignment():
    true = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert error_of(true[::-1], true, np.ones(2)) == 0.0
    assert error_of(np.vstack([true, [[9.0, 9.0]]]), true, np.ones(2)) == 0.0
    assert error_of(true + 0.5, true, np.array([0.5, 0.01])) == 1.0
    assert alone(np.array([[1, 2], [1, 3], [1, 3]])).tolist() == [True, False, False]
