"""Model versions, decisions about them and what their scores show, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from credit_api.http.fields import RequestModel, ResponseModel, Text, read
from federated.governance.lifecycle import Kind, Lifecycle, Role, Status
from federated.governance.manifest import Explanation, Manifest
from federated.governance.monitoring.drift import Drift, Verdict
from federated.governance.monitoring.feature_drift import ColumnDrift, FeatureDrift
from federated.governance.monitoring.score_log import Shadow


class ModelApprovalIn(RequestModel):
    """Approve a version for a year, or reject it for good; the note says what was looked at."""

    decision: Literal["approve", "reject"]
    note: Text


class AppointmentIn(RequestModel):
    """`champion` scores, `challenger` scores in shadow, `none` takes the challenger out of that role."""

    role: Literal["champion", "challenger", "none"]
    note: Text | None = None


class ModelReasonIn(RequestModel):
    """Why."""

    note: Text


class ModelEventOut(ResponseModel):
    """Something that was done to a version. Numbers count all events of the model."""

    number: int
    version: str
    kind: Kind
    role: Role | None
    by: str
    at: datetime
    note: str


class ModelOut(ResponseModel):
    """A registered version. `metrics` are held-out figures beside its baselines: means over the folds held out, of
    models that were fitted as this one, each without one of the folds."""

    model: str
    version: str
    champion: bool
    status: Status
    role: Role | None
    created_at: datetime
    registered_by: str
    approved_by: str | None
    valid_until: datetime | None = Field(description="end of the approval, exclusive; null: never approved")
    nominated_by: str | None = Field(description="the bank that would have it score; another bank's word appoints it")
    history: list[ModelEventOut]
    data_origin: str
    schema_id: str
    schema_version: str
    participants: list[str]
    data_sha256: dict[str, str]
    weights_sha256: str
    learners: list[str]
    explanation: Explanation = Field(description="exact: closed-form Shapley values; sampled: estimated")
    calibration: dict[str, Any]
    cut_off: int
    seed: int
    held_out_folds: list[int] = Field(description="of five, from 0: each was held out of a model that was measured")
    refit: bool = Field(description="whether these weights were fitted with nobody held out")
    config: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    privacy: str
    privacy_spent: dict[str, float | None] = Field(description="ε by participant; null: nothing was protected")

    @classmethod
    def standing(cls, manifest: Manifest, standing: Lifecycle, at: datetime) -> Self:
        record, role = standing.record(manifest.version), standing.role(manifest.version)
        return cls.joined(
            record,
            manifest,
            champion=role is Role.CHAMPION,
            status=record.status(at),
            role=role,
            nominated_by=standing.nominated_by(manifest.version),
            history=[event for event in standing.events if event.version == manifest.version],
        )


class DriftFigures(ResponseModel):
    """How far a population has moved."""

    reference_rows: int
    rows: int
    psi: float = Field(description="population stability index; 0 where there are no rows")
    p_value: float = Field(description="chance of an index as large without any change")
    significant: bool
    verdict: Verdict


class DriftOut(DriftFigures):
    """Scores of one basis against those of the held-out rows."""

    basis: str


def _by_basis(drift: dict[str, Drift]) -> list[DriftOut]:
    return [DriftOut.joined(each, basis=basis) for basis, each in sorted(drift.items())]


class MonitoringOut(ResponseModel):
    """What the champion's scores show, and the challenger's beside them: differences are challenger minus champion."""

    champion: str
    since: datetime
    until: datetime
    drift: Annotated[list[DriftOut], BeforeValidator(_by_basis)]
    challenger: str | None
    shadow: Shadow | None


class ColumnDriftOut(DriftFigures):
    """A column of the customers of today against the training rows."""

    role: str = Field(description="bank or grid")
    column: str
    name_zh: str = read("zh")
    name_en: str = read("en")
    rows: int = Field(description="to about ten a node and bin: nodes report whole tens")
    p_value: float = Field(description="corrected by Holm for the number of columns")

    @classmethod
    def of(cls, moved: ColumnDrift) -> Self:
        return cls.joined(moved, moved.drift, moved.feature)


class FeatureDriftOut(ResponseModel):
    """Columns by falling index. `unavailable` took part in training and did not count; their customers are missing."""

    champion: str = read("version")
    at: datetime
    counted: list[str]
    unavailable: list[str]
    columns: list[ColumnDriftOut]

    @classmethod
    def of(cls, moved: FeatureDrift) -> Self:
        return cls.joined(moved, columns=[ColumnDriftOut.of(each) for each in moved.ranked()])
