"""A round over Flower messages: what nodes add up is the plain sum, and what is not a round of theirs is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed, TrainingFailed
from federated.nodes.identity import fresh_identities
from federated.privacy.secure_aggregation.ring import BITS
from federated.protocols.core.messages import Content, Switchboard, named_app
from federated.protocols.core.secure_sum import add_secure_sum, secure_sum
from simulations.benchmarks.secure_aggregation import _Leaving, measure_aggregation

NAMES = [f"bank-{i}" for i in range(5)]


def board(vectors, leaving=(), roles=None):
    known = fresh_identities(NAMES, roles)
    seats = {}
    for i, name in enumerate(NAMES):
        app = named_app(name)
        add_secure_sum(app, known[name], lambda content, i=i: vectors[i] * content.number("times"))
        seats[i + 2] = Seat(_Leaving(app, dict(leaving)[name], 1) if name in dict(leaving) else app, {})
    found = Switchboard(InProcessGrid(seats))
    found.introduce()
    return found


def test_nodes_add_up_what_they_make_of_the_request():
    vectors = np.random.default_rng(2).normal(size=(5, 40))
    asked = board(vectors)
    for times in (1.0, -3.0):
        total, survivors = secure_sum(asked, NAMES, 40, 4, 4, Content(config={"times": times}))
        assert survivors == set(NAMES)
        assert np.abs(total - times * vectors.sum(axis=0)).max() <= 5 * 2.0 ** -(BITS + 1)


def test_a_node_that_leaves_is_left_out_and_too_few_end_the_round():
    vectors = np.random.default_rng(3).normal(size=(5, 7))
    request = Content(config={"times": 1.0})
    total, survivors = secure_sum(board(vectors, {"bank-3": "query.secure_mask"}.items()), NAMES, 7, 4, 4, request)
    assert survivors == set(NAMES) - {"bank-3"}
    assert np.allclose(total, vectors[[0, 1, 2, 4]].sum(axis=0), atol=1e-6)
    leaving = dict.fromkeys(NAMES[:3], "query.secure_unmask")
    with pytest.raises(AggregationFailed, match="2 shares of a seed are there, 4 are needed"):
        secure_sum(board(vectors, leaving.items()), NAMES, 7, 4, 4, request)


def test_a_vector_of_another_length_leaves_its_node_out():
    vectors = [np.ones(7)] * 4 + [np.ones(8)]
    total, survivors = secure_sum(board(vectors), NAMES, 7, 4, 4, Content(config={"times": 1.0}))
    assert survivors == set(NAMES[:4])
    assert np.allclose(total, 4.0)


def test_a_rounds_id_is_used_once(monkeypatch):
    asked = board(np.ones((5, 3)))
    monkeypatch.setattr("federated.protocols.core.secure_sum.secrets", SimpleNamespace(token_bytes=bytes))
    secure_sum(asked, NAMES, 3, 4, 4, Content(config={"times": 1.0}))
    with pytest.raises(AggregationFailed, match="0 parties sent a vector"):
        secure_sum(asked, NAMES, 3, 4, 4, Content(config={"times": 1.0}))


def test_the_bench_sums_the_same_numbers_both_ways():
    cost = measure_aggregation(12, 50, shares=7, threshold=5, dropout=0.0)
    assert cost.ours_error <= cost.ours_error_bound
    assert cost.flower_error < 1e-5


def test_a_sum_that_hides_nobody_is_refused_before_a_vector_is_made():
    vectors = np.random.default_rng(4).normal(size=(5, 7))
    asked, request = board(vectors), Content(config={"times": 1.0})
    with pytest.raises(AggregationFailed, match="0 parties sent a vector"):
        secure_sum(asked, NAMES[:1], 7, 4, 1, request)
    with pytest.raises(AggregationFailed):
        secure_sum(asked, NAMES, 7, 4, 1, request)
    opening = Content(
        config={"round": b"r", "degree": 4, "threshold": 1, "length": 7, "bits": BITS, "colluders": 1, "times": 1.0}
    )
    with pytest.raises(AggregationFailed, match="a sum that may be over 1 nodes hides nobody"):
        asked.ask("query.secure_advertise", {NAMES[0]: opening})


@pytest.mark.parametrize("wrong", [{"length": 1 << 40}, {"length": 0}, {"degree": -1}, {"threshold": 0}, {"bits": 64}])
def test_a_round_that_nobody_can_mean_is_refused(wrong):
    asked = board(np.zeros((5, 7)))
    numbers = {
        "round": b"r",
        "degree": 4,
        "threshold": 4,
        "length": 7,
        "bits": BITS,
        "colluders": 1,
        "times": 1.0,
    } | wrong
    with pytest.raises(AggregationFailed, match="no round has degree"):
        asked.ask("query.secure_advertise", {NAMES[0]: Content(config=numbers)})


def test_what_goes_wrong_inside_a_node_is_told_without_its_text():
    app, identity = named_app("bank-0"), fresh_identities(["bank-0"])["bank-0"]

    def vector(_: Content):
        raise ValueError("customer TW-00001 owes 120000")

    add_secure_sum(app, identity, vector)
    asked = Switchboard(InProcessGrid({2: Seat(app, {})}))
    asked.introduce()
    numbers = {"round": b"r", "degree": 4, "threshold": 4, "length": 7, "bits": BITS, "colluders": 1}
    with pytest.raises(TrainingFailed, match=r"could not be answered \(ValueError\)") as refusal:
        asked.ask("query.secure_advertise", {"bank-0": Content(config=numbers)})
    assert "TW-00001" not in str(refusal.value)


def test_a_round_that_claims_to_stand_no_colluder_or_more_than_it_does_is_refused():
    vectors = np.random.default_rng(4).normal(size=(5, 7))
    asked, request = board(vectors), Content(config={"times": 1.0})
    with pytest.raises(AggregationFailed, match="a round that stands 0 colluders, where 1 are asked for"):
        secure_sum(asked, NAMES, 7, 4, 4, request, colluders=0)
    for threshold, colluders in ((3, 1), (4, 3)):
        stood = 2 * threshold - 5 - 1
        with pytest.raises(AggregationFailed, match=f"{threshold} among 5 stands {stood} colluders, not {colluders}"):
            secure_sum(asked, NAMES, 7, 4, threshold, request, colluders=colluders)
    assert secure_sum(asked, NAMES, 7, 4, 5, request, colluders=4)[1] == set(NAMES)


def test_nodes_of_another_kind_and_strangers_hide_nobody():
    roles = dict.fromkeys(NAMES[:2], "bank") | dict.fromkeys(NAMES[2:], "grid")
    asked = board(np.ones((5, 7)), roles=roles)
    total, there = secure_sum(asked, NAMES[:2], 7, 4, 2, Content(config={"times": 1.0}))
    assert there == set(NAMES[:2])
    assert np.allclose(total, 2.0)
    with pytest.raises(AggregationFailed, match="bank-2 have nothing to add to a sum over nodes of its kind"):
        secure_sum(asked, NAMES[:3], 7, 4, 3, Content(config={"times": 1.0}))
    with pytest.raises(AggregationFailed, match="a sum that may be over 1 nodes hides nobody"):
        secure_sum(asked, NAMES[:1], 7, 4, 1, Content(config={"times": 1.0}))
    # A node that is the only one of its kind is summed alone: that sum is its own vector.
    lone = board(np.ones((5, 7)), roles={NAMES[0]: "grid"})
    assert secure_sum(lone, NAMES[:1], 7, 4, 1, Content(config={"times": 1.0}))[1] == {NAMES[0]}


def test_in_a_sparse_graph_a_nonce_that_is_not_shown_voids_the_round():
    vectors = np.random.default_rng(5).normal(size=(5, 7))
    request = Content(config={"times": 1.0})
    assert np.allclose(secure_sum(board(vectors), NAMES, 7, 2, 3, request)[0], vectors.sum(axis=0), atol=1e-6)
    with pytest.raises(AggregationFailed, match="bank-1 did not show the nonce that it committed to"):
        secure_sum(board(vectors, {"bank-1": "query.secure_reveal"}.items()), NAMES, 7, 2, 3, request)
