"""The operator's side of a session: who takes part, on how many rows, and the bins and ramps that all agree on.

The operator holds no rows. A vertical protocol begins with a session; what is then learnt is the protocol's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from flwr.serverapp import Grid

from federated.errors import CorruptData, NoOverlap, SchemaMismatch, TrainingFailed
from federated.models.encoding.binning import Binning, merge_bins, merged_quantiles
from federated.models.encoding.categories import CategoryMap, merge_levels
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.sketch import QuantileSketch
from federated.models.served.scorer import BAND_RANKS
from federated.protocols.core.encoders import binning_arrays, encoder_arrays
from federated.protocols.core.messages import Arrays, Content, Switchboard, Values, prefixed
from federated.protocols.core.session_app import levels_in
from federated.protocols.core.settings import SessionSettings

Config = dict[str, Values]
LEAST_RAMPS, MOST_COLUMNS = 8, 400
# Ranks between which random trees may split a feature.
SPLITS = 64
# What trains, the round's number, and its loss where the operator learns one.
Progress = Callable[[str, int, float | None], None]


@dataclass
class Side:
    """All nodes of one kind: their columns, and agreed bins and ramps."""

    role: str
    orgs: tuple[str, ...]
    columns: tuple[str, ...]
    categories: CategoryMap = field(default_factory=lambda: CategoryMap((), {}))
    binning: Binning = field(default_factory=lambda: Binning(()))
    encoder: RampEncoder = field(default_factory=lambda: RampEncoder((), np.zeros(0)))
    bands: FloatArray = field(default_factory=lambda: np.zeros((0, len(BAND_RANKS))))
    quantiles: FloatArray = field(default_factory=lambda: np.zeros((0, SPLITS)))


class Session:
    """An open session over the nodes behind a Flower grid. Raises what a node refuses with, or `TrainingFailed`."""

    def __init__(
        self, grid: Grid | Switchboard, settings: SessionSettings, progress: Progress, opening: Config | None = None
    ) -> None:
        """Open it: `opening` goes to every node, and with `joint` = 0 in it grid companies are left out."""
        self.board = grid if isinstance(grid, Switchboard) else Switchboard(grid)
        self.settings, self.progress = settings, progress
        self._opening: Config = dict(opening or {})
        cards = self.board.cards or self.board.introduce()
        self.banks = side_of("bank", cards)
        grids = side_of("grid", cards) if self._opening.get("joint", 1) else Side("grid", (), ())
        if not self.banks.orgs:
            raise TrainingFailed("a network needs at least one bank")
        self.sides: tuple[Side, ...] = (self.banks, grids) if grids.orgs else (self.banks,)
        self._open()
        for side in self.sides:
            self._agree(side)

    def _open(self) -> None:
        s = self.settings
        request = Content(config=self._opening | {"folds": s.folds, "repeats": s.most_repeats, "seed": s.seed})
        opened = self.board.ask("query.open", dict.fromkeys(self.banks.orgs, request))
        rows = sum(c.integer("rows") for c in opened.values())
        defaults = sum(c.integer("defaults") for c in opened.values())
        if not 0 < defaults < rows:
            detail = f"{self.banks.orgs[0]}: the target has one class only among training rows"
            raise CorruptData(detail, party=self.banks.orgs[0], column="y")
        self.training_rows = rows
        self.repeats = s.repeats_for(rows)
        self.members = s.folds * self.repeats
        self.rate = defaults / rows
        self.prior = float(np.log(self.rate / (1.0 - self.rate)))
        if len(self.sides) > 1:
            marks = turned("training", {org: c.under("training") for org, c in opened.items()}, self.sides[1].orgs)
            if not any(a.size for m in marks.values() for a in m.values()):
                raise NoOverlap("no bank shares a customer with any grid company")
            self.board.ask("query.open", {org: Content(m, self._opening) for org, m in marks.items()})

    def _agree(self, side: Side) -> None:
        counted = self.board.ask("query.levels", dict.fromkeys(side.orgs, Content()))
        side.categories = merge_levels(side.columns, [levels_in(c) for c in counted.values()])
        config: Config = {}
        for j, levels in side.categories.counts.items():
            config[f"levels/{j}"], config[f"counts/{j}"] = list(levels), list(levels.values())
        answers = self.board.ask("query.sketch", dict.fromkeys(side.orgs, Content(config=config)))
        sketches = [
            QuantileSketch(np.asarray(a.arrays["sketch_counts"], float), np.asarray(a.arrays["sketch_points"], float))
            for a in answers.values()
        ]
        s = self.settings
        # A wide table gets fewer ramps a feature, so that a Gram matrix stays a message of a few megabytes.
        ramps = min(s.ramps, max(LEAST_RAMPS, MOST_COLUMNS // max(1, len(side.categories.names))))
        bins = s.bins_for(self.training_rows)
        side.binning, side.encoder = merge_bins(sketches, bins, ramps, side.categories.names, side.role)
        side.bands = merged_quantiles(sketches, BAND_RANKS)
        side.quantiles = merged_quantiles(sketches, (np.arange(SPLITS) + 0.5) / SPLITS)
        agreed = Content(binning_arrays(side.binning) | prefixed("encoder", encoder_arrays(side.encoder)))
        self.board.ask("query.prepare", dict.fromkeys(side.orgs, agreed))


def added(answers: Mapping[str, Content], name: str) -> FloatArray:
    """Sum over nodes of one array of their answers."""
    return np.asarray(np.sum([np.asarray(c.arrays[name], dtype=np.float64) for c in answers.values()], axis=0))


def side_of(role: str, cards: Mapping[str, Content]) -> Side:
    """The nodes of a role among the introduced ones. Raises `SchemaMismatch` naming node and column."""
    orgs = tuple(sorted(org for org, c in cards.items() if c.text("role") == role))
    columns = [tuple(cards[org].texts("columns")) for org in orgs]
    for org, own in zip(orgs, columns, strict=True):
        if own != columns[0]:
            odd = sorted(set(own) ^ set(columns[0])) or ["in another order"]
            detail = f"{org}: columns differ from those of {orgs[0]}: {', '.join(odd)}"
            raise SchemaMismatch(detail, party=org, column=odd[0])
    return Side(role, orgs, columns[0] if columns else ())


def turned(name: str, told: Mapping[str, Arrays], to: Sequence[str]) -> dict[str, Arrays]:
    """Vectors keyed sender → receiver as messages keyed receiver → `name`/sender."""
    return {org: {f"{name}/{sender}": vectors[org] for sender, vectors in told.items() if org in vectors} for org in to}
