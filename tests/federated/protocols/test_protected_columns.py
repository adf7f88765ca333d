"""Columns that an operator names: priors follow from them, and none is of a few customers, or cuts customers in two."""

import numpy as np
import pytest
from protected_world import BANKS, World

from federated.errors import AggregationFailed, TooFewRows, TrainingFailed
from federated.models.encoding.principal import FARTHEST
from federated.protocols.core.messages import Content
from federated.protocols.protected import columns
from federated.protocols.protected.columns import LEAST_CUSTOMERS
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.state import FIT, HELD

TIGHT = {"cell_ridge": 2.0, "leaf_ridge": 8.0}
CUSTOMER = 7


def directing(training, changed, **tight):
    """Have the operator tell directions that are `changed`, a side, and other ridges."""
    asked = training.ask

    def telling(action, requests):
        if action == "project":
            requests = {
                org: Content({"directions": changed(c.arrays["directions"].copy(), org)}, {**TIGHT, **tight})
                for org, c in requests.items()
            }
        return asked(action, requests)

    training.ask = telling
    return training


@pytest.mark.parametrize("joint", [1, 0])
def test_nodes_compute_the_priors_that_follow_from_directions(joint):
    world = World(rows=600)
    training = world.training(joint=joint)
    training.fit()
    for bank in BANKS:
        state = world.nodes[bank]._talk.state
        priors = [prior for prior in (state.prior, state.others_prior) if prior is not None]
        assert len(priors) == len(training.bases)
        for prior, basis in zip(priors, training.bases, strict=True):
            kept = ~prior.left_out
            assert kept.mean() > 0.8
            assert prior.parts == basis.parts
            assert prior.relative[kept] == pytest.approx(basis.relative[kept], rel=1e-9)
    lead = world.nodes[training.lead]._lead
    penalty = np.concatenate([b.penalty(r) for b, r in zip(lead._blocks, lead.ridges, strict=True)])
    told = training.penalty(lead.ridges)
    assert penalty[penalty < HELD / 1e3] == pytest.approx(told[penalty < HELD / 1e3], rel=1e-9)


def mixed(directions, org):
    """The first component has a leaf of a pair and an interval."""
    directions[-1, 1 if org.startswith("bank") else 0] = 1e-3
    return directions


def mixed_last(directions, _):
    """The last component has an interval and a ramp."""
    directions[3, -1] = 1e-3
    return directions


def intervals_first(directions, org):
    constant = int(org.startswith("bank"))
    return np.hstack([directions[:, :constant], directions[:, constant:][:, ::-1]])


def no_constant(directions, org):
    if org.startswith("bank"):
        directions[3, 0] = 1e-3
    return directions


def half_a_constant(directions, org):
    if org.startswith("bank"):
        directions[0, 0] = 0.5
    return directions


@pytest.mark.parametrize("changed", [mixed, mixed_last, intervals_first, no_constant, half_a_constant])
def test_directions_that_are_of_no_parts_are_refused(changed):
    with pytest.raises(TrainingFailed, match="directions are of intervals or of other columns, these first"):
        directing(World(rows=400).training(), changed).fit()


def one_free(directions, org):
    """Made-up priors came from the operator before: one column free, all others held at 0."""
    first = int(org.startswith("bank"))
    directions[:, first + 1 :] *= 1e-3
    return directions


def one_tight(directions, org):
    directions[:, int(org.startswith("bank"))] *= 1e3
    return directions


def far_apart(directions, org):
    directions[:, -1] *= 1e6
    return directions


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (one_tight, "the directions are none of principal components"),
        (one_free, "the directions are none of principal components"),
        (far_apart, "the directions are none of principal components"),
    ],
)
def test_directions_of_which_no_priors_follow_that_components_have_are_refused(changed, why):
    with pytest.raises(TrainingFailed, match=why):
        directing(World(rows=400).training(), changed).fit()


@pytest.mark.parametrize("tight", [{"cell_ridge": 0.0}, {"leaf_ridge": 1e6}, {"leaf_ridge": float("inf")}])
def test_no_kind_of_columns_is_held_out_of_all_proportion(tight):
    with pytest.raises(TrainingFailed, match=r"times as tightly as a ramp|leaf_ridge"):
        directing(World(rows=400).training(), lambda directions, _: directions, **tight).fit()


def threshold(directions, _):
    """As far as priors let it, all columns cut customers in two: a difference of two such told one customer's row."""
    return np.where(np.abs(directions) == 1.0, 1.0, 12.0 * directions)


def test_columns_that_cut_customers_in_two_are_refused():
    with pytest.raises(TrainingFailed, match="sets customers apart by more than a principal component does"):
        directing(World(rows=400).training(), threshold).fit()


def of_one_customer(name, first, level=0.0):
    """A world where one column of a node sets one customer alone apart, whatever the operator said."""

    class Own(ProtectedApp):
        def __init__(self, identity, opened):
            super().__init__(identity, opened)
            if self.name == name:
                told = self._made._told

                def singling_out(_):
                    state = self._talk.state
                    state.columns[:, first] = level
                    state.columns[state.of_purpose(FIT)[CUSTOMER], first] = 1.0
                    own = state.columns[state.of_purpose(FIT)].astype(np.float64)
                    return told(np.concatenate([own.sum(axis=0), np.square(own).sum(axis=0)]))

                self._made._told = singling_out

    return World(rows=500, made=Own, **({"grids": ("grid-x",)} if name == "grid-x" else {"banks": (name,)}))


@pytest.mark.parametrize("level", [0.0, 0.12])
def test_of_a_column_of_one_customer_no_gradient_is_taken_and_its_coefficient_is_0(level):
    """Its coefficient, and what the constant made of it, told his label: 12 of 12. That all others are alike in it, but
    not 0, makes it none of many."""
    world = of_one_customer("grid-x", 0, level)
    training = world.training()
    training.fit()
    node = world.nodes[training.lead]
    assert node._talk.state.others_prior.left_out[0]
    assert node.weights[0] == 0.0
    assert np.count_nonzero(node.weights) > 10


def test_banks_add_nothing_to_a_gradient_of_too_few_customers():
    """Not even the lead reads it: what grid companies add by themselves is uniform."""
    world = of_one_customer("grid-x", 0)
    training, sums = world.training(), []
    summed = training.ring_summed

    def keeping(of, over, length):
        total = summed(of, over, length)
        if of == "gradient":
            at = training.bases[0].width + training.products
            sums.append((total - world.nodes[training.lead]._lead._mask)[at : at + 2].astype(np.int64))
        return total

    training.ring_summed = keeping
    training.fit()
    of_one, of_many = np.abs(np.array(sums)).T
    assert np.median(of_one) > 2.0**58 > 2.0**54 > np.median(of_many)


def test_banks_alone_add_nothing_to_a_gradient_of_too_few_customers_either():
    world = of_one_customer("bank-a", 1)
    training, seen = world.training(), []
    compute = training._clear_gradient

    def keeping(points):
        passed = compute(points)
        seen.append((passed - world.nodes[training.lead]._lead._mask)[1:3].astype(np.int64))
        return passed

    training._clear_gradient = keeping
    training.fit()
    assert world.nodes[training.lead]._talk.state.prior.left_out[1]
    of_one, of_many = np.array(seen).T
    assert not of_one.any()
    assert of_many.all()
    assert world.nodes[training.lead].beta[1] == 0.0


def test_what_columns_are_like_is_added_up_over_a_side_and_told_to_banks_alone():
    world = World(rows=500)
    training = world.training()
    made = {name: node._made for name, node in world.nodes.items()}
    moments = {}
    for name, own in made.items():
        own._told = lambda total, name=name, told=own._told: (moments.setdefault(name, total), told(total))[1]
    found, single, approved = {}, [], columns.Columns._approved

    def approving(self, told, parts, *, constant):
        single.extend(np.asarray(part).astype(np.int64) for part in parts)
        found[self._talk.name, constant] = np.sum(parts, axis=0, dtype=np.uint64)
        return approved(self, told, parts, constant=constant)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns.Columns, "_approved", approving)
        training.fit()
    # Nobody reads the part of one node.
    assert min(np.median(np.abs(part)) for part in single) > 2.0**58
    for bank in BANKS:
        for constant, side in ((True, "bank"), (False, "grid")):
            total = sum(own for name, own in moments.items() if name.startswith(side))
            assert columns.decoded(found[bank, constant]) == pytest.approx(total, abs=1e-6)
            rows = world.nodes[bank]._talk.state.fitted
            # Principal components have one variance, but where they are cut.
            assert np.median(np.split(total, 2)[1]) == pytest.approx(rows / FARTHEST**2, rel=0.02)


def test_a_run_in_which_most_columns_are_of_too_few_customers_is_refused(monkeypatch):
    monkeypatch.setattr(columns, "LEAST_CUSTOMERS", 30.0)
    assert LEAST_CUSTOMERS == 3.0
    with pytest.raises(TooFewRows, match="most columns are of fewer than 30 of"):
        World(rows=500).training().fit()


@pytest.mark.parametrize("name", ["grid-y", "bank-b"])
def test_nodes_of_a_side_whose_columns_have_other_priors_do_not_fit_together(name):
    world = World(rows=500)
    own, said = world.nodes[name]._made, world.nodes[name]._made._prior

    def other(directions, tight):
        prior = said(directions, tight)
        prior.relative[-1] *= 1.01
        return prior

    own._prior = other
    with pytest.raises(TrainingFailed, match="has columns of other priors than its side's components"):
        world.training().fit()


def test_a_grid_company_with_other_code_has_no_priors_but_components_ones():
    """Where it is the only one nobody of its side says otherwise."""
    world = World(rows=500, grids=("grid-x",))
    own, said = world.nodes["grid-x"]._made, world.nodes["grid-x"]._made._prior

    def one_free(directions, tight):
        prior = said(directions, tight)
        prior.relative[1:] = 1e9
        return prior

    own._prior = one_free
    with pytest.raises(TrainingFailed, match="grid-x has columns of other priors than its side's components"):
        world.training().fit()


def test_a_fit_is_begun_of_no_columns_that_banks_did_not_approve():
    world = World(rows=500)
    training = world.training(joint=0)
    training._approve = lambda _: None
    with pytest.raises(TrainingFailed, match="of columns that banks did not approve"):
        training.fit()
    for bank in BANKS:
        with pytest.raises(TrainingFailed, match="no gradient is taken of columns that banks did not approve"):
            training.ask("clear", {bank: Content()})


def test_an_operator_changes_nothing_of_what_columns_are_like():
    """Added numbers would make a column of one customer one of many."""
    training = World(rows=500).training()
    asked = training.ask

    def adding(action, requests):
        if action == "approve":
            for content in requests.values():
                for name, array in content.arrays.items():
                    content.arrays[name] = array ^ np.uint8(1)
        return asked(action, requests)

    training.ask = adding
    with pytest.raises(AggregationFailed, match="was changed on the way"):
        training.fit()
