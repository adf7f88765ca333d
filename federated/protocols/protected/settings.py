"""Settings of protected training. All of them are public and fixed before anybody's data is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ProtectedSettings:
    """`ramps` a feature, and leaves of `candidates` random trees of `depth` levels, make a side's columns; a leaf is
    held `leaf_ridge` times as tightly as a ramp (tuned on the Taiwan set's folds). What comes in twos is the banks' and
    the grid companies'; of these, the first `components` principal components train. Banks' ramps are fitted first,
    alone and then with grid companies' columns, beginning with `ridge` and at `ridges` at the most, until it is the one
    at which labels are likeliest. The operator then chooses the best `trees` of the banks by sums it may see, at a
    ridge of leaves that holds one with a share `choice` of the rows at half of what its rows say; and all that is kept
    is fitted in the same way.

    A fit has come to rest when a further step would add less than `tolerance` a coefficient to the log-likelihood
    (by chance alone two samples differ by half); one that does not, in about `most` gradients, ends the run, or is not
    taken if there was one before it. `set_aside` is the share of training rows that calibrates.
    """

    ramps: int = 16
    candidates: tuple[int, int] = (400, 300)
    trees: int = 60
    depth: int = 2
    ridge: float = 180.0
    ridges: int = 8
    leaf_ridge: float = 12.0
    choice: float = 0.05
    tolerance: float = 0.001
    most: int = 60
    components: int = 300
    set_aside: float = 0.1
    seed: int = 2024

    def as_config(self) -> dict[str, object]:
        """Plain values, for reports and manifests."""
        return asdict(self)
