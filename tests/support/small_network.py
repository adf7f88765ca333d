"""Settings of the small networks that tests train: seconds instead of a minute, and both kinds of version."""

from datetime import UTC, datetime

from federated.models.learners.boosting import GrowSettings
from federated.protocols.open.protocol import OpenProtocol
from federated.protocols.open.settings import ConvexSettings, NetworkSettings, TreeSettings, ZooSettings

AT = datetime(2026, 11, 22, tzinfo=UTC)
SMALL = ZooSettings(
    folds=2,
    repeats=(),
    bins=16,
    ramps=8,
    tree_pairs=6,
    few_rows=0,
    fine_below=0,
    pair_trees=TreeSettings(GrowSettings(3, 0.2, 3.0, 3.0, 2, 1.0), block=4, max_rounds=5, patience=2),
    convex=ConvexSettings(ridges=(4.0,), pairs=4, main_rounds=4, rounds=4),
    network=NetworkSettings(hidden=8, max_rounds=3),
)
ADDITIVE = ("additive", "pair_trees")
EXPLAINABLE = OpenProtocol(SMALL, ADDITIVE)
BOTH_BLENDS = OpenProtocol(SMALL, (*ADDITIVE, "networks"))
