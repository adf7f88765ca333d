"""Settings of a session: what all nodes agree on before anything is learnt."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Inner folds and the resolution of sketches. They are part of a report.

    `repeats` holds (rows, partitions): below so many rows, inner folds are drawn so many times over.
    """

    seed: int = 2024
    folds: int = 5
    repeats: tuple[tuple[int, int], ...] = ((4_000, 4), (10_000, 2))
    bins: int = 64
    ramps: int = 24
    fine_bins: int = 160
    fine_below: int = 4_000

    def repeats_for(self, rows: int) -> int:
        """Partitions into inner folds: where rows are few, who was left out moves a model more than who was learnt."""
        return next((times for below, times in self.repeats if rows < below and self.folds > 1), 1)

    @property
    def most_repeats(self) -> int:
        """As many partitions as a bank draws, before it is known how many rows all banks have."""
        return max((times for _, times in self.repeats), default=1)

    def bins_for(self, rows: int) -> int:
        """Bins a feature: on few rows histograms are cheap, and a sharp step is worth finding."""
        return self.fine_bins if rows < self.fine_below else self.bins

    def as_config(self) -> dict[str, object]:
        """Plain values, for reports and keys."""
        return asdict(self)
