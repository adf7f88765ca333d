"""Settings of protected training. All of them are public and fixed before anybody's data is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ProtectedSettings:
    """`ramps` a feature, leaves of `trees` random trees on two features, and leaves that set about `cells` cells of a
    feature apart make a side's columns; a leaf is held `leaf_ridge` times as tightly as a ramp, one of a feature
    `cell_ridge` times. Of these the first principal components train: `components` of ramps and leaves of pairs, and of
    intervals. Of either side's ramps and leaves the first `interactions` components are multiplied with the other
    side's. A ridge of a side's part begins at `ridge` and is another one at `ridges` fits at the most, until labels
    are likeliest. Banks' columns are fitted alone first, then all.

    A fit has come to rest when a further step would add less than `tolerance` a coefficient to the log-likelihood
    (by chance alone two samples differ by half); one that does not, in about `most` gradients, ends the run, or is not
    taken if there was one before it.
    """

    ramps: int = 16
    trees: int = 200
    cells: int = 64
    ridge: float = 180.0
    ridges: int = 8
    leaf_ridge: float = 8.0
    cell_ridge: float = 2.0
    tolerance: float = 0.001
    most: int = 60
    components: tuple[int, int] = (200, 150)
    interactions: int = 10
    seed: int = 2024

    def as_config(self) -> dict[str, object]:
        """Plain values, for reports and manifests."""
        return asdict(self)
