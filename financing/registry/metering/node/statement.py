"""What a grid company's node states of one meter and period, and how a registry reads it: totals, gaps and findings,
never a reading.

A registry asks with everything that the checks need to know, and the node says with a hash what it was asked, so that a
statement cannot stand for an answer to other limits. The document is signed where the readings are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from financing.base.errors import ReadingRejected
from financing.base.parameters.methodologies import Monitoring
from financing.base.parameters.records import LoadLimits, PlausibilityLimits
from financing.base.quantities import INT64_MAX, Energy, Period
from financing.base.signing import Signature
from financing.registry.metering.findings import Finding
from financing.registry.metering.plausibility import Site, check_load, check_readings
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import MeteredTotal, total_of

DOMAIN = "tanxin-metering-statement-v2"
# Statements of before name the claim that they were made for, and not what was asked.
DOMAIN_OF_BEFORE = "tanxin-metering-statement-v1"
# Letters of a commitment, and of a finding, several times over.
TEXT = 1_000


class Question(BaseModel):
    """One meter's period, and what its readings are checked against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meter_id: str = Field(max_length=64)
    interval_minutes: int
    starts_at: datetime
    ends_at: datetime
    capacity_w: int
    latitude_deg: float
    longitude_deg: float
    limits: PlausibilityLimits | LoadLimits
    rule: Monitoring

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at)

    def sha256(self) -> str:
        """SHA-256 (hex) of the question as JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stated:
    """A node's statement; without a signature from a node in this process, for which a sandbox signs."""

    document: Mapping[str, Any]
    signature: Signature | None


def statement_of(batch: ReadingBatch, through_batch: int, grid_id: str, question: Question) -> dict[str, Any]:
    """What a node states of these readings. Raises `ReadingRejected` where there is none in the period."""
    period = question.period
    return total_document(total_of(batch, period, through_batch)) | {
        "grid_id": grid_id,
        "findings": [
            [each.code, each.severity, each.zh, each.en, each.count, each.first_at and each.first_at.isoformat()]
            for each in _checked(batch, period, question)
        ],
        "question_sha256": question.sha256(),
    }


def total_document(total: MeteredTotal) -> dict[str, Any]:
    """A total as statements have it."""
    return {
        "meter_id": total.meter_id,
        "starts_at": total.period.start.isoformat(),
        "ends_at": total.period.end.isoformat(),
        "interval_minutes": total.interval_minutes,
        "energy_wh": total.generation.wh,
        "export_wh": None if total.export is None else total.export.wh,
        "intervals_expected": total.intervals_expected,
        "intervals_missing": total.intervals_missing,
        "commitment": total.commitment,
        "through_batch": total.through_batch,
    }


def read_statement(
    document: Mapping[str, Any], grid_id: str, question: Question
) -> tuple[MeteredTotal, tuple[Finding, ...]]:
    """What a node stated. Raises `ReadingRejected` for what is no answer to the question."""
    try:
        total = total_stated(document)
        findings = tuple(_finding(each) for each in document["findings"])
        asked = (grid_id, question.sha256(), question.meter_id, question.interval_minutes, question.period)
        told = document["grid_id"], document["question_sha256"], total.meter_id, total.interval_minutes, total.period
    except (KeyError, TypeError, ValueError) as error:
        raise ReadingRejected("the grid node does not state what was asked", meter_id=question.meter_id) from error
    if told != asked:
        raise ReadingRejected("the grid node states something else than was asked", meter_id=question.meter_id)
    return total, findings


def total_stated(document: Mapping[str, Any]) -> MeteredTotal:
    """The total in a statement, of before too. Raises `KeyError`, `TypeError`, `ValueError` for what is none."""
    export = document["export_wh"]
    expected, missing, through = (
        int(document[name]) for name in ("intervals_expected", "intervals_missing", "through_batch")
    )
    counted = 0 <= missing <= expected <= INT64_MAX and 0 <= through <= INT64_MAX and document["energy_wh"] >= 0
    if not counted or len(document["commitment"]) > TEXT:
        raise ValueError("numbers that no readings have")
    return MeteredTotal(
        meter_id=str(document["meter_id"]),
        period=Period(datetime.fromisoformat(document["starts_at"]), datetime.fromisoformat(document["ends_at"])),
        interval_minutes=int(document["interval_minutes"]),
        generation=Energy(document["energy_wh"]),
        export=None if export is None else Energy(export),
        intervals_expected=expected,
        intervals_missing=missing,
        commitment=str(document["commitment"]),
        through_batch=through,
    )


def domain_of(document: Mapping[str, Any]) -> str:
    """Under which domain a statement was signed."""
    return DOMAIN if "question_sha256" in document else DOMAIN_OF_BEFORE


def _checked(batch: ReadingBatch, period: Period, question: Question) -> tuple[Finding, ...]:
    if isinstance(question.limits, LoadLimits):
        return check_load(batch, period, question.capacity_w, question.limits, question.rule)
    site = Site(question.capacity_w, question.latitude_deg, question.longitude_deg)
    return check_readings(batch, period, site, question.limits, question.rule)


def _finding(told: list[Any]) -> Finding:
    code, severity, zh, en, count, first_at = told
    if severity not in {"error", "warning"}:
        raise ValueError("a finding is an error or a warning")
    when = None if first_at is None else datetime.fromisoformat(first_at)
    if not 0 <= int(count) <= INT64_MAX or max(len(str(each)) for each in (code, zh, en)) > TEXT:
        raise ValueError("a finding is a short text, and how often")
    return Finding(str(code), severity, str(zh), str(en), int(count), when)
