"""The manifest of a model version: everything needed to know what its numbers are about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from federated.consent.record import Purpose, utc
from federated.errors import ModelCorrupt

PRIVACY_NONE = (
    "No privacy budget was spent: this version was trained without secure aggregation and without differential "
    "privacy; residuals and averaged weights travelled unprotected to the network operator and the grid companies."
)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version. `metrics[name]` holds held-out `auc, ks, brier, ece, rows` of exactly the registered weights.

    `data_sha256` maps each participant to the hash of its node's data; `cross_fold` holds mean and standard deviation
    over several folds where they were run, otherwise it is empty. Times are UTC.
    """

    model: str
    version: str
    created_at: datetime
    data_origin: str
    schema_id: str
    schema_version: str
    purpose: Purpose
    participants: tuple[str, ...]
    data_sha256: dict[str, str]
    config: dict[str, int | float]
    seed: int
    held_out_fold: int
    aligned_rows: dict[str, int]
    metrics: dict[str, dict[str, float]]
    cross_fold: dict[str, dict[str, float]]
    privacy: str = PRIVACY_NONE
    weights_sha256: str = ""

    def to_json(self) -> str:
        """Readable, stable JSON."""
        raw: Json = asdict(self)
        raw["created_at"] = utc(self.created_at, "created_at").isoformat()
        raw["participants"] = list(self.participants)
        return json.dumps(raw, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read back what `to_json` wrote. Raises `ModelCorrupt` for anything else."""
        try:
            raw: Json = json.loads(text)
            raw["created_at"] = utc(datetime.fromisoformat(raw["created_at"]), "created_at")
            raw["participants"] = tuple(raw["participants"])
            raw["purpose"] = Purpose(raw["purpose"])
            return Manifest(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelCorrupt(f"a manifest cannot be read: {error}") from error
