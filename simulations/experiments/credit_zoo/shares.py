"""The protected default on one fold of a bench table, as `tanxin train` trains it: on shares and secure sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.categories import RawTable
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import MIDDLES
from federated.models.served.metrics import ScoreHistogram
from federated.nodes.identity import fresh_identities
from federated.protocols.core.cost import Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.core.session import Progress, Session
from federated.protocols.core.session_app import session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.candidate import calibration_of
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings
from simulations.experiments.credit_zoo.datasets import BenchTable

Json = dict[str, Any]
Mask = NDArray[np.bool_]
CUT_OFF = 0.0
SEED, BANKS, GRIDS = 2024, 3, 2


def protected_figures(table: BenchTable, held_out: Mask, settings: ProtectedSettings, progress: Progress) -> Json:
    """Figures of the joint model and of its companion without grid companies, on the same held-out rows.

    Customers are dealt at random to three banks and two grid companies, as `tanxin train` deals them. Whoever measures
    here holds all rows, so the model's own logits are ranked. They are calibrated once other folds were measured
    (`calibrated`): to that end `scored` and `told` are counts by logit, as they are and as the protocol tells them.
    Raises `FederatedError`.
    """
    apps, nodes = _apps(table, held_out)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=2)}))
    return {
        name: _fitted(board, nodes, table, held_out, settings, progress, joint)
        for name, joint in (("protected", 1), ("protected_bank_only", 0))
    }


def _apps(table: BenchTable, held_out: Mask) -> tuple[list[ClientApp], dict[str, ProtectedApp]]:
    rng, rows = np.random.default_rng(SEED), len(table.labels)
    of_bank, of_grid = (rng.permutation(rows) % count for count in (BANKS, GRIDS))
    own = [np.flatnonzero(of_bank == b) for b in range(BANKS)]
    # A grid company's rows are in an order of its own.
    theirs = [rng.permutation(np.flatnonzero(of_grid == g)) for g in range(GRIDS)]
    places = [np.argsort(rows_of) for rows_of in theirs]
    sources: dict[str, BankRows | GridRows] = {}
    for b, mine in enumerate(own):
        peers = {f"grid-{g}": np.flatnonzero(of_grid[mine] == g) for g in range(GRIDS)}
        held = held_out[mine]
        sources[f"bank-{b}"] = BankRows(f"bank-{b}", _taken(table.holder, mine), table.labels[mine], ~held, held, peers)
    for g, mine in enumerate(theirs):
        order = places[g]
        sorted_bank = of_bank[mine[order]]
        back = {f"bank-{b}": order[sorted_bank == b] for b in range(BANKS)}
        sources[f"grid-{g}"] = GridRows(f"grid-{g}", _taken(table.other, mine), back)
    roles = {name: "bank" if isinstance(source, BankRows) else "grid" for name, source in sources.items()}
    known, apps, nodes = fresh_identities(sources, roles), [], {}
    for name, source in sources.items():
        app, opened = session_app(source)
        nodes[name] = ProtectedApp(known[name], opened)
        nodes[name].add_to(app)
        apps.append(app)
    return apps, nodes


def _taken(table: RawTable, rows: NDArray[np.int64]) -> RawTable:
    return RawTable(table.columns, table.numbers[rows], {j: cells[rows] for j, cells in table.words.items()})


def _fitted(
    board: Switchboard,
    nodes: dict[str, ProtectedApp],
    table: BenchTable,
    held_out: Mask,
    settings: ProtectedSettings,
    progress: Progress,
    joint: int,
) -> Json:
    meter = Meter(board)
    session = Session(board, SessionSettings(ramps=settings.ramps), progress, {"joint": joint})
    run = ProtectedTraining(session, settings)
    run.fit()
    told = judged(run, (), CUT_OFF).expected()
    cost = meter.cost()
    coefficients = [nodes[run.lead].beta, *([nodes[run.lead].weights] if joint else [])]
    logits, labels = _logits(run, table, coefficients)[held_out], table.labels[held_out]
    counts = {"scored": _cells(ScoreHistogram.of(logits, labels)), "told": _cells(told)}
    return (
        judged_figures(logits, labels)
        | counts
        | {"seconds": cost.seconds, "exchanges": cost.exchanges, "bytes": cost.bytes}
    )


def _cells(counted: ScoreHistogram) -> Json:
    return {name: array.tolist() for name, array in counted.cells().items()}


def calibrated(folds: Sequence[Json]) -> list[Json]:
    """Figures of one model's folds, each calibrated by what the protocol tells of the others, as in `tanxin train`: the
    line that is served is fitted on all of them. One fold alone is as it is."""
    told = [_counted(fold["told"]) for fold in folds]
    found = []
    for number, fold in enumerate(folds):
        line, scored = calibration_of([*told[:number], *told[number + 1 :]]), _counted(fold["scored"])
        cells = np.flatnonzero(scored.counts.sum(axis=0))
        counted = ScoreHistogram.weighted(line(np.asarray(MIDDLES[cells], dtype=np.float64)), *scored.counts[:, cells])
        figures = {"brier": counted.metrics().brier, "ece": counted.ece(), "bins": counted.by_mass().tolist()}
        found.append({name: value for name, value in fold.items() if name not in ("scored", "told")} | figures)
    return found


def _counted(cells: Json) -> ScoreHistogram:
    return ScoreHistogram.from_cells({name: np.array(values) for name, values in cells.items()})


def judged_figures(logits: FloatArray, labels: NDArray[np.int64]) -> Json:
    """Figures of held-out rows, and rows, defaults and summed probability in `bins`, which are added up over folds."""
    counted = ScoreHistogram.of(logits, labels)
    return asdict(counted.metrics()) | {"bins": counted.by_mass().tolist()}


def _logits(run: ProtectedTraining, table: BenchTable, coefficients: list[FloatArray]) -> FloatArray:
    columns = [
        basis.columns(side.categories.expand(raw)).astype(np.float64)
        for basis, side, raw in zip(run.bases, run.session.sides, (table.holder, table.other), strict=False)
    ]
    parts = [own @ beta[: own.shape[1]] for own, beta in zip(columns, coefficients, strict=True)]
    if run.joint and run.products:
        parts.append(run.together(columns[0], columns[1]) @ coefficients[1][-run.products :])
    return np.asarray(np.sum(parts, axis=0))
