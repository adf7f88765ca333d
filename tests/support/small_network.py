"""Settings of the small networks that tests train: seconds instead of a minute, and both kinds of version."""

from dataclasses import replace
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
# For what does not depend on how well a network ranks: of the same learners a step each.
HASTY = replace(
    SMALL,
    pair_trees=replace(SMALL.pair_trees, block=1, max_rounds=1),
    convex=replace(SMALL.convex, pairs=1, main_rounds=1, rounds=1),
    network=replace(SMALL.network, max_rounds=1),
)
ADDITIVE = ("additive", "pair_trees")
EXPLAINABLE = OpenProtocol(SMALL, ADDITIVE)
BOTH_BLENDS = OpenProtocol(SMALL, (*ADDITIVE, "networks"))
HASTY_EXPLAINABLE, HASTY_BLENDS = replace(EXPLAINABLE, settings=HASTY), replace(BOTH_BLENDS, settings=HASTY)
