"""What protecting the vertical exchange costs, and what either side can still tell of the other's rows, in one run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from flwr.clientapp import ClientApp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.categories import RawTable
from federated.models.served.metrics import metrics_of
from federated.nodes.budget import TrainingLimit
from federated.nodes.identity import Identity, fresh_identities
from federated.nodes.row_sets import RowSets, digests_of
from federated.privacy.attacks import feature_inference, label_inference
from federated.privacy.attacks.cell_counts import certain_labels, largest_chance
from federated.privacy.vertical.ring import GRADIENT_BITS, floating
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.core.session import Session
from federated.protocols.core.session_app import Opened, session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.evaluation import Counted, judged
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import FIT, HELD_OUT
from simulations.benchmarks import dealt_pairs
from simulations.benchmarks.dealt_pairs import read_together, row_read
from simulations.experiments.vertical_credit.pipeline import with_folds
from simulations.worlds.credit_nodes import CreditTables

KNOWN_SHARE = 0.05
BANK, GRID = "bank", "grid"
Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProtectedVertical:
    """Held-out AUC of one protected model, and of the same columns fitted in one place by logistic regression.

    Attacks on labels are AUC by the sole grid company with the operator (`…_raw` counts what its function says,
    `…_beyond` does not: 0.5 is nothing), from residuals in the clear, from gradients of its columns as they would be
    opened, and as they pass. `function_read` is the R² of its function, on fitted rows, by least squares from scores
    of held-out rows that the operator sorts, and `…_in_order` the same where these come in the pair's order. Attacks on
    electricity columns are the gain in R² of the bank, in the clear and protected. Of `labels_counted` rows held out
    the operator knows `labels_certain` labels for sure by all counts that it is told, taken together;
    `label_chance` is the largest share of one class in a set that is counted.

    Attacks on dealing, on made-up rows, each beside the run that has no guard (`dealt_pairs`): whether a dealer that
    makes one correction wrong reads a customer's row (`…_believed`: of sides that check no triples), and which share of
    a grid company's fitted entries the operator reads with the pair's bank, or of a bank's counted labels with one
    dealer of counts (`…_dealt_by_one`: in a run of two nodes, where there is no third to deal).
    """

    data_origin: str
    rows: int
    columns: tuple[int, int]
    protected_auc: float
    same_columns_auc: float
    shares_cost: float
    label_attack_in_clear_beyond: float
    label_attack_in_clear_raw: float
    label_attack_opened_beyond: float
    label_attack_protected_beyond: float
    function_read_in_order: float
    function_read: float
    own_function_auc: float
    feature_attack_in_clear_gain: float
    feature_attack_protected_gain: float
    labels_counted: int
    labels_certain: int
    label_chance: float
    row_read: float
    row_read_believed: float
    columns_read: float
    columns_read_dealt_by_one: float
    labels_read: float
    labels_read_dealt_by_one: float
    seconds: float
    exchanges: int
    bytes: int


class Watched(ProtectedApp):
    """A bank's node as it ships, which also writes down the gradients that come to it: of grid companies' columns
    `passed` as they pass the operator and `read` as the bank reads them, of banks' columns `ours`, and `alone` those of
    banks by themselves."""

    def __init__(self, identity: Identity, opened: Opened) -> None:
        super().__init__(identity, opened)
        self.passed: list[Matrix] = []
        self.read: list[Matrix] = []
        self.ours: list[Matrix] = []
        self.alone: list[Matrix] = []
        reading = self._lead.read

        def read(content: Content, width: int) -> Matrix:
            hidden = np.asarray(content.array("gradient"), dtype=np.uint64)
            gradient, products = reading(content, width), self._talk.state.appended
            ours, theirs = len(gradient) - len(self.weights), len(self.weights) - products
            if theirs <= 0:
                self.alone.append(gradient)
                return gradient
            self.passed.append(floating(hidden[ours : ours + theirs], GRADIENT_BITS))
            self.read.append(gradient[ours : ours + theirs])
            self.ours.append(gradient[:ours])
            return gradient

        self._lead.read = read  # type: ignore[method-assign]


@dataclass(frozen=True)
class Fitted:
    """A run over one bank and one grid company, and what each position is for.

    `node` is the bank's. `values`, `columns` and `logits` are a side's, banks first, over all positions.
    """

    run: ProtectedTraining
    node: Watched
    board: Switchboard
    seconds: float
    values: tuple[Matrix, Matrix]
    labels: Labels

    @property
    def marks(self) -> Labels:
        """What each position is for."""
        return self.run.marks[BANK, GRID]

    @cached_property
    def columns(self) -> list[Matrix]:
        """Columns (rows, width)."""
        return [_columns_of(self.run, k, values) for k, values in enumerate(self.values)]

    @cached_property
    def logits(self) -> list[Matrix]:
        """Parts of the logit (rows,): a bank's, a grid company's, and what both say together."""
        (ours, theirs), weights = self.columns, self.node.weights
        own, products = np.split(weights, [len(weights) - self.run.products])
        return [ours @ self.node.beta, theirs @ own, self.run.together(ours, theirs) @ products]

    def solved(self, counted: Counted) -> tuple[float, float]:
        """R² of the grid company's function of fitted rows, by least squares from held-out scores: in the pair's order,
        and as the operator gets them."""
        held, fit = np.flatnonzero(self.marks == HELD_OUT), self.marks == FIT
        columns, whole, scores = self.columns[1], np.sum(self.logits, axis=0), counted.logit
        truth = self.logits[1][fit]
        found = []
        for told in (whole[held], scores):
            design = np.column_stack([np.ones(len(held)), columns[held]])
            ridge = len(held) / 1_000 * np.eye(design.shape[1])
            solved = np.linalg.solve(design.T @ design + ridge, design.T @ told)
            guess = columns[fit] @ solved[1:]
            found.append(float(np.corrcoef(guess, truth)[0, 1] ** 2))
        return found[0], found[1]

    def told(self, *, hidden: bool) -> float:
        """By the guess that turns out the best one, what `guessed` says."""
        return max(self.guessed(hidden=hidden).values())

    def guessed(self, *, hidden: bool) -> dict[str, float]:
        """What the grid company and the operator tell of fitted rows' labels by gradients of the grid company's
        columns, beyond its own function, by guess: as they pass, or as the bank reads them."""
        fit, own = self.marks == FIT, self.logits[1][self.marks == FIT]
        gradients = self.node.passed if hidden else self.node.read
        guesses = label_inference.from_gradients(self.columns[1][fit], np.array(gradients), own, self.run.session.rate)
        return {name: label_inference.inferred(guess, self.labels[fit], own).beyond for name, guess in guesses.items()}


def fitted(
    tables: CreditTables,
    settings: ProtectedSettings,
    fold: int = 0,
    limit: TrainingLimit | None = None,
    memory: RowSets | None = None,
    withheld: Sequence[int] = (),
) -> Fitted:
    """Train with this fold held out. The bank has this `limit`, or none, and this `memory` of runs; the grid company
    says of the positions `withheld` that it may not use them. Raises `TooFewRows`, `RowsTooAlike`."""
    apps, bank = _apps(tables, fold, limit, memory, withheld)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=2)}))
    started = time.perf_counter()
    session = Session(board, SessionSettings(ramps=settings.ramps), lambda *_: None)
    run = ProtectedTraining(session, settings)
    run.fit()
    labels = tables.labels[tables.joint].astype(np.int64)
    return Fitted(run, bank, board, time.perf_counter() - started, _values(tables), labels)


def measure_vertical(tables: CreditTables, seed: int, most: int = 1_000_000) -> ProtectedVertical:
    """One fold, customers of both sides (at most `most`) as one bank and one grid company, protected columns left out.

    With one of either side what a side's gradient says, it says of one party's rows, which is the worst case for it.
    """
    tables = some(with_folds(tables, seed), seed, most)
    found = fitted(tables, ProtectedSettings(seed=seed))
    run, board, seconds = found.run, found.board, found.seconds
    marks, labels, values, columns, logits = found.marks, found.labels, found.values, found.columns, found.logits
    fit, held_out = marks == FIT, marks == HELD_OUT
    every, whole = [*columns, run.together(columns[0], columns[1])], np.sum(logits, axis=0)
    same = _same_columns(run.penalty(found.node.ridges), every, labels, fit, held_out)
    own, p = logits[1][fit], 1.0 / (1.0 + np.exp(-whole[fit]))
    clear = label_inference.inferred(label_inference.from_residuals(labels[fit] - p), labels[fit], own)
    of_bank = _of_width(found.node.ours, run.bases[0].width)
    bank_sees = feature_inference.from_gradients(columns[0][fit], of_bank, labels[fit])
    # Labels are the bank's own: what they say of electricity is no news to it.
    known = np.hstack([values[0], labels[:, None].astype(np.float64)])[fit]
    features = [
        feature_inference.reconstructed(known, given, values[1][fit], KNOWN_SHARE, seed)
        for given in (own[:, None], bank_sees)
    ]
    protected = metrics_of(whole[held_out], labels[held_out]).auc
    exchanges, sent = board.traffic.exchanges, board.traffic.bytes
    counted = judged(run, [], 0.0)
    solved = found.solved(counted)
    sums = counted.sums([BANK])
    together, alone = read_together((dealt_pairs.BANK, dealt_pairs.OTHER)), read_together((dealt_pairs.BANK,))
    return ProtectedVertical(
        data_origin=tables.schema.data_origin,
        rows=int(fit.sum()),
        columns=(run.bases[0].width, run.bases[1].width),
        protected_auc=protected,
        same_columns_auc=same,
        shares_cost=same - protected,
        label_attack_in_clear_beyond=clear.beyond,
        label_attack_in_clear_raw=clear.raw,
        label_attack_opened_beyond=found.told(hidden=False),
        label_attack_protected_beyond=found.told(hidden=True),
        function_read_in_order=solved[0],
        function_read=solved[1],
        own_function_auc=metrics_of(own, labels[fit]).auc,
        feature_attack_in_clear_gain=features[0].gain,
        feature_attack_protected_gain=features[1].gain,
        labels_counted=len(counted.logit),
        labels_certain=certain_labels(len(counted.logit), sums),
        label_chance=largest_chance(sums),
        row_read=row_read(checked=True),
        row_read_believed=row_read(checked=False),
        columns_read=together.columns,
        columns_read_dealt_by_one=alone.columns,
        labels_read=together.labels,
        labels_read_dealt_by_one=alone.labels,
        seconds=seconds,
        exchanges=exchanges,
        bytes=sent,
    )


def _of_width(seen: list[Matrix], width: int) -> Matrix:
    """The gradients (steps, width) that were seen of so many columns: of all that are kept, where they were chosen."""
    return np.array([gradient for gradient in seen if len(gradient) == width]).reshape(-1, width)


def some(tables: CreditTables, seed: int, most: int) -> CreditTables:
    """The same tables with at most `most` customers whom both sides know, drawn by `seed`."""
    shared = np.flatnonzero(tables.joint)
    kept = np.random.default_rng(seed).permutation(shared)[:most]
    trains = np.zeros(len(tables.trains), dtype=np.bool_)
    trains[kept] = True
    return replace(tables, trains=trains)


def _columns_of(run: ProtectedTraining, k: int, values: Matrix) -> Matrix:
    return np.asarray(run.bases[k].columns(values), dtype=np.float64)


def _values(tables: CreditTables) -> tuple[Matrix, Matrix]:
    bank, grid = tables.schema.bank, tables.schema.grid
    own = (tables.bank_values[tables.joint], tables.grid_values[tables.joint])
    return own[0][:, list(bank.lending)], own[1][:, list(grid.lending)]


def _apps(
    tables: CreditTables, fold: int, limit: TrainingLimit | None, memory: RowSets | None, withheld: Sequence[int]
) -> tuple[list[ClientApp], Watched]:
    """One bank and one grid company over all customers whom both know, in the same order."""
    bank, grid = _values(tables)
    here, usable = np.arange(len(bank)), np.arange(len(bank))
    usable[list(withheld)] = -1
    folds = tables.folds[tables.joint]
    labels = tables.labels[tables.joint].astype(np.int64)
    raw = [RawTable(tuple(str(j) for j in range(v.shape[1])), v, {}) for v in (bank, grid)]
    of_bank = BankRows(BANK, raw[0], labels, folds != fold, folds == fold, {GRID: here})
    if limit is not None:
        own = {of: getattr(limit, of) for of in ("least_rows", "least_apart")}
        of_bank = replace(of_bank, **own)
    if memory is not None:
        digests = digests_of([s for s, joint in zip(tables.subjects, tables.joint, strict=True) if joint])
        of_bank = replace(of_bank, digests=digests, row_sets=memory)
    rows: dict[str, BankRows | GridRows] = {BANK: of_bank, GRID: GridRows(GRID, raw[1], {BANK: usable})}
    known = fresh_identities(rows, {BANK: BANK, GRID: GRID})

    (bank_app, bank_opened), (grid_app, grid_opened) = (session_app(rows[name]) for name in (BANK, GRID))
    watched = Watched(known[BANK], bank_opened)
    watched.add_to(bank_app)
    ProtectedApp(known[GRID], grid_opened).add_to(grid_app)
    return [bank_app, grid_app], watched


def _same_columns(ridges: Matrix, columns: list[Matrix], labels: Labels, training: Mask, held: Mask) -> float:
    """Held-out AUC of the same columns and ridges fitted in one place."""
    root = np.sqrt(ridges)
    scaled = np.hstack(columns) / root
    pooled = LogisticRegression(C=1.0, fit_intercept=False, max_iter=2_000).fit(scaled[training], labels[training])
    return metrics_of(np.asarray(scaled[held] @ pooled.coef_[0]), labels[held]).auc
