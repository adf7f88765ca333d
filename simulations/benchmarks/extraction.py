"""Score-query extraction by an insider of a bank, against a running network, without and with the query budget."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.consent.record import Purpose
from federated.errors import FederatedError, InvalidTime, QueryBudgetSpent
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.governance.weights import ScoringModel
from federated.models.served.reasons import strength_of, strongest
from federated.models.served.scaling import PDO, score_of
from federated.models.served.scorer import PartyScorer
from federated.nodes.budget import QueryBudget, default_budget
from federated.nodes.masks import mask_of, unmasked_sum
from federated.nodes.node import PartialRequest, PartialScore
from federated.privacy.attacks.made_up_scorer import read, reading_scorer
from federated.privacy.attacks.score_extraction import Bounds, as_columns, bounds_of, fitted_r2, seen_r2
from federated.serving import Network, Score, ScoreQuery
from simulations.benchmarks.scored_network import scored_network
from simulations.worlds.credit_nodes import CreditTables

BANK = "bank-gusu"
AT = datetime(2026, 11, 1, tzinfo=UTC)
UNLIMITED = QueryBudget(timedelta(days=1), 1 << 40, 1 << 40, 0.0)
# Periods that an insider who names the instants himself can pretend to have waited.
HOPS = 12
SEEN_BYTES = 2
PERIOD = default_budget().window + timedelta(days=1)
POINTS = PDO / np.log(2.0)
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Extraction:
    """On generated firms. `r2_…` of the grid company's function, on customers that were not asked about.

    Fitted by an insider of a bank who knows the electricity columns of that many customers from elsewhere. `share_r2`
    is of the shares themselves, each from one answer. `open_points_…` is how much one customer's share is left open, in
    score points, mean over customers, after that many answers under changed own files. `answered_about_one` of
    `asked_about_one` queries and `answered_over` of `asked_over` (everyone five times) fit the default budget, the
    latter with the least number a bank may always ask lowered to the size of this small network. Of
    `asked_in_one_sitting` queries about one customer, whose instants the insider makes up a period apart while no time
    passes, `answered_in_one_sitting` are answered; the default budget is `budget_about_one`. Of `columns_asked`
    customers the insider and the operator read a raw column of `columns_read`, with a version that they made up and
    nobody approved.

    `sum_r2` is how much of the grid company's logit the operator reads off the sum of both shares of `operator_rows`
    customers of all banks, half of them known to it. `reasons_gain_in_clear` is what R² rises by if both sides' reasons
    pass it with their strengths, as they did before they were sealed, and `reasons_gain_sealed` if the seals do.
    """

    firms: int
    r2_few: float
    r2_some: float
    r2_all: float
    queries_few: int
    queries_some: int
    queries_all: int
    share_r2: float
    open_points_one: float
    asked_about_one: int
    open_points_unlimited: float
    answered_about_one: int
    open_points_within_budget: float
    asked_over: int
    answered_over: int
    budget_about_one: int
    asked_in_one_sitting: int
    answered_in_one_sitting: int
    columns_asked: int
    columns_read: int
    operator_rows: int
    sum_r2: float
    reasons_gain_in_clear: float
    reasons_gain_sealed: float


@dataclass(slots=True)
class _Clock:
    """The nodes' own time."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


def measure_extraction(firms: int, repeats: int, victims: int = 5) -> Extraction:
    """Train on `firms` generated firms and attack: once about everyone, and `repeats` times about each of `victims`."""
    with tempfile.TemporaryDirectory(prefix="tanxin-extraction-") as folder:
        clock = _Clock(AT + timedelta(hours=1))
        network, tables = scored_network(Path(folder), firms, AT, clock)
        try:
            insider = _Insider(Path(folder), network, tables, clock)
            return _measure(insider, network, repeats, victims)
        finally:
            network.close()


def _measure(insider: _Insider, network: Network, repeats: int, victims: int) -> Extraction:
    rows = insider.rows
    rng = np.random.default_rng(2024)
    chosen = rng.choice(rows, victims, replace=False)
    _set_budget(network, default_budget())
    for hop in range(HOPS):
        insider.ask_as_of(int(chosen[0]), insider.clock.at + hop * PERIOD)
    hopped = insider.answered
    insider.clock.at += PERIOD
    _set_budget(network, UNLIMITED)
    columns_read = [insider.reads_column(int(row)) for row in rows]
    shares = np.array([insider.ask(int(row), [], 1).middle for row in rows])
    truth = insider.true_shares(rows)
    columns = insider.grid_values(rows)
    asked = [max(len(rows) // 20, 10), len(rows) // 4, len(rows) // 2]
    held = np.arange(len(rows)) >= asked[-1]
    r2 = [fitted_r2(columns[:k], shares[:k], columns[held], truth[held]) for k in asked]
    others = rng.permutation(rows)[: repeats - 1].tolist()
    wide = [insider.ask(int(row), others, repeats).width for row in chosen]
    # A month later nothing that was answered so far counts any more.
    insider.clock.at += PERIOD
    _set_budget(network, default_budget())
    within = []
    answered = 0
    for row in chosen:
        before = insider.answered
        within.append(insider.ask(int(row), others, repeats).width)
        answered = insider.answered - before
    insider.clock.at += PERIOD
    _set_budget(network, replace(default_budget(), per_bank_min=len(rows) // 4))
    before, all_over = insider.answered, [row for _ in range(5) for row in rows]
    for row in all_over:
        insider.ask(int(row), [], 1)
    answered_over = insider.answered - before
    one = [insider.first_width(int(row)) for row in chosen]
    insider.clock.at += PERIOD
    _set_budget(network, UNLIMITED)
    everybody = np.flatnonzero(insider.tables.joint)
    sum_r2, in_clear, sealed = _operator(insider, everybody)
    return Extraction(
        firms=len(insider.tables.subjects),
        r2_few=r2[0],
        r2_some=r2[1],
        r2_all=r2[2],
        queries_few=asked[0],
        queries_some=asked[1],
        queries_all=asked[2],
        share_r2=float(1 - np.sum((truth - shares) ** 2) / np.sum((truth - truth.mean()) ** 2)),
        open_points_one=float(np.mean(one) * POINTS),
        asked_about_one=repeats,
        open_points_unlimited=float(np.mean(wide) * POINTS),
        answered_about_one=answered,
        open_points_within_budget=float(np.mean(within) * POINTS),
        asked_over=len(all_over),
        answered_over=answered_over,
        budget_about_one=default_budget().per_subject,
        asked_in_one_sitting=HOPS * default_budget().per_subject,
        answered_in_one_sitting=hopped,
        columns_asked=len(columns_read),
        columns_read=sum(columns_read),
        operator_rows=len(everybody),
        sum_r2=sum_r2,
        reasons_gain_in_clear=in_clear - sum_r2,
        reasons_gain_sealed=sealed - sum_r2,
    )


def _operator(insider: _Insider, rows: NDArray[np.int64]) -> tuple[float, float, float]:
    """R² of the grid company's logit from the sum alone, with reasons as they are, and with their seals."""
    truth, half = insider.true_shares(rows), len(rows) // 2
    passed = [insider.passed_on(int(row)) for row in rows]
    sums = np.array([[unmasked_sum(own.share, theirs.share)] for own, theirs in passed])
    # A seal has one length and no structure: its length and first bytes stand for all of it.
    seals = np.array([[len(theirs.sealed), *theirs.sealed[:SEEN_BYTES]] for _, theirs in passed], dtype=np.float64)
    told = as_columns([insider.strengths(int(row)) for row in rows])
    in_clear, sealed = (seen_r2(np.hstack([sums, more]), truth, half) for more in (told, seals))
    return seen_r2(sums, truth, half), in_clear, sealed


def _set_budget(network: Network, budget: QueryBudget) -> None:
    for grid in network.grid_ids:
        network.grid_node(grid).set_budget(budget)


class _Insider:
    """Somebody at the bank with its model, its files and its key to the score query."""

    def __init__(self, home: Path, network: Network, tables: CreditTables, clock: _Clock) -> None:
        self.network, self.tables, self.clock, self.answered = network, tables, clock, 0
        manifest = network.champion(AT)
        self._version = manifest.version
        self._model: ScoringModel = ModelRegistry(home).load(manifest.model, manifest.version)
        ours, theirs = self._model.joint_bank, self._model.joint_grid
        if not isinstance(theirs, PartyScorer) or not isinstance(ours, PartyScorer):
            raise TypeError(f"{manifest.version} hides the function that is to be extracted")
        self._own, self._grid = ours, theirs
        self._file = home / "nodes" / f"{BANK}.db"
        self.rows = np.flatnonzero(tables.joint & (np.array(tables.bank_of) == BANK))
        self._first: dict[int, float] = {}
        registry = ModelRegistry(home)
        reads = replace(self._model, joint_grid=reading_scorer(self._grid.n_features, 0))
        made_up = registry.publish(replace(manifest, version="v0666"), reads)
        Governance(home, registry).register(made_up, self.clock.at)
        self._made_up = made_up.version

    def ask(self, row: int, borrowed: Sequence[int], times: int) -> Bounds:
        """Ask about one customer, then again under the files of `borrowed` customers; the bounds that follow."""
        scores, own = [], []
        for source in [row, *borrowed][:times]:
            values = self.tables.bank_values[source]
            if source != row or len(borrowed):
                self._write(row, values)
            score = self._query(row)
            if score is not None:
                scores.append(score)
                own.append(float(self._own.logits(self._lending(values[None, :], "bank"))[0]))
        if borrowed:
            self._write(row, self.tables.bank_values[row])
        bounds = bounds_of(scores, own, lambda logit: score_of(self._model.calibrated(logit, BANK, alone=False)))
        if scores:
            self._first.setdefault(row, bounds.width)
        return bounds

    def reads_column(self, row: int) -> bool:
        """Whether the operator, with a function that is one column, and this bank, with its masks, read that column."""
        subject, served = self.tables.subjects[row], self.tables.grid_of[row]
        asked = PartialRequest(
            BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, self.clock.at, self._made_up
        )
        try:
            answer = self.network.grid_node(served).partial(asked)
        except FederatedError:
            return False
        bank = self.network.bank_node(BANK)
        mask = mask_of(bank.mask_key(served), asked.text())
        return answer is not None and read(
            unmasked_sum(answer.share, mask), float(self.grid_values(np.array([row]))[0, 0])
        )

    def passed_on(self, row: int) -> tuple[PartialScore, PartialScore]:
        """What the bank's and the grid company's nodes give the operator of one query."""
        subject, bank_id = self.tables.subjects[row], self.tables.bank_of[row]
        purpose, version = Purpose.CREDIT_APPLICATION, self._version
        request = PartialRequest(bank_id, subject, f"CONS-{subject}", purpose, self.clock.at, version)
        theirs = self.network.grid_node(self.tables.grid_of[row]).partial(request)
        own = self.network.bank_node(bank_id).partial(request, theirs)
        if theirs is None or own is None:
            raise ArithmeticError("a node has no file of a customer of both")
        return own.passed_on, theirs

    def strengths(self, row: int) -> dict[str, float]:
        """Both sides' strongest reasons with their strengths, by side, number of the column and its band."""
        told = {}
        for role, scorer, values in (
            ("bank", self._own, self.tables.bank_values[row]),
            ("grid", self._grid, self.tables.grid_values[row]),
        ):
            read = self._lending(values[None, :], role)[0]
            _, contributions = scorer.explain(read)
            for j in strongest(contributions):
                band = None if np.isnan(read[j]) else scorer.band(j, float(read[j]))
                told[f"{role} {j} {band}"] = float(strength_of(float(contributions[j])))
        return told

    def first_width(self, row: int) -> float:
        """How much the first answer about a customer left open, in logits."""
        return self._first[row]

    def true_shares(self, rows: NDArray[np.int64]) -> Values:
        """What the insider is after: the grid company's logits of customers."""
        return self._grid.logits(self.grid_values(rows))

    def grid_values(self, rows: NDArray[np.int64]) -> Values:
        """The grid company's columns of customers."""
        return self._lending(self.tables.grid_values[rows], "grid")

    def _lending(self, values: Values, role: str) -> Values:
        return values[:, list(self.tables.schema.party(role).lending)]

    def ask_as_of(self, row: int, at: datetime) -> None:
        """Ask about one customer as often as a budget allows, saying that it is `at`, whatever the time is."""
        for second in range(default_budget().per_subject):
            self._asked(row, at + timedelta(seconds=second))

    def _query(self, row: int) -> int | None:
        self.clock.at += timedelta(seconds=1)
        return self._asked(row, self.clock.at)

    def _asked(self, row: int, at: datetime) -> int | None:
        subject = self.tables.subjects[row]
        query = ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, at)
        try:
            answer = self.network.score(query)
        except (QueryBudgetSpent, InvalidTime):
            return None
        self.answered += 1
        return answer.score if isinstance(answer, Score) else None

    def _write(self, row: int, values: Values) -> None:
        packed = np.ascontiguousarray(values, dtype="<f8").tobytes()
        with sqlite3.connect(self._file) as db:
            db.execute("UPDATE files SET features = ? WHERE subject_id = ?", (packed, self.tables.subjects[row]))
        db.close()
