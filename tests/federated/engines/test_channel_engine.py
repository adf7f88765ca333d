"""Nodes behind a channel of bytes: the same runs as in one process, each message answered once, whatever gets lost."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from test_in_process_engine import counting_app

from federated.engines.answering import to_bytes, with_id
from federated.engines.channel import ChannelGrid
from federated.engines.in_process import InProcessGrid, Seat
from federated.engines.seat import IDLE_S, RunSeat
from federated.errors import ChannelRefused, NodeUnavailable, RunLost, TrainingFailed
from federated.protocols.core.messages import Content, Switchboard, answering, named_app, pack

RUN = bytes(16)


class Behind:
    """A seat that an operator reaches over a line: `lost` says of how many of the next answers it loses."""

    def __init__(self, seat, operator="operator"):
        self.seat, self.operator, self.lost, self.sent = seat, operator, 0, []

    def begin(self, run):
        self.seat.begin(run, self.operator)

    def answer(self, run, number, message):
        self.sent.append((run, number, message))
        told = self.seat.answer(run, self.operator, number, message)
        if self.lost:
            self.lost -= 1
            raise NodeUnavailable("the line broke")
        return told


def counter():
    """An app that counts how often it was asked."""
    app, seen = named_app("bank-gusu"), []

    @app.query("add")
    @answering
    def add(content, _):
        seen.append(content.number("x"))
        return Content(config={"sum": float(sum(seen))})

    return app


@pytest.fixture
def seat():
    # Flower makes messages within a run.
    InProcessGrid({})
    return RunSeat("bank-gusu", counter)


def asked(x=1.0, action="query.add"):
    return to_bytes(with_id(Message(pack(Content(config={"x": x})), 2, action)))


def test_a_stock_strategy_comes_to_the_same_arrays_as_in_one_process():
    targets = {2: (1.0, 10), 3: (3.0, 30)}
    here = InProcessGrid({node: Seat(counting_app(*of), {}) for node, of in targets.items()})
    apart = ChannelGrid(
        {node: Behind(RunSeat(f"{node}", lambda of=of: counting_app(*of))) for node, of in targets.items()}
    )
    found = []
    for grid in (here, apart):
        strategy = FedAvg(fraction_train=1.0, fraction_evaluate=1.0, min_available_nodes=2)
        result = strategy.start(grid, ArrayRecord([np.zeros(2)]), num_rounds=6)
        assert result.train_metrics_clientapp[6]["rounds"] == 6
        found.append(result.arrays.to_numpy_ndarrays()[0])
    apart.close()
    assert np.array_equal(*found)


def test_an_answer_that_was_lost_is_asked_for_again_and_computed_once(seat, monkeypatch):
    monkeypatch.setattr("federated.engines.channel.AGAIN_S", 0.0)
    line, said = Behind(seat), []
    grid = ChannelGrid({2: line}, waiting=said.append)
    board = Switchboard(grid)
    board.introduce()
    line.lost = 3
    assert board.ask("query.add", {"bank-gusu": Content(config={"x": 1.0})})["bank-gusu"].number("sum") == 1.0
    assert board.ask("query.add", {"bank-gusu": Content(config={"x": 2.0})})["bank-gusu"].number("sum") == 3.0
    assert [number for _, number, _ in line.sent] == [1, 2, 2, 2, 2, 3]
    assert said == ["the line broke"] * 3
    grid.close()


def test_a_node_that_stays_away_has_failed(seat):
    line = Behind(seat)
    grid = ChannelGrid({2: line}, patience_s=0.0)
    line.lost = 1
    with pytest.raises(TrainingFailed, match="the line broke"):
        Switchboard(grid).introduce()
    grid.close()


def test_a_process_that_began_anew_has_lost_the_run(seat):
    line = Behind(seat)
    grid = ChannelGrid({2: line})
    board = Switchboard(grid)
    board.introduce()
    line.seat = RunSeat("bank-gusu", counter)
    with pytest.raises(TrainingFailed, match="takes part in no such run"):
        board.ask("query.add", {"bank-gusu": Content(config={"x": 1.0})})
    grid.close()


def test_replayed_and_reordered_messages_are_refused(seat):
    seat.begin(RUN, "operator")
    first, second = asked(1.0), asked(5.0)
    told = seat.answer(RUN, "operator", 1, first)
    assert seat.answer(RUN, "operator", 1, first) == told
    with pytest.raises(ChannelRefused, match="another message came under a number that was answered"):
        seat.answer(RUN, "operator", 1, second)
    for number in (0, 3, -1):
        with pytest.raises(ChannelRefused, match=r"message -?\d+ follows message 1"):
            seat.answer(RUN, "operator", number, second)
    seat.answer(RUN, "operator", 2, second)
    with pytest.raises(ChannelRefused, match="message 1 follows message 2"):
        seat.answer(RUN, "operator", 1, first)


def test_a_run_is_of_the_operator_that_began_it(seat):
    now = [0.0]
    seat = RunSeat("bank-gusu", counter, lambda: now[0])
    with pytest.raises(RunLost):
        seat.answer(RUN, "operator", 1, asked())
    seat.begin(RUN, "operator")
    with pytest.raises(RunLost):
        seat.answer(RUN, "another", 1, asked())
    with pytest.raises(RunLost):
        seat.answer(bytes(15) + b"1", "operator", 1, asked())
    with pytest.raises(ChannelRefused, match="takes part in a run of operator"):
        seat.begin(bytes(16), "another")
    now[0] = IDLE_S
    seat.begin(bytes(15) + b"2", "another")
    with pytest.raises(RunLost):
        seat.answer(RUN, "operator", 1, asked())


@pytest.mark.parametrize("spoilt", [lambda _: b"", lambda _: b"\xff" * 40, lambda raw: raw[:20], lambda raw: raw[:-3]])
def test_what_is_no_message_is_refused_and_takes_no_number(seat, spoilt):
    seat.begin(RUN, "operator")
    with pytest.raises(ChannelRefused):
        seat.answer(RUN, "operator", 1, spoilt(asked()))
    assert seat.answer(RUN, "operator", 1, asked())


def test_an_action_that_nobody_declared_is_refused(seat):
    seat.begin(RUN, "operator")
    with pytest.raises(ChannelRefused, match=r"bank-gusu does not answer query\.step"):
        seat.answer(RUN, "operator", 1, asked(action="query.step"))


def test_a_seat_that_answers_another_message_has_failed():
    class Confused(Behind):
        def answer(self, run, number, message):
            del message
            return super().answer(run, number, asked())

    app = ClientApp()

    @app.query("add")
    def add(message, _):
        return Message(RecordDict(), reply_to=message)

    grid = ChannelGrid({2: Confused(RunSeat("bank-gusu", lambda: app))})
    (reply,) = grid.send_and_receive([Message(pack(Content(config={"x": 1.0})), 2, "query.add")])
    assert reply.has_error()
    assert "a reply to another message" in reply.error.reason
    grid.close()
