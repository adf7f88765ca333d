"""One interface for all protocols: they are listed once, add their own messages, and are chosen by name."""

from dataclasses import fields

import pytest
from flwr.clientapp import ClientApp
from small_network import SMALL

from federated.errors import TrainingFailed
from federated.nodes.identity import fresh_identities
from federated.protocols.catalogue import HORIZONTAL, PROTOCOLS, VERTICAL, averaged_by, vertical_protocols
from federated.protocols.open.protocol import OpenProtocol
from federated.protocols.operator_app import RunPlan
from federated.protocols.strategies.named import STRATEGIES, strategy_named


class AnyNode:
    """Stands where a node's side of a protocol stands: adding handlers asks nothing of it but its name."""

    org_id = "bank-a"

    def __call__(self):
        raise AssertionError("handlers ask for the open session when a message comes, not before")


def actions(protocol):
    """What a node's app answers once `protocol` was added to it."""
    app = ClientApp()
    protocol.add_to(app, AnyNode(), fresh_identities(["bank-a"])["bank-a"])
    return set(app._registered_funcs)


def test_names_say_which_protocol_is_meant():
    assert [protocol.name for protocol in PROTOCOLS] == ["protected", "open", "private", "robust"]
    assert vertical_protocols("both") == VERTICAL
    for protocol in VERTICAL:
        assert vertical_protocols(protocol.name) == (protocol,)
    with pytest.raises(KeyError, match="no protocol is called private: protected, open, both"):
        vertical_protocols("private")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_every_protocol_is_a_value_that_brings_its_own_messages(protocol):
    assert protocol == type(protocol)()
    assert {f.name for f in fields(protocol)}.isdisjoint({"name", "needs"})
    others = set().union(*(actions(other) for other in VERTICAL if other is not protocol))
    shared = {action for action in actions(protocol) & others if not action.startswith("query.secure_")}
    assert actions(protocol)
    assert not shared


def test_vertical_protocols_need_aligned_customers_and_horizontal_ones_public_ranges():
    assert all(protocol.needs.alignment and not protocol.needs.public_ranges for protocol in VERTICAL)
    assert all(protocol.needs.public_ranges and not protocol.needs.alignment for protocol in HORIZONTAL)
    assert [protocol.name for protocol in PROTOCOLS if protocol.needs.budget] == ["private"]


@pytest.mark.parametrize("protocol", VERTICAL, ids=lambda protocol: protocol.name)
def test_a_seed_reaches_all_settings_and_nothing_else(protocol):
    seeded = protocol.seeded(7)
    assert seeded.config() == protocol.config() | {"seed": 7}
    assert seeded.seeded(2024) == protocol


def test_a_strategy_is_for_protocols_that_train_networks():
    protected, zoo = averaged_by("fedavg", VERTICAL)
    assert (protected, zoo) == VERTICAL
    with pytest.raises(TrainingFailed, match="protected: no networks are trained that fedavg averages"):
        averaged_by("fedavg", vertical_protocols("protected"))
    for text in ("median", "fedavg:1", "fedavg:x"):
        with pytest.raises(TrainingFailed, match="no strategy is"):
            averaged_by(text, VERTICAL)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategys_text_means_itself(name):
    strategy = STRATEGIES[name]()
    assert strategy.name == name
    assert strategy_named(strategy.text) == strategy


def test_a_run_trains_by_something_and_the_zoo_by_its_additive_learners():
    with pytest.raises(TrainingFailed, match="one protocol at least"):
        RunPlan((0,), 0, 580, ())
    with pytest.raises(TrainingFailed, match="additive, pair_trees"):
        OpenProtocol(SMALL, ("networks",))
