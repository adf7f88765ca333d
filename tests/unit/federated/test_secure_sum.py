"""A round over Flower messages: what nodes add up is the plain sum, and what is not a round of theirs is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.ring import BITS
from federated.training.messages import Content, Switchboard, answering
from federated.training.secure_sum import add_secure_sum, secure_sum
from simulations.benchmarks.secure_aggregation import _Leaving, measure_aggregation

NAMES = [f"bank-{i}" for i in range(5)]


def board(vectors, leaving=()):
    signing = {name: Ed25519PrivateKey.generate() for name in NAMES}
    known = {name: key.public_key() for name, key in signing.items()}
    seats = {}
    for i, name in enumerate(NAMES):
        app = ClientApp()

        @app.query("hello")
        @answering
        def hello(_: Content, __: Context, name=name) -> Content:
            return Content(config={"org_id": name})

        add_secure_sum(app, name, signing[name], known, lambda content, i=i: vectors[i] * content.number("times"))
        seats[i + 2] = Seat(_Leaving(app, dict(leaving)[name], 1) if name in dict(leaving) else app, {})
    found = Switchboard(InProcessGrid(seats))
    found.introduce()
    return found


def test_nodes_add_up_what_they_make_of_the_request():
    vectors = np.random.default_rng(2).normal(size=(5, 40))
    asked = board(vectors)
    for times in (1.0, -3.0):
        total, survivors = secure_sum(asked, NAMES, 40, 4, 3, Content(config={"times": times}))
        assert survivors == set(NAMES)
        assert np.abs(total - times * vectors.sum(axis=0)).max() <= 5 * 2.0 ** -(BITS + 1)


def test_a_node_that_leaves_is_left_out_and_too_few_end_the_round():
    vectors = np.random.default_rng(3).normal(size=(5, 7))
    request = Content(config={"times": 1.0})
    total, survivors = secure_sum(board(vectors, {"bank-3": "query.secure_mask"}.items()), NAMES, 7, 4, 3, request)
    assert survivors == set(NAMES) - {"bank-3"}
    assert np.allclose(total, vectors[[0, 1, 2, 4]].sum(axis=0), atol=1e-6)
    leaving = dict.fromkeys(NAMES[:3], "query.secure_unmask")
    with pytest.raises(AggregationFailed, match="2 shares of a seed are there, 3 are needed"):
        secure_sum(board(vectors, leaving.items()), NAMES, 7, 4, 3, request)


def test_a_vector_of_another_length_leaves_its_node_out():
    vectors = [np.ones(7)] * 4 + [np.ones(8)]
    total, survivors = secure_sum(board(vectors), NAMES, 7, 3, 3, Content(config={"times": 1.0}))
    assert survivors == set(NAMES[:4])
    assert np.allclose(total, 4.0)


def test_a_rounds_id_is_used_once(monkeypatch):
    asked = board(np.ones((5, 3)))
    monkeypatch.setattr("federated.training.secure_sum.secrets", SimpleNamespace(token_bytes=bytes))
    secure_sum(asked, NAMES, 3, 4, 3, Content(config={"times": 1.0}))
    with pytest.raises(AggregationFailed, match="0 parties sent a vector"):
        secure_sum(asked, NAMES, 3, 4, 3, Content(config={"times": 1.0}))


def test_the_bench_sums_the_same_numbers_both_ways():
    cost = measure_aggregation(12, 50, shares=7, threshold=4, dropout=0.0)
    assert cost.ours_error <= cost.ours_error_bound
    assert cost.flower_error < 1e-5
