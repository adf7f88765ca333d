"""Methodologies, verification work and audited readings over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
from financing.base.parameters.methodologies import Status
from financing.registry.methodology.definition import Methodology
from financing.registry.verification.independence import Accreditation, Relation
from financing.registry.verification.model import Assignment
from financing.registry.verification.queries import WorkItem


class MethodologyOut(ResponseModel):
    code: str
    version: int
    status: str
    name_zh: str
    name_en: str
    asset_class: str
    applicability_zh: str
    applicability_en: str
    inputs: dict[str, str] = Field(description="name to unit")
    choices: dict[str, list[str]] = Field(description="choice to options, the default first")
    meter_roles: list[str]
    interval_minutes_allowed: list[int]
    buffer_bps: int
    file: str
    sha256: str

    @classmethod
    def of(cls, methodology: Methodology, status: Status) -> Self:
        file = methodology.file
        return cls(
            code=file.code,
            version=file.version,
            status=status,
            name_zh=file.name_zh,
            name_en=file.name_en,
            asset_class=file.asset_class,
            applicability_zh=file.applicability_zh,
            applicability_en=file.applicability_en,
            inputs={name: each.unit for name, each in file.inputs.items()},
            choices={name: list(each.options) for name, each in file.choices.items()},
            meter_roles=list(file.roles),
            interval_minutes_allowed=list(file.monitoring.interval_minutes_allowed) if file.monitoring else [],
            buffer_bps=file.buffer.rate_bps if file.buffer else 0,
            file=file.file,
            sha256=file.version_hash,
        )


class AssignmentOut(ResponseModel):
    monitoring_period_id: str
    verifier_id: str
    due_on: date

    @classmethod
    def of(cls, assignment: Assignment) -> Self:
        return cls(
            monitoring_period_id=assignment.period_id,
            verifier_id=assignment.verifier_id,
            due_on=assignment.due_on,
        )


class WorkItemOut(ResponseModel):
    monitoring_period_id: str
    project_id: str
    methodology: str
    owner_id: str
    reduction_kg: int
    submitted_at: datetime
    assigned: bool
    due_on: date | None
    automatic_findings: list[str] = Field(description="severity and code of what the checks found")
    open_findings: int

    @classmethod
    def of(cls, item: WorkItem) -> Self:
        claim = item.claim
        return cls(
            monitoring_period_id=claim.monitoring_period_id,
            project_id=claim.project_id,
            methodology=claim.reduction.tag,
            owner_id=claim.owner,
            reduction_kg=claim.reduction.reduction.kg,
            submitted_at=claim.submitted_at,
            assigned=item.assignment is not None,
            due_on=item.assignment.due_on if item.assignment else None,
            automatic_findings=[f"{finding.severity} {finding.code}" for finding in claim.findings],
            open_findings=sum(finding.state != "closed" for finding in item.findings),
        )


class AccreditationOut(ResponseModel):
    organisation_id: str
    methodology: str
    valid_from: date
    valid_until: date | None
    source: str

    @classmethod
    def of(cls, accreditation: Accreditation) -> Self:
        return cls(
            organisation_id=accreditation.organisation_id,
            methodology=accreditation.methodology,
            valid_from=accreditation.valid_from,
            valid_until=accreditation.valid_until,
            source=accreditation.source,
        )


class RelationOut(ResponseModel):
    first_id: str
    second_id: str

    @classmethod
    def of(cls, relation: Relation) -> Self:
        return cls(first_id=relation.first_id, second_id=relation.second_id)


class AuditedReadingsOut(ResponseModel):
    """Raw readings as the grid node holds them; columns of equal length."""

    meter_id: str
    interval_minutes: int
    commitment: str
    starts_at: list[datetime]
    energy_wh: list[int]
    export_wh: list[int] | None
    register_wh: list[int] | None
