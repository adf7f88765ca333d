"""That a run begins, as SuperLink says it: who is told, who carries it then, and who executes a node's tasks."""

import pytest

from federated.engines.attending import Attendant, attending_app
from federated.engines.in_process import InProcessGrid, Seat
from federated.engines.seat import RunSeat
from federated.errors import ChannelRefused, RunLost, TrainingFailed
from federated.operating import flower_app
from federated.operating.flower_app import attended
from federated.protocols.core.messages import named_app

NAMES = ("bank-gusu", "grid-sip")


@pytest.fixture
def seats():
    return {name: RunSeat(name, lambda name=name: named_app(name)) for name in NAMES}


def grid_of(seats):
    apps = [attending_app(name, seat.begin) for name, seat in seats.items()]
    return InProcessGrid({number: Seat(app, {}) for number, app in enumerate(apps, start=2)})


def test_all_nodes_attend_one_run_of_that_operator_alone(seats):
    run = attended(grid_of(seats), frozenset(NAMES), "operator")
    for seat in seats.values():
        with pytest.raises(ChannelRefused, match="no message of Flower's"):
            seat.answer(run, "operator", 1, b"\xff")
        with pytest.raises(RunLost):
            seat.answer(run, "another", 1, b"")
        with pytest.raises(RunLost):
            seat.answer(bytes(16), "operator", 1, b"")


def test_a_run_begins_with_exactly_the_named_nodes(seats, monkeypatch):
    monkeypatch.setattr(flower_app, "COMING_S", 0.0)
    with pytest.raises(TrainingFailed, match="2 of 3 SuperNodes have come"):
        attended(grid_of(seats), frozenset({*NAMES, "bank-taihu"}), "operator")
    with pytest.raises(TrainingFailed, match="SuperNodes are of bank-gusu, grid-sip, and not of"):
        attended(grid_of(seats), frozenset({"bank-gusu", "grid-gaoxin"}), "operator")


def test_a_run_of_another_operator_is_not_broken_off(seats):
    attended(grid_of(seats), frozenset(NAMES), "operator")
    with pytest.raises(ChannelRefused, match="bank-gusu refused: bank-gusu takes part in a run of operator"):
        attended(grid_of(seats), frozenset(NAMES), "another")


def test_a_supernode_that_is_away_is_asked_again_and_said_once(monkeypatch):
    class Stopping:
        waited = 0

        def is_set(self):
            return self.waited >= 3

        def wait(self, _):
            self.waited += 1

    said = []
    attendant = Attendant(named_app("bank-gusu"), "127.0.0.1:9", b"secret")
    attendant.attend(Stopping(), said.append)
    assert len(said) == 1
    assert said[0].startswith("the SuperNode at 127.0.0.1:9 does not answer")
