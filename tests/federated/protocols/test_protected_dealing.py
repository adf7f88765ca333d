"""Who deals in protected training, and that one that deals wrongly ends the run with nothing read."""

from collections import Counter

import numpy as np
import pytest
from protected_world import BANKS, GRIDS, SEGMENTS, World

from federated.errors import AggregationFailed, TrainingFailed
from federated.nodes.identity import fresh_identities
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.ring import Tape
from federated.protocols.core.messages import Content
from federated.protocols.protected.dealing import FITTING, Dealing
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.state import GRADIENT, Parties
from simulations.benchmarks.dealt_pairs import BANK, OTHER, read_together, row_read


def of_two(rows=700):
    """A world of one bank and one grid company, to which the operator deals."""
    return World(rows, banks=BANKS[:1], grids=GRIDS[:1])


def dealing_wrongly(monkeypatch, error, when):
    """Have dealers change one correction of products by `error`, of those that are for `when`."""
    right, rng = Dealer.products, np.random.default_rng(8)

    def products(dealer, count):
        corrections = right(dealer, count)
        widths = [masks.shape[1] for masks in dealer._masks.values()]
        if when == ("groups" if not widths else "gain" if max(widths) == 1 else "gradient"):
            corrections[[rng.integers(len(corrections))]] += np.uint64(error)
        return corrections

    monkeypatch.setattr(Dealer, "products", products)


def test_a_third_node_deals_to_every_pair_and_the_operator_to_none():
    world = World(rows=700)
    training = world.training()
    training.fit()
    assert training.dealing._dealers == {FITTING: {}, **{p: {} for p in training.dealing._dealers}}
    dealt = {name: list(node._dealing._dealers[FITTING]) for name, node in world.nodes.items()}
    assert sorted(pair for pairs in dealt.values() for pair in pairs) == sorted(training.pairs)
    assert not any(name in pair for name, pairs in dealt.items() for pair in pairs)
    assert set(Counter(map(len, dealt.values()))) == {1}
    for action, content in world.crossed:
        dealt_here = [array for name, array in content.arrays.items() if name.startswith("dealt/")]
        assert all(array.dtype == np.uint8 for array in dealt_here), action
        assert not any(name.startswith("tape/") for name in content.config)


def test_the_order_of_triples_is_the_pairs_own_and_masks_are_those_of_its_dealer():
    world = World(rows=300)
    world.training()._introduce()
    bank, grid = BANKS[0], GRIDS[0]
    (own, order), (theirs, same) = (
        world.nodes[a]._talk.tapes(Content(), b, FITTING) for a, b in ((bank, grid), (grid, bank))
    )
    drawn = order.draw(8).tolist()
    assert drawn == same.draw(8).tolist()
    dealer = world.nodes[world.nodes[bank]._talk.state.parties.dealer(bank, grid)]
    keys = dealer._dealing._keys((bank, grid), FITTING)
    masks = own.draw(8).tolist(), theirs.draw(8).tolist()
    assert masks == (Tape(keys["bank"]).draw(8).tolist(), Tape(keys["grid"]).draw(8).tolist())
    assert drawn not in masks
    assert masks[0] != masks[1]


def test_where_there_is_no_third_node_the_operator_deals_and_the_model_is_the_same_kind():
    world = of_two()
    training = world.training()
    training.fit()
    assert list(training.dealing._dealers[FITTING]) == [(BANKS[0], GRIDS[0])]
    assert world.nodes[BANKS[0]]._talk.state.parties.dealer(BANKS[0], GRIDS[0]) is None
    assert judged(training, SEGMENTS, -1.0).defaults.sum() > 3


@pytest.mark.parametrize("error", [1 << 14, 1 << 63])
@pytest.mark.parametrize("made", [World, of_two], ids=["node", "operator"])
def test_a_dealer_that_changes_a_correction_ends_the_run_and_nothing_is_opened(monkeypatch, made, error):
    dealing_wrongly(monkeypatch, error, "gradient")
    world = made(700)
    training = world.training()
    with pytest.raises(AggregationFailed, match="triples do not agree with one another: the run is over"):
        training.fit()
    told = Counter(action for action, _ in world.crossed)
    assert told["query.protected_cross"] == len(world.nodes)
    assert not told["query.protected_gradient"]
    # The Gram matrices alone were summed, and what banks fit by themselves.
    assert told["query.protected_sum"] == len(world.nodes) + told["query.protected_clear"]
    # Nor does a node go on: there is no second try.
    victim = next(name for name, node in world.nodes.items() if node._talk._state is None)
    with pytest.raises(TrainingFailed, match="no protected run was opened"):
        training.ask("open", {victim: Content()})
    with pytest.raises(TrainingFailed, match="no protected run was opened"):
        training.summed(GRADIENT, world.nodes, 4, 0)


def test_products_of_labels_and_groups_that_are_dealt_wrongly_end_the_run_before_anything_is_counted(monkeypatch):
    world = World(rows=700)
    training = world.training()
    training.fit()
    dealing_wrongly(monkeypatch, 1 << 14, "groups")
    with pytest.raises(AggregationFailed, match="triples do not agree"):
        judged(training, SEGMENTS, -1.0)
    assert not {"query.protected_deal", "query.protected_count"} & {action for action, _ in world.crossed}


def test_an_operator_that_changes_what_a_node_deals_is_found_out():
    training = World(rows=700).training()
    ask = training.ask

    def changing(action, requests):
        if action == "cross":
            for content in requests.values():
                for name, array in content.arrays.items():
                    if name.startswith("dealt/"):
                        content.arrays[name] = array ^ np.uint8(1)
        return ask(action, requests)

    training.ask = changing
    with pytest.raises(AggregationFailed, match="was changed on the way"):
        training.fit()


def test_masks_are_drawn_once_a_run_however_often_the_operator_asks():
    training = World(rows=700).training()
    ask = training.ask

    def again(action, requests):
        answers = ask(action, requests)
        return ask(action, requests) if action == "hide" else answers

    training.ask = again
    with pytest.raises(TrainingFailed, match=r"masks for fit with grid-x are told once a run"):
        training.fit()


def test_nodes_that_were_told_of_different_parties_do_not_meet():
    board = World(rows=300, banks=("bank-a", "bank-b", "bank-c")).training().session.board
    named = {"run": b"r", "grids": list(GRIDS)}
    everybody = ["bank-a", "bank-b", "bank-c"]
    told = {"bank-a": everybody, "bank-b": everybody, "grid-x": everybody[:2]}
    cards = board.ask(
        "query.protected_introduce", {org: Content(config=named | {"banks": banks}) for org, banks in told.items()}
    )
    card = {f"{what}/{org}": cards[org].points(what) for org in cards for what in ("key", "signature")}
    board.ask("query.protected_meet", {"bank-a": Content(config={k: card[k] for k in card if k.endswith("bank-b")})})
    with pytest.raises(TrainingFailed, match="bank-b was met before"):
        board.ask(
            "query.protected_meet", {"bank-a": Content(config={k: card[k] for k in card if k.endswith("bank-b")})}
        )
    with pytest.raises(AggregationFailed, match="the key said to be grid-x's was not signed by it"):
        board.ask(
            "query.protected_meet", {"bank-a": Content(config={k: card[k] for k in card if k.endswith("grid-x")})}
        )


def test_a_run_of_two_is_refused_where_the_register_knows_a_node_that_could_deal():
    known = fresh_identities(("bank-a", "grid-x", "grid-y"), {"bank-a": "bank"})
    sides = frozenset({"bank-a"}), frozenset({"grid-x"})
    with pytest.raises(AggregationFailed, match="a run of two has no node to deal"):
        Parties.checked(known["bank-a"], *sides)
    assert Parties.checked(fresh_identities(("bank-a", "grid-x"), {"bank-a": "bank"})["bank-a"], *sides).least == 1


def test_a_node_deals_to_no_pair_but_its_own_and_for_as_many_rows_as_there_can_be():
    world = World(rows=300)
    world.training()._introduce()
    dealer = next(n for n in world.nodes.values() if n._talk.state.parties.dealer("bank-a", "grid-x") == n.name)
    told = Content(config={f"rows/{bank}/{grid}": 9 for bank in BANKS for grid in GRIDS})
    assert set(dealer._dealing.rows(told)) == {("bank-a", "grid-x")}
    for rows in (0, 1 << 25):
        with pytest.raises(AggregationFailed, match="nobody deals for"):
            Dealing().begin(FITTING, {("bank-a", "grid-x"): rows})


def test_a_node_deals_once_a_run_for_one_purpose():
    """The same masks dealt for other widths too gave coefficients away, by a node that was told it fits nobody."""
    world = World(rows=300)
    world.training()._introduce()
    dealer = next(n for n in world.nodes.values() if n._talk.state.parties.dealer("bank-a", "grid-x") == n.name)
    dealer._dealing.begin(FITTING, {("bank-a", "grid-x"): 9}, (3, 4))
    with pytest.raises(TrainingFailed, match="what is dealt for fit are told once a run"):
        dealer._dealing.begin(FITTING, {("bank-a", "grid-x"): 9}, (3, 5))


def test_a_dealer_deals_for_no_more_columns_than_it_masked():
    dealer = Dealer(9)
    dealer.columns({"bank": 3, "grid": 4})
    for widths in ({"bank": 0, "grid": 4}, {"bank": 3, "grid": 5}):
        with pytest.raises(AggregationFailed, match="nobody deals for"):
            dealer.gradients(widths)


def test_an_operator_that_tells_a_dealer_other_numbers_of_rows_ends_the_run():
    training = World(rows=700).training()
    told = training.rows_told
    training.rows_told = lambda rows: told({pair: count - 1 for pair, count in rows.items()})
    with pytest.raises(AggregationFailed, match=r"triples do not agree|corrections"):
        training.fit()


def test_what_an_operator_reads_with_one_node_it_reads_where_there_is_no_third_alone():
    alone, together = read_together((BANK,)), read_together((BANK, OTHER))
    assert (alone.columns, alone.labels) == (1.0, 1.0)
    assert (together.columns, together.labels) == (0.0, 0.0)
    # Two nodes beside the operator are not stood: the attack would read what it may.
    assert together.columns_by_three == 1.0
    assert (row_read(checked=True), row_read(checked=False)) == (0.0, 1.0)
