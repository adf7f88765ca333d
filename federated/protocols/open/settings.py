"""Settings of the zoo's learners, part of a report and of the key under which a fold's result is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from federated.models.learners.boosting import GrowSettings
from federated.protocols.core.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """Boosting: `block` trees a member before the other side moves, `row_share` of the rows a tree.

    Where several nodes hold a side, `coarse` lets each grow the block on its own rows, and the mean of their trees,
    weighted by rows, is what all take on: two messages a block and node. Otherwise every level of every tree is grown
    from summed histograms, which equals pooled rows and takes `block` · (depth + 1) messages.
    """

    grow: GrowSettings
    row_share: float = 0.6
    block: int = 8
    max_rounds: int = 60
    patience: int = 3
    coarse: bool = True


@dataclass(frozen=True, slots=True)
class ConvexSettings:
    """Newton: one step a side and round. Several `ridges` are solved from the same sums; out-of-fold loss picks one.

    A side gets `pairs` pairs, or fewer if that would be more than one for `rows_a_pair` rows.
    """

    ridges: tuple[float, ...] = (2.0, 8.0, 32.0, 128.0)
    pairs: int = 8
    rows_a_pair: int = 400
    pair_bins: int = 5
    main_rounds: int = 5
    rounds: int = 7


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Member networks: `epochs` local passes before the other side moves, averaged by `strategy` (`strategies.named`).

    A pass makes about `steps` steps or more: `batch` rows each, fewer on few rows, but not below `least_batch`.
    """

    hidden: int = 48
    epochs: int = 2
    learning_rate: float = 3e-3
    learning_rate_decay: float = 0.85
    weight_decay: float = 0.03
    dropout: float = 0.2
    batch: int = 512
    least_batch: int = 32
    steps: int = 40
    max_rounds: int = 14
    patience: int = 2
    strategy: str = "fedavg"


FULL_TREES = TreeSettings(GrowSettings(4, 0.06, 3.0, 3.0, 9, 0.6))
PAIR_TREES = TreeSettings(GrowSettings(4, 0.06, 3.0, 3.0, 2, 0.6))


@dataclass(frozen=True, slots=True)
class ZooSettings(SessionSettings):
    """One run of the zoo: a session's settings, and the learners' own."""

    tree_pairs: int = 30
    few_rows: int = 10_000
    trees: TreeSettings = field(default_factory=lambda: FULL_TREES)
    pair_trees: TreeSettings = field(default_factory=lambda: PAIR_TREES)
    convex: ConvexSettings = field(default_factory=ConvexSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)

    def boosting(self, settings: TreeSettings, rows: int) -> TreeSettings:
        """`settings` for a network that trains on `rows` rows: smaller leaves, longer blocks where rows are few."""
        if rows >= self.few_rows:
            return settings
        grow = replace(settings.grow, rate=0.05, ridge=1.0, min_curvature=1.0)
        return replace(settings, grow=grow, block=12, max_rounds=120)

    def convex_for(self, rows: int) -> ConvexSettings:
        """The additive model for `rows` rows: pairs are chosen on all of them, so few rows bear few pairs."""
        return replace(self.convex, pairs=min(self.convex.pairs, rows // self.convex.rows_a_pair))

    def network_for(self, rows: int) -> NetworkSettings:
        """Member networks for `rows` rows: in batches of 512 a pass over 800 rows would make two steps."""
        s = self.network
        return replace(s, batch=min(s.batch, max(s.least_batch, rows // s.steps)))
