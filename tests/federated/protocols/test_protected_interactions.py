"""Products of both sides' components: right on shares, checked, uniform to who sees them, and of few factors."""

from dataclasses import replace

import numpy as np
import pytest
from protected_world import BANKS, FEW, GRIDS, World

from federated.errors import AggregationFailed, TrainingFailed
from federated.models.encoding.interactions import FARTHEST, GAIN, cut, factored, prior, products
from federated.models.served.metrics import metrics_of
from federated.privacy.vertical.ring import floating
from federated.protocols.core.messages import Content
from federated.protocols.protected.interacting import FACTORS, PRODUCT_BITS, gathered, multiplied_rows


def test_products_on_shares_are_those_of_components(fitted):
    world, training = fitted
    ours, theirs = (
        b.columns(v).astype(np.float64) for b, v in zip(training.bases, (world.bank, world.grid), strict=True)
    )
    k, n = training.multiplied
    assert (k, n) == (2, 2)
    seen = 0
    for i, bank in enumerate(BANKS):
        for j, grid in enumerate(GRIDS):
            sides = [(world.nodes[bank]._talk.state, grid), (world.nodes[grid]._talk.state, bank)]
            total = sum(state.interactions[peer] for state, peer in sides)
            (of_bank, of_grid) = (multiplied_rows(state)[peer] for state, peer in sides)
            here = np.flatnonzero(world.of_bank == i)[of_bank]
            assert here.tolist() == np.flatnonzero(world.of_grid == j)[of_grid].tolist()
            expected = products(ours[here, 1 : 1 + k], theirs[here, :n])
            assert floating(total, PRODUCT_BITS) == pytest.approx(expected, abs=0.006)
            for state, peer in sides:
                top = (state.interactions[peer] >> np.uint64(62)).astype(int)
                assert np.bincount(top.ravel(), minlength=4).min() > 0.2 * top.size
            seen += len(here)
    assert seen > 1_500


def test_a_function_that_needs_both_parties_columns_is_learnt():
    """What banks' columns and grid companies' say apart ranks such customers hardly better than a coin."""
    world = World(rows=3_000)
    raw = 2.5 * world.bank[:, 0] * world.grid[:, 0]
    world.labels = (np.random.default_rng(1).random(3_000) < 1 / (1 + np.exp(-raw))).astype(np.int64)
    world.apps = world._apps()
    aucs = {}
    for number in (0, 4):
        training = world.training(replace(FEW, interactions=number))
        training.fit()
        assert training.products == number**2
        logits = world.logits(training)
        aucs[number] = metrics_of(logits[world.held_out], world.labels[world.held_out]).auc
    assert aucs[0] < 0.6
    assert aucs[4] > 0.75


def test_coefficients_of_products_have_few_factors():
    world = World(rows=1_200)
    training = world.training(replace(FEW, interactions=6))
    training.fit()
    weights = world.nodes[training.lead].weights[-training.products :].reshape(training.multiplied)
    assert np.linalg.matrix_rank(weights, tol=1e-9 * np.abs(weights).max()) == FACTORS < 6


class Stopped(Exception):
    """Of a run that a test goes on with."""


def multiplying(training, changed):
    """A run whose operator passes on what `changed` makes of each message of products."""
    asking = training.ask

    def ask(action, requests):
        return asking(action, changed(requests) if action == "interact" else requests)

    training.ask = ask
    return training


def test_a_wrong_correction_of_a_dealer_ends_the_run():
    world = World(rows=700)
    training = world.training()
    for node in world.nodes.values():
        dealt = node._dealing.vectors

        def wrong(purpose, count, dealt=dealt, node=node):
            for dealer in node._dealing._dealers.get(purpose, {}).values():
                right = dealer.products

                def spoilt(count, right=right):
                    found = right(count)
                    found[3] += np.uint64(1 << 40)
                    return found

                dealer.products = spoilt
            return dealt(purpose, count)

        node._dealing.vectors = wrong
    with pytest.raises(AggregationFailed, match="triples do not agree"):
        training.fit()


def test_an_operator_that_leaves_out_a_part_hides_no_columns():
    def without_tags(requests):
        return {} if any(content.under("tag") for content in requests.values()) else requests

    with pytest.raises(AggregationFailed, match="was changed on the way"):
        multiplying(World(rows=400).training(), without_tags).fit()

    def without_the_last(requests):
        return {} if any(content.config.get("number") == 1 for content in requests.values()) else requests

    with pytest.raises(TrainingFailed, match=r"products with .* are not all there"):
        multiplying(World(rows=400).training(), without_the_last).fit()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"components/bank": 0}, "does not multiply 0 with 2"),
        ({"components/grid": 17}, "does not multiply 2 with 17"),
        ({"components/bank": 99}, "does not multiply 99 with 2"),
        ({"number": 2}, "2 components are multiplied, and no other"),
        ({"number": -1}, "2 components are multiplied, and no other"),
    ],
)
def test_components_that_there_are_not_are_multiplied_by_nobody(told, why):
    def changed(requests):
        return {
            org: Content(content.arrays, content.config | told if "number" in content.config else content.config)
            for org, content in requests.items()
        }

    with pytest.raises(TrainingFailed, match=why):
        multiplying(World(rows=400).training(), changed).fit()


def test_no_component_is_multiplied_twice_or_with_others_or_once_columns_are_hidden():
    world = World(rows=400)
    training = world.training()
    hide = training._hide

    def stopping():
        raise Stopped

    training._hide = stopping
    with pytest.raises(Stopped):
        training.fit()
    told = {"components/bank": 2, "components/grid": 2, "number": 1}
    with pytest.raises(TrainingFailed, match="component 2 is multiplied next, not 1"):
        training.ask("interact", {"bank-a": Content(config=told)})
    with pytest.raises(TrainingFailed, match="other components were multiplied before"):
        training.ask("interact", {"bank-a": Content(config=told | {"components/grid": 1})})
    hide()
    with pytest.raises(TrainingFailed, match="before they are hidden"):
        training.ask("interact", {"bank-a": Content(config=told)})


def test_products_are_multiplied_in_their_order():
    """In another one each would have another's coefficient in the function that is served, and no figure says so."""
    training, swapped = World(rows=400).training(), {0: 1, 1: 0}
    asking = training.ask

    def ask(action, requests):
        told = {
            org: Content(
                c.arrays, c.config | {"number": swapped[c.config["number"]]} if "number" in c.config else c.config
            )
            for org, c in requests.items()
        }
        return asking(action, told if action == "interact" else requests)

    training.ask = ask
    with pytest.raises(TrainingFailed, match="component 0 is multiplied next, not 1"):
        training.fit()


def test_nodes_that_were_told_of_other_products_open_no_gradient():
    """Gradients of two different products would be added to one another."""
    world = World(rows=500)
    training = world.training()
    spare, seen = training._hide, []

    def swapping():
        for name, node in world.nodes.items():
            state = node._talk.state
            seen.append(state.multiplied)
            if name == "bank-b":
                state.multiplied = (4, 1)
        spare()

    training._hide = swapping
    with pytest.raises(TrainingFailed, match="a gradient came that no customers add up to"):
        training.fit()
    assert seen == [(2, 2)] * 4


def test_gradients_of_products_are_added_up_from_both_sides():
    shares = np.arange(11, dtype=np.uint64)
    # Two of banks' columns and three products, then three of grid companies' and the same products.
    assert gathered(shares, 2, 3).tolist() == [0, 1, 5, 6, 7, 2 + 8, 3 + 9, 4 + 10]


def test_factors_are_the_nearest_and_products_lie_between_minus_one_and_one():
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(6, 5))
    p, q = factored(weights, 2)
    assert p.shape == (2, 6)
    assert np.linalg.norm(p, axis=1) == pytest.approx(np.ones(2))
    left = np.linalg.svd(weights, compute_uv=False)[2:]
    assert np.linalg.norm(weights - p.T @ q) == pytest.approx(np.linalg.norm(left))
    ours, theirs = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    found = products(ours, theirs)
    assert np.abs(found).max() <= 1.0 + 1e-12
    assert found[7, 3] == pytest.approx(GAIN * cut(ours)[7, 1] * cut(theirs)[7, 1])
    assert np.abs(cut(ours)).max() == FARTHEST
    held = prior(np.array([1.0, 4.0]), np.array([2.0, 6.0]))
    assert held / held[0] == pytest.approx([1.0, 3.0, 4.0, 12.0])
