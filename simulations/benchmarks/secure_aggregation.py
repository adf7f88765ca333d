"""CPU seconds of one round: ours against Flower's SecAgg+, same clients, vectors, shares and dropouts, one process.

And what operators get who do not follow the protocol, with the guards that nodes have and without them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext, SimpleClientManager
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.nodes.identity import Identity, fresh_identities
from federated.privacy.attacks.secure_sums import by_two_lists, ground_by_choice, ground_by_nonce
from federated.privacy.secure_aggregation.messages import Plan
from federated.protocols.core.messages import Content, Switchboard, named_app
from federated.protocols.core.secure_sum import add_secure_sum, secure_sum
from simulations.benchmarks.named_sets import BANKS, GRIDS, opened_by_naming

Vectors = NDArray[np.float64]
CROWD, ROUNDS = tuple(f"node-{i:02d}" for i in range(60)), 24


@dataclass(frozen=True, slots=True)
class AggregationCost:
    """CPU seconds of a round each way, Flower's over ours, and the largest error of either against the plain mean.

    Attacks, each beside the same one on nodes that do without the guard: the share of a vector that one colluder opens
    by signing two lists of survivors; the share of one bank's Gram matrix that the operator opens by naming this bank
    and a grid company, which colludes (without the guard it need not); and how many of a party's 10 neighbours collude
    where 6 of 60 parties do and one of them looks for a better nonce (without the guard: the operator for a better id).
    """

    clients: int
    parameters: int
    shares: int
    threshold: int
    dropouts: int
    ours_cpu_s: float
    flower_cpu_s: float
    flower_over_ours: float
    ours_error: float
    ours_error_bound: float
    flower_error: float
    two_lists_opened: float
    two_lists_opened_unclaimed: float
    named_set_opened: float
    named_set_opened_unguarded: float
    ground_neighbours: float
    ground_neighbours_by_choice: float


def measure_aggregation(
    clients: int = 100, parameters: int = 4_000, shares: int = 15, threshold: int = 9, dropout: float = 0.1
) -> AggregationCost:
    """One round each. A share of the clients drops out after keys were shared and before vectors are sent."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    vectors = np.random.default_rng(0).uniform(-1.0, 1.0, size=(clients, parameters))
    dropped = set(range(0, clients, max(1, round(1 / dropout)))) if dropout else set()
    alive = [i for i in range(clients) if i not in dropped]
    mean = vectors[alive].mean(axis=0)
    # Flower counts the own share among the shares, so each client has shares − 1 neighbours.
    ours, ours_mean = _ours(vectors, dropped, shares - 1, threshold)
    flower, flower_mean = _flower(vectors, dropped, shares, threshold)
    return AggregationCost(
        clients=clients,
        parameters=parameters,
        shares=shares,
        threshold=threshold,
        dropouts=len(dropped),
        ours_cpu_s=ours,
        flower_cpu_s=flower,
        flower_over_ours=flower / ours,
        ours_error=float(np.abs(ours_mean - mean).max()),
        ours_error_bound=2.0**-25,
        flower_error=float(np.abs(flower_mean - mean).max()),
        # Five parties as in the sandbox: the least threshold that stands a colluder, and one that claims to stand none.
        two_lists_opened=_opened_by_two_lists(threshold=4, claimed=1),
        two_lists_opened_unclaimed=_opened_by_two_lists(threshold=3, claimed=0),
        named_set_opened=opened_by_naming(GRIDS),
        named_set_opened_unguarded=opened_by_naming(BANKS + GRIDS),
        ground_neighbours=float(np.mean([_ground(number) for number in range(ROUNDS)])),
        ground_neighbours_by_choice=float(ground_by_choice(CROWD, frozenset(CROWD[-6:]), 10, 500)),
    )


def _opened_by_two_lists(threshold: int, claimed: int) -> float:
    """The share (0 … 1) of the first of five vectors that the operator and one colluder read."""
    vectors = {f"node-{i}": row for i, row in enumerate(np.random.default_rng(1).uniform(-1.0, 1.0, (5, 200)))}
    found = by_two_lists(vectors, threshold, claimed, 1)
    return 0.0 if found is None else float(np.isclose(found, vectors["node-0"], atol=1e-6).mean())


def _ground(number: int) -> int:
    return ground_by_nonce(CROWD, frozenset(CROWD[-6:]), Plan(number.to_bytes(16, "big"), 10, 8, 4, 24), 50)


def _clocked(run: Callable[[], Vectors]) -> tuple[float, Vectors]:
    started = time.process_time()
    result = run()
    return time.process_time() - started, result


def _ours(vectors: Vectors, dropped: set[int], degree: int, threshold: int) -> tuple[float, Vectors]:
    count, length = vectors.shape
    known = fresh_identities(f"client-{i}" for i in range(count))
    apps = [_party_app(identity, vectors[i]) for i, identity in enumerate(known.values())]
    # Gone when vectors are asked for: keys were advertised and shared by then.
    seats = {
        i + 2: Seat(_Leaving(app, "query.secure_mask", 1) if i in dropped else app, {}) for i, app in enumerate(apps)
    }
    board = Switchboard(InProcessGrid(seats))
    board.introduce()

    def run() -> Vectors:
        total, survivors = secure_sum(board, list(known), length + 1, degree, threshold, Content())
        if total[-1] != len(survivors):
            raise ArithmeticError("the masked count is not the number of survivors")
        return np.asarray(total[:-1] / total[-1])

    return _clocked(run)


class _Leaving(ClientApp):
    """An app whose client is gone from the `last`-th message of a kind on."""

    def __init__(self, app: ClientApp, kind: str, last: int) -> None:
        super().__init__()
        self._app, self._kind, self._left = app, kind, last

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer until it is time to go."""
        self._left -= message.metadata.message_type.startswith(self._kind)
        if self._left <= 0:
            raise ConnectionError("this client has dropped out")
        return self._app(message, context)


def _party_app(identity: Identity, vector: Vectors) -> ClientApp:
    app = named_app(identity.name)
    add_secure_sum(app, identity, lambda _: np.append(vector, 1.0))
    return app


def _flower(vectors: Vectors, dropped: set[int], shares: int, threshold: int) -> tuple[float, Vectors]:
    count, _ = vectors.shape
    apps = [_flower_app(vector) for vector in vectors]
    seats = {i + 2: Seat(_Leaving(app, "train", 3) if i in dropped else app, {}) for i, app in enumerate(apps)}
    grid = InProcessGrid(seats)
    manager = SimpleClientManager()
    for node_id in seats:
        manager.register(GridClientProxy(node_id=node_id, grid=grid, run_id=grid.run.run_id))
    strategy = FedAvg(fraction_fit=1.0, min_fit_clients=count, min_available_clients=count, accept_failures=True)
    plain = Context(grid.run.run_id, 1, {}, RecordDict(), {})
    context = LegacyContext(plain, strategy=strategy, client_manager=manager)
    start = ndarrays_to_parameters([np.zeros(vectors.shape[1])])
    context.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(start, True)
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
    workflow = SecAggPlusWorkflow(shares, threshold, clipping_range=2.0, max_weight=1)

    def run() -> Vectors:
        workflow(grid, context)
        record = context.state.array_records[MAIN_PARAMS_RECORD]
        (mean,) = parameters_to_ndarrays(compat.arrayrecord_to_parameters(record, True))
        return np.asarray(mean, dtype=np.float64)

    return _clocked(run)


def _flower_app(vector: Vectors) -> ClientApp:
    app = ClientApp(mods=[secaggplus_mod])

    @app.train()
    def train(message: Message, _: Context) -> Message:
        result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([vector]), 1, {})
        return Message(compat.fitres_to_recorddict(result, False), reply_to=message)

    return app
