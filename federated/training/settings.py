"""Everything a run is configured by. Goes into the manifest as it stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of one training run; times are in rounds and epochs, `validation_share` is a share of training rows.

    A round is one block step of the banks (averaged) followed by one of the grid companies (averaged).
    """

    seed: int = 2024
    bins: int = 48
    hidden: int = 64
    members: int = 4
    dropout: float = 0.2
    learning_rate: float = 2e-3
    learning_rate_decay: float = 0.9
    weight_decay: float = 0.03
    batch: int = 256
    bank_epochs: int = 2
    grid_epochs: int = 2
    max_rounds: int = 20
    patience: int = 4
    validation_share: float = 0.15

    def as_config(self) -> dict[str, int | float]:
        """Plain numbers, for messages and manifests."""
        return asdict(self)
