"""Methodologies, verification work and audited readings over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel, read
from financing.base.parameters.methodologies import MethodologyFile, Status
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
    sha256: str = read("version_hash")

    @classmethod
    def standing(cls, file: MethodologyFile, status: Status) -> Self:
        return cls.joined(
            file,
            status=status,
            inputs={name: each.unit for name, each in file.inputs.items()},
            choices={name: list(each.options) for name, each in file.choices.items()},
            meter_roles=list(file.roles),
            interval_minutes_allowed=list(file.monitoring.interval_minutes_allowed) if file.monitoring else [],
            buffer_bps=file.buffer.rate_bps if file.buffer else 0,
        )


class AssignmentOut(ResponseModel):
    monitoring_period_id: str = read("period_id")
    verifier_id: str
    due_on: date


class WorkItemOut(ResponseModel):
    monitoring_period_id: str
    project_id: str
    methodology: str = read("reduction.tag")
    owner_id: str
    reduction_kg: int = read("reduction.reduction")
    submitted_at: datetime
    assigned: bool
    due_on: date | None = read("assignment?.due_on")
    automatic_findings: list[str] = Field(description="severity and code of what the checks found")
    open_findings: int

    @classmethod
    def of(cls, item: WorkItem) -> Self:
        return cls.joined(
            item,
            item.claim,
            assigned=item.assignment is not None,
            automatic_findings=[f"{finding.severity} {finding.code}" for finding in item.claim.findings],
            open_findings=sum(finding.state != "closed" for finding in item.findings),
        )


class AccreditationOut(ResponseModel):
    organisation_id: str
    methodology: str
    valid_from: date
    valid_until: date | None
    source: str


class RelationOut(ResponseModel):
    first_id: str
    second_id: str


class AuditedReadingsOut(ResponseModel):
    """Raw readings as the grid node holds them; columns of equal length."""

    meter_id: str
    interval_minutes: int
    commitment: str
    starts_at: list[datetime]
    energy_wh: list[int]
    export_wh: list[int] | None
    register_wh: list[int] | None
