import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import CorruptData, TrainingFailed
from federated.protocols.core.messages import Content, Switchboard, answering, pack


def counting_app(target, examples):
    app = ClientApp()

    @app.train()
    def train(message, context):
        weights = message.content["arrays"].to_numpy_ndarrays()
        context.state["seen"] = MetricRecord({"rounds": context.state.get("seen", {"rounds": 0})["rounds"] + 1})
        moved = ArrayRecord([weights[0] + (target - weights[0]) * 0.5])
        message.content["arrays"] = ArrayRecord([np.full(2, np.nan)])
        metrics = MetricRecord({"num-examples": examples, "rounds": context.state["seen"]["rounds"]})
        return Message(RecordDict({"arrays": moved, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, _):
        weights = message.content["arrays"].to_numpy_ndarrays()
        metrics = MetricRecord({"num-examples": examples, "distance": float(abs(weights[0] - target).max())})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def test_a_stock_strategy_runs_unchanged():
    grid = InProcessGrid({2: Seat(counting_app(1.0, 10), {}), 3: Seat(counting_app(3.0, 30), {})})
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=1.0, min_available_nodes=2)
    result = strategy.start(grid, ArrayRecord([np.zeros(2)]), num_rounds=6)
    weights = result.arrays.to_numpy_ndarrays()[0]
    # Each round halves the distance to the mean of the targets, weighted by examples: (10·1 + 30·3) / 40.
    assert np.allclose(weights, 2.5 * (1 - 0.5**6))
    assert result.train_metrics_clientapp[6]["rounds"] == 6


def test_messages_are_copied_and_errors_become_replies():
    app = ClientApp()

    @app.query("spoil")
    def spoil(message, _):
        message.content["config"]["x"] = 2
        raise ValueError("boom")

    grid = InProcessGrid({2: Seat(app, {})})
    content = RecordDict({"config": ConfigRecord({"x": 1})})
    messages = [Message(content, 2, "query.spoil"), Message(content, 9, "query.spoil")]
    replies = grid.send_and_receive(messages)
    assert content["config"]["x"] == 1
    assert [r.has_error() for r in replies] == [True, True]
    assert "boom" in replies[0].error.reason
    assert [r.metadata.reply_to_message_id for r in replies] == [m.metadata.message_id for m in messages]
    assert list(grid.pull_messages([messages[0].metadata.message_id])) == []


def board_of(handler):
    app = ClientApp()

    @app.query("hello")
    @answering
    def hello(_, __):
        return Content(config={"org_id": "bank-gusu"})

    app.query("act")(handler)
    board = Switchboard(InProcessGrid({2: Seat(app, {})}))
    board.introduce()
    return board


def test_a_refusal_keeps_its_code_and_names_the_node():
    @answering
    def refuse(_, __):
        raise CorruptData("column x1 is empty")

    with pytest.raises(CorruptData, match="bank-gusu refused: column x1 is empty"):
        board_of(refuse).ask("query.act", {"bank-gusu": Content()})


def test_a_crash_and_non_finite_numbers_name_the_node():
    def crash(_, __):
        raise MemoryError("out of memory")

    with pytest.raises(TrainingFailed, match="bank-gusu failed: MemoryError"):
        board_of(crash).ask("query.act", {"bank-gusu": Content()})

    @answering
    def spoiled(_, __):
        return Content({"weights": np.array([1.0, np.inf])})

    with pytest.raises(TrainingFailed, match="bank-gusu returned non-finite numbers in weights"):
        board_of(spoiled).ask("query.act", {"bank-gusu": Content()})


def test_traffic_is_counted_both_ways():
    @answering
    def echo(content, _):
        return content

    board = board_of(echo)
    before = board.traffic.exchanges, board.traffic.bytes
    board.ask("query.act", {"bank-gusu": Content({"v": np.zeros(1_000)})})
    assert board.traffic.exchanges == before[0] + 1
    assert board.traffic.bytes - before[1] >= 2 * 8_000
    assert pack(Content({"v": np.zeros(3)})).array_records["arrays"]["v"].numpy().tolist() == [0, 0, 0]
