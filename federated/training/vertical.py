"""The vertical loop: banks' block, residuals to grid companies, their block, partial logits back, validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding import RampEncoder
from federated.models.metrics import Metrics, ScoreHistogram
from federated.models.networks import initial_weights
from federated.models.party import PartyModel, Weights
from federated.models.sketch import QuantileSketch, merge
from federated.nodes.schema import FeatureSchema
from federated.training.messages import Arrays, Content, Switchboard, prefixed
from federated.training.plan import encoder_arrays
from federated.training.settings import TrainingSettings
from federated.training.strategy import BlockAverage

Progress = Callable[[str, int, float], None]


@dataclass(frozen=True, slots=True)
class FoldModel:
    """What one fold yields: three functions, their held-out metrics, and how many rounds each phase kept."""

    fold: int
    joint_bank: PartyModel
    joint_grid: PartyModel
    bank_only: PartyModel
    joint_metrics: Metrics
    bank_only_metrics: Metrics
    joint_rounds: int
    bank_only_rounds: int


class VerticalTraining:
    """Trains the bank-only companion and the joint model of one fold. Every number crosses a message."""

    def __init__(
        self,
        switchboard: Switchboard,
        *,
        banks: Sequence[str],
        grids: Sequence[str],
        schema: FeatureSchema,
        settings: TrainingSettings,
        progress: Progress,
    ) -> None:
        self._board = switchboard
        self._banks = BlockAverage(switchboard, banks)
        self._grids = BlockAverage(switchboard, grids)
        self._schema = schema
        self._settings = settings
        self._progress = progress
        self.seconds_bank_only = 0.0

    def run(self, fold: int, at_us: int) -> FoldModel:
        """Train on all folds but `fold`. Raises `TrainingFailed` or what a node refuses with."""
        prior = self._open(fold, at_us)
        bank_encoder, grid_encoder = self._encoders(at_us)
        s = self._settings
        bank_start = initial_weights(bank_encoder.width, s.hidden, s.members, prior, s.seed * 10 + fold)
        grid_start = initial_weights(grid_encoder.width, s.hidden, s.members, 0.0, s.seed * 10 + fold + 5)
        started = time.perf_counter()
        bank_only, bank_only_rounds = self._train_bank_only(bank_start)
        self.seconds_bank_only = time.perf_counter() - started
        bank, grid, rounds = self._train_joint(bank_start, grid_start)
        joint_metrics, bank_only_metrics = self._held_out(bank, grid, bank_only)
        return FoldModel(
            fold,
            PartyModel(bank_encoder, bank),
            PartyModel(grid_encoder, grid),
            PartyModel(bank_encoder, bank_only),
            joint_metrics,
            bank_only_metrics,
            rounds,
            bank_only_rounds,
        )

    def _open(self, fold: int, at_us: int) -> float:
        s = self._settings
        config = {"fold": fold, "at_us": at_us, "seed": s.seed, "validation_share": s.validation_share}
        opened = self._board.ask("query.open", {org: Content(config=config) for org in self._banks.orgs})
        self._masks = {org: content.under("training") for org, content in opened.items()}
        rows = sum(content.integer("rows") for content in opened.values())
        rate = sum(content.integer("defaults") for content in opened.values()) / rows
        return float(np.log(rate / (1.0 - rate)))

    def _encoders(self, at_us: int) -> tuple[RampEncoder, RampEncoder]:
        encoders = []
        requests: tuple[tuple[BlockAverage, Mapping[str, Arrays]], ...] = (
            (self._banks, {}),
            (self._grids, self._to_grids("training", self._masks)),
        )
        for block, extras in requests:
            party = self._schema.bank if block is self._banks else self._schema.grid
            asked = {org: Content(extras.get(org, {}), {"at_us": at_us}) for org in block.orgs}
            answers = self._board.ask("query.sketch", asked).values()
            sketches = [
                QuantileSketch(
                    np.asarray(a.arrays["sketch_counts"], float), np.asarray(a.arrays["sketch_points"], float)
                )
                for a in answers
            ]
            encoder = merge(sketches, self._settings.bins, party.columns, party.role)
            prepared = prefixed("encoder", encoder_arrays(encoder))
            self._board.ask("query.prepare", {org: Content(prepared) for org in block.orgs})
            encoders.append(encoder)
        return encoders[0], encoders[1]

    def _to_grids(self, name: str, by_bank: Mapping[str, Arrays]) -> dict[str, Arrays]:
        """Turn vectors keyed bank → grid into messages keyed grid → `name`/bank."""
        return {
            grid: {f"{name}/{bank}": vectors[grid] for bank, vectors in by_bank.items() if grid in vectors}
            for grid in self._grids.orgs
        }

    def _to_banks(self, by_grid: Mapping[str, Content]) -> dict[str, Arrays]:
        return {
            bank: {
                f"logits/{grid}": content.arrays[bank] for grid, content in by_grid.items() if bank in content.arrays
            }
            for bank in self._banks.orgs
        }

    def _fit_config(self, number: int, epochs: int, basis: str) -> dict[str, int | float | str]:
        s = self._settings
        return {
            "epochs": epochs,
            "learning_rate": s.learning_rate * s.learning_rate_decay ** (number - 1),
            "weight_decay": s.weight_decay,
            "dropout": s.dropout,
            "batch": s.batch,
            "fit_seed": s.seed * 1_000 + number,
            "basis": basis,
        }

    def _train_bank_only(self, start: Weights) -> tuple[Weights, int]:
        s = self._settings
        self._banks.extras = {}
        best, best_loss, best_round, weights = start, np.inf, 0, start
        for number in range(1, s.max_rounds + 1):
            weights = self._banks.train_round(number, weights, self._fit_config(number, s.bank_epochs, "bank_only"))
            loss = self._banks.validation_loss(number, weights, {"basis": "bank_only"})
            self._progress("bank_only", number, loss)
            if loss < best_loss - 1e-5:
                best, best_loss, best_round = weights, loss, number
            elif number - best_round >= s.patience:
                break
        return best, best_round

    def _train_joint(self, bank: Weights, grid: Weights) -> tuple[Weights, Weights, int]:
        s = self._settings
        best, best_loss, best_round = (bank, grid), np.inf, 0
        for number in range(1, s.max_rounds + 1):
            bank = self._banks.train_round(number, bank, self._fit_config(number, s.bank_epochs, "joint"))
            self._send_residuals(bank)
            grid = self._grids.train_round(number, grid, self._fit_config(number, s.grid_epochs, "joint"))
            self._banks.extras = self._to_banks(self._partial(grid))
            loss = self._banks.validation_loss(number, bank, {"basis": "joint"})
            self._banks.extras = {}
            self._progress("joint", number, loss)
            if loss < best_loss - 1e-5:
                best, best_loss, best_round = (bank, grid), loss, number
            elif number - best_round >= s.patience:
                break
        return *best, best_round

    def _send_residuals(self, bank: Weights) -> None:
        content = Content(prefixed("weights", bank))
        answers = self._board.ask("query.residuals", dict.fromkeys(self._banks.orgs, content))
        residuals = self._to_grids("residuals", {org: a.under("residuals") for org, a in answers.items()})
        curvature = self._to_grids("curvature", {org: a.under("curvature") for org, a in answers.items()})
        self._grids.extras = {org: residuals[org] | curvature[org] for org in self._grids.orgs}

    def _partial(self, grid: Weights) -> dict[str, Content]:
        content = Content(prefixed("weights", grid))
        return self._board.ask("query.partial", dict.fromkeys(self._grids.orgs, content))

    def _held_out(self, bank: Weights, grid: Weights, bank_only: Weights) -> tuple[Metrics, Metrics]:
        logits = self._to_banks(self._partial(grid))
        weights = prefixed("joint", bank) | prefixed("bank_only", bank_only)
        requests = {org: Content(weights | logits[org]) for org in self._banks.orgs}
        answers = list(self._board.ask("evaluate.held_out", requests).values())
        joint, alone = (_merged(answers, basis) for basis in ("joint", "bank_only"))
        return joint, alone


def _merged(answers: Sequence[Content], basis: str) -> Metrics:
    total: ScoreHistogram | None = None
    for content in answers:
        histogram = ScoreHistogram.from_cells(content.under(basis))
        total = histogram if total is None else total + histogram
    if total is None:
        raise TrainingFailed("no bank evaluated held-out rows")
    return total.metrics()
