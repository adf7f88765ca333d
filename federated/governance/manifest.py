"""The manifest of a model version: everything needed to know what its numbers are about. Written once, never edited."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from federated.consent.record import Purpose, utc
from federated.errors import ModelCorrupt

PRIVACY_NONE = (
    "No privacy budget was spent: this version was trained without secure aggregation and without differential "
    "privacy; sums, residuals and partial logits travelled unprotected to the network operator and the other side."
)
PRIVACY_SHARES = (
    "Trained under protection: residuals on shares between banks and grid companies, sums under secure aggregation; "
    "the network operator read sums only, and neither side a row of the other. No differential privacy: no privacy "
    "budget was spent."
)
FORMAT = 3
Json = dict[str, Any]


class Explanation(StrEnum):
    """How reasons are found: by closed-form Shapley values of additive tables, or by sampling orders of features."""

    EXACT = "exact"
    SAMPLED = "sampled"


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """Held-out counts and figures of one group of customers, at the score `cut_off` of the product.

    `auc` is None where a group lacks one of the classes. `approved` counts customers at or above the cut-off,
    `approved_good` those of them that paid.
    """

    segment: str
    group: str
    rows: int
    defaults: int
    approved: int
    approved_good: int
    mean_probability: float
    brier: float
    ece: float
    auc: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """How one party's training rows fell into at most ten bins of a column; the last count is of missing values."""

    cuts: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version. `metrics[name]` holds held-out `auc, ks, brier, ece, rows`, means over `held_out_folds` with their
    standard deviations where there are several, of models that were fitted as this one, each without one of the folds.

    The registered weights were fitted with nobody held out if `refit`; of a version of an earlier program they are
    those that one fold was held out of. `data_sha256` maps each participant to the hash of its node's data.
    `calibration` holds the method and the held-out expected calibration error with and without it.
    `score_reference[basis]` counts held-out scores in `federated.models.served.scaling.SCORE_BANDS`;
    `feature_reference[role][column]` is what later populations are compared with. `privacy_spent` is ε by
    participant, None where nothing was protected. Times are UTC.
    """

    model: str
    version: str
    created_at: datetime
    registered_by: str
    data_origin: str
    schema_id: str
    schema_version: str
    purpose: Purpose
    participants: tuple[str, ...]
    data_sha256: dict[str, str]
    learners: tuple[str, ...]
    explanation: Explanation
    columns: dict[str, tuple[str, ...]]
    excluded_columns: dict[str, tuple[str, ...]]
    config: Json
    seed: int
    held_out_folds: tuple[int, ...]
    refit: bool
    aligned_rows: dict[str, int]
    metrics: dict[str, dict[str, float]]
    calibration: Json
    cut_off: int
    segments: tuple[SegmentFigures, ...] = ()
    score_reference: dict[str, tuple[int, ...]] = field(default_factory=dict)
    feature_reference: dict[str, dict[str, FeatureReference]] = field(default_factory=dict)
    privacy: str = PRIVACY_NONE
    privacy_spent: dict[str, float | None] = field(default_factory=dict)
    weights_sha256: str = ""

    @property
    def joint(self) -> bool:
        """Whether grid companies' columns are used: of what was no better with them, banks' alone are."""
        return bool(self.config.get("offered", "joint") == "joint")

    @property
    def banks(self) -> frozenset[str]:
        """The banks among the participants: whose customers trained the version and will be scored by it."""
        return frozenset(pair.partition("|")[0] for pair in self.aligned_rows) & frozenset(self.participants)

    def to_json(self) -> str:
        """Readable, stable JSON."""
        raw: Json = asdict(self)
        raw["created_at"] = utc(self.created_at, "created_at").isoformat()
        raw["format"] = FORMAT
        return json.dumps(raw, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Manifest:
        """Read back what `to_json` wrote. Raises `ModelCorrupt` for anything else, and for another format's."""
        try:
            raw: Json = json.loads(text)
            written = raw.pop("format", 1)
            if written == 2:
                raw = _of_one_fold(raw)
            elif written != FORMAT:
                raise ModelCorrupt(f"a manifest has format {written}, this program reads {FORMAT}: train again")
            raw["created_at"] = utc(datetime.fromisoformat(raw["created_at"]), "created_at")
            raw["purpose"] = Purpose(raw["purpose"])
            raw["explanation"] = Explanation(raw["explanation"])
            for name in ("participants", "learners", "held_out_folds"):
                raw[name] = tuple(raw[name])
            for name in ("columns", "excluded_columns", "score_reference"):
                raw[name] = {key: tuple(values) for key, values in raw[name].items()}
            raw["segments"] = tuple(SegmentFigures(**each) for each in raw["segments"])
            raw["feature_reference"] = {
                role: {c: FeatureReference(tuple(r["cuts"]), tuple(r["counts"])) for c, r in columns.items()}
                for role, columns in raw["feature_reference"].items()
            }
            return Manifest(**raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelCorrupt(f"a manifest cannot be read: {error}") from error


def _of_one_fold(raw: Json) -> Json:
    """What format 2 said: its metrics and weights are of the model without one fold; of others there were means."""
    own = {name: value for name, value in raw.items() if name not in ("held_out_fold", "cross_fold")}
    return own | {"held_out_folds": [raw["held_out_fold"]], "refit": False}
