"""Model versions, decisions about them and what their scores show, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from credit_api.http.fields import RequestModel, ResponseModel, Text
from federated.governance.drift import Drift
from federated.governance.fairness import GroupFairness
from federated.governance.feature_drift import ColumnDrift, FeatureDrift
from federated.governance.lifecycle import (
    Event,
    Kind,
    Lifecycle,
    Role,
    Status,
)
from federated.governance.manifest import Explanation, Manifest
from federated.governance.monitoring import Shadow
from federated.governance.oversight import Monitoring


class ApprovalIn(RequestModel):
    """Approve a version for a year, or reject it for good; the note says what was looked at."""

    decision: Literal["approve", "reject"]
    note: Text


class AppointmentIn(RequestModel):
    """`champion` scores, `challenger` scores in shadow, `none` takes the challenger out of that role."""

    role: Literal["champion", "challenger", "none"]
    note: Text | None = None


class ReasonIn(RequestModel):
    """Why."""

    note: Text


class EventOut(ResponseModel):
    """Something that was done to a version. Numbers count all events of the model."""

    number: int
    version: str
    kind: Kind
    role: Role | None
    by: str
    at: datetime
    note: str

    @classmethod
    def of(cls, event: Event) -> Self:
        role = event.details.get("role")
        return cls(
            number=event.number,
            version=event.version,
            kind=event.kind,
            role=None if role is None else Role(role),
            by=event.by,
            at=event.at,
            note=event.note,
        )


class ModelOut(ResponseModel):
    """A registered version. `metrics` are held-out figures of exactly these weights, beside its baselines."""

    model: str
    version: str
    champion: bool
    status: Status
    role: Role | None
    created_at: datetime
    registered_by: str
    approved_by: str | None
    valid_until: datetime | None = Field(description="end of the approval, exclusive; null: never approved")
    history: list[EventOut]
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
    held_out_fold: int
    config: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    privacy: str
    privacy_spent: dict[str, float | None] = Field(description="ε by participant; null: nothing was protected")

    @classmethod
    def of(cls, manifest: Manifest, standing: Lifecycle, at: datetime) -> Self:
        record = standing.record(manifest.version)
        role = standing.role(manifest.version)
        return cls(
            model=manifest.model,
            version=manifest.version,
            champion=role is Role.CHAMPION,
            status=record.status(at),
            role=role,
            created_at=manifest.created_at,
            registered_by=record.registered_by,
            approved_by=record.approved_by,
            valid_until=record.valid_until,
            history=[EventOut.of(each) for each in standing.events if each.version == manifest.version],
            data_origin=manifest.data_origin,
            schema_id=manifest.schema_id,
            schema_version=manifest.schema_version,
            participants=list(manifest.participants),
            data_sha256=manifest.data_sha256,
            weights_sha256=manifest.weights_sha256,
            learners=list(manifest.learners),
            explanation=manifest.explanation,
            calibration=dict(manifest.calibration),
            cut_off=manifest.cut_off,
            seed=manifest.seed,
            held_out_fold=manifest.held_out_fold,
            config=dict(manifest.config),
            metrics=manifest.metrics,
            privacy=manifest.privacy,
            privacy_spent=manifest.privacy_spent,
        )


class DriftOut(ResponseModel):
    """Scores of one basis against those of the held-out rows."""

    basis: str
    reference_rows: int
    rows: int
    psi: float = Field(description="population stability index; 0 where there are no rows")
    p_value: float = Field(description="chance of an index as large without any change")
    significant: bool
    verdict: Literal["stable", "watch", "drifted", "too_few"]

    @classmethod
    def of(cls, basis: str, found: Drift) -> Self:
        return cls(
            basis=basis,
            reference_rows=found.reference_rows,
            rows=found.rows,
            psi=found.psi,
            p_value=found.p_value,
            significant=found.significant,
            verdict=found.verdict.value,
        )


class ShadowOut(ResponseModel):
    """The challenger beside the champion; differences are challenger minus champion, in points."""

    rows: int
    failed: int = Field(description="queries that the challenger could not score; the answers were not touched")
    mean_difference: float | None
    sd_difference: float | None
    equal_decisions: float | None = Field(description="share of queries on the same side of the cut-off")
    swap_in: int
    swap_out: int
    correlation: float | None

    @classmethod
    def of(cls, found: Shadow) -> Self:
        return cls(
            rows=found.rows,
            failed=found.failed,
            mean_difference=found.mean_difference,
            sd_difference=found.sd_difference,
            equal_decisions=found.equal_decisions,
            swap_in=found.swap_in,
            swap_out=found.swap_out,
            correlation=found.correlation,
        )


class MonitoringOut(ResponseModel):
    champion: str
    since: datetime
    until: datetime
    drift: list[DriftOut]
    challenger: str | None
    shadow: ShadowOut | None

    @classmethod
    def of(cls, found: Monitoring) -> Self:
        return cls(
            champion=found.champion,
            since=found.since,
            until=found.until,
            drift=[DriftOut.of(basis, each) for basis, each in sorted(found.drift.items())],
            challenger=found.challenger,
            shadow=None if found.shadow is None else ShadowOut.of(found.shadow),
        )


class ColumnDriftOut(ResponseModel):
    """A column of the customers of today against the training rows."""

    role: str = Field(description="bank or grid")
    column: str
    name_zh: str
    name_en: str
    reference_rows: int
    rows: int = Field(description="to about ten a node and bin: nodes report whole tens")
    psi: float = Field(description="population stability index; 0 where there are no rows")
    p_value: float = Field(description="corrected by Holm for the number of columns")
    significant: bool
    verdict: Literal["stable", "watch", "drifted", "too_few"]

    @classmethod
    def of(cls, found: ColumnDrift) -> Self:
        return cls(
            role=found.role,
            column=found.feature.column,
            name_zh=found.feature.zh,
            name_en=found.feature.en,
            reference_rows=found.drift.reference_rows,
            rows=found.drift.rows,
            psi=found.drift.psi,
            p_value=found.drift.p_value,
            significant=found.drift.significant,
            verdict=found.drift.verdict.value,
        )


class FeatureDriftOut(ResponseModel):
    """Columns by falling index. `unavailable` took part in training and did not count; their customers are missing."""

    champion: str
    at: datetime
    counted: list[str]
    unavailable: list[str]
    columns: list[ColumnDriftOut]

    @classmethod
    def of(cls, found: FeatureDrift) -> Self:
        return cls(
            champion=found.version,
            at=found.at,
            counted=list(found.counted),
            unavailable=list(found.unavailable),
            columns=[ColumnDriftOut.of(each) for each in found.ranked()],
        )


class FairnessOut(ResponseModel):
    """A group beside the most approved one of its segment; null means not measured."""

    segment: str
    group: str
    rows: int
    too_few: bool
    benchmark: str | None
    approval_rate: float | None
    impact_ratio: float | None
    p_value: float | None
    opportunity_difference: float | None
    calibration_gap: float | None
    auc: float | None
    flagged: bool = Field(description="ratio under four fifths and difference significant")

    @classmethod
    def of(cls, found: GroupFairness) -> Self:
        return cls(
            segment=found.segment,
            group=found.group,
            rows=found.rows,
            too_few=found.too_few,
            benchmark=found.benchmark,
            approval_rate=found.approval_rate,
            impact_ratio=found.impact_ratio,
            p_value=found.p_value,
            opportunity_difference=found.opportunity_difference,
            calibration_gap=found.calibration_gap,
            auc=found.auc,
            flagged=found.flagged,
        )
