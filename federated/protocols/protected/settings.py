"""Settings of protected training. All of them are public and fixed before anybody's data is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from federated.models.encoding.random_leaves import RandomLeaves


@dataclass(frozen=True, slots=True)
class ProtectedSettings:
    """`ramps` a feature, and leaves of the best `trees` of `candidates` random trees of `depth` levels, make a side's
    columns; a ramp is held by `ridge`, a leaf `tree_ridge` times as tightly. What comes in twos is the banks' and the
    grid companies'. After `ramp_rounds` steps a side on ramps alone the operator chooses trees by sums it may see.

    A grid company's coefficients say the more of single labels the more there are: it gets one for `rows_a_column`
    rows, or its ramps alone. `rounds` steps a side follow; `set_aside` is the share of training rows that is kept for
    calibration; `degree` is that of the graph of secure sums where there are many nodes. Tuned on the
    Taiwan set's folds.
    """

    ramps: int = 8
    candidates: tuple[int, int] = (400, 400)
    trees: tuple[int, int] = (60, 50)
    depth: int = 2
    ridge: float = 20.0
    tree_ridge: tuple[float, float] = (12.0, 4.0)
    ramp_rounds: int = 4
    rows_a_column: int = 100
    rounds: int = 10
    set_aside: float = 0.05
    degree: int = 10
    seed: int = 2024

    def as_config(self) -> dict[str, object]:
        """Plain values, for reports and manifests."""
        return asdict(self)

    def most_trees(self, side: int, rows: int, basis: RandomLeaves) -> int:
        """How many trees a side (0 = banks) may keep where `rows` rows are fitted."""
        if side == 0:
            return self.trees[0]
        left = rows // self.rows_a_column - len(basis.ramps)
        return min(self.trees[1], max(left, 0) // len(basis.leaves_of([0])))
