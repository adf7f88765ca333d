"""Active operators: what worked before a limit stood, and does not since. Each attack is shown to work without it."""

import numpy as np
import pytest

from federated.privacy.attacks.secure_sums import by_two_lists, ground_by_choice, ground_by_nonce
from federated.privacy.secure_aggregation.graph import holders
from federated.privacy.secure_aggregation.messages import Plan
from simulations.benchmarks.named_sets import BANKS, GRIDS, opened_by_naming

RNG = np.random.default_rng(3)


def vectors(count):
    return {f"node-{i}": RNG.normal(size=8) for i in range(count)}


def test_a_colluder_who_signs_two_lists_opens_a_vector_where_nobody_claims_to_stand_one():
    given = vectors(5)
    found = by_two_lists(given, threshold=3, claimed=0, colluding=1)
    assert found == pytest.approx(given["node-0"], abs=1e-6)


@pytest.mark.parametrize("count", range(3, 10))
@pytest.mark.parametrize("colluding", [1, 2, 3])
def test_two_lists_open_nothing_at_the_least_threshold_that_stands_the_colluders(count, colluding):
    if colluding > count - 2:
        return
    least = (count + colluding) // 2 + 1
    given = vectors(count)
    assert by_two_lists(given, min(least, count), colluding, colluding) is None
    # One less is refused where it would be too little, and would be opened if nobody claimed anything.
    assert by_two_lists(given, least - 1, colluding, colluding) is None
    if 2 * (least - 1) > count:
        assert by_two_lists(given, least - 1, 0, colluding) == pytest.approx(given["node-0"], abs=1e-6)


@pytest.mark.parametrize("colluding", [1, 3])
def test_where_everybody_is_needed_any_number_may_collude(colluding):
    assert by_two_lists(vectors(5), holders(5, 10), 1, colluding) is None


def test_a_graph_is_ground_where_its_seed_is_chosen_and_is_chance_where_all_draw_it():
    names = [f"node-{i:02d}" for i in range(60)]
    colluders = frozenset(names[-6:])
    assert ground_by_choice(names, colluders, 10, 400) >= 4
    drawn = [ground_by_nonce(names, colluders, Plan(bytes([k]) * 16, 10, 8, 4, 24), tries=40) for k in range(12)]
    # Of 59 others 6 collude: 1.0 of 10 neighbours on average, with a standard error of 0.27 over twelve rounds.
    assert np.mean(drawn) < 2.2


def test_naming_one_bank_and_an_idle_grid_company_opens_the_banks_gram_matrix_only_where_zeros_count():
    assert opened_by_naming(BANKS + GRIDS) == 1.0
    # Neither alone nor with grid companies that collude.
    assert opened_by_naming(()) == 0.0
    assert opened_by_naming(GRIDS) == 0.0
