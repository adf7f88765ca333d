from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from reductions import pv

from financing.base.errors import (
    AlreadyExists,
    ConflictOfInterest,
    DeclarationMissing,
    InvalidState,
    PeriodAlreadyIssued,
    PeriodInvalid,
    PeriodOverlap,
    PlausibilityFailed,
    QuantityOutOfRange,
    SerialInvalid,
    StatementMismatch,
)
from financing.base.quantities import Carbon, Energy, Period
from financing.registry.metering.findings import Finding
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import total_of
from financing.registry.projects.model import Declarations, Location, Project, require_new_project
from financing.registry.verification.monitoring import (
    MonitoringState,
    accept,
    combined_commitment,
    mark_issued,
    reject,
    submit,
)
from financing.registry.verification.statement import VerificationStatement

AT = datetime(2026, 11, 22, tzinfo=UTC)
START = datetime(2026, 5, 1, tzinfo=UTC)
MAY = Period(START, START + timedelta(days=2))
PROJECT = Project(
    project_id="prj-1",
    code="ROOF1",
    owner="plant",
    name="Roof",
    methodology="PV",
    methodology_version=1,
    capacity_w=100_000,
    grid_connected_on=date(2024, 1, 1),
    crediting_period=Period(datetime(2024, 6, 1, tzinfo=UTC), datetime(2034, 6, 1, tzinfo=UTC)),
    location=Location("jiangsu", 31.3, 120.6),
    meter_ids=("M1",),
    declarations=Declarations(True, True, True),
)
ERROR = Finding("night_generation", "error", "夜间发电", "the meter generates at night", 1, START)


def claim(period=MAY, *, number="mp-1", findings=(), existing=(), project=PROJECT, at=AT):
    count = period.seconds // 1800
    times = np.datetime64(int(period.start.timestamp()), "s") + np.arange(count) * np.timedelta64(1800, "s")
    readings = ReadingBatch("M1", 30, times, np.full(count, 20_000))
    total = total_of(readings, period)
    reduction = pv(total.generation.wh, period=period)
    return submit(
        monitoring_period_id=number,
        project=project,
        totals=(total,),
        reduction=reduction,
        findings=findings,
        existing=existing,
        at=at,
    )


def statement(of, **changes):
    facts = of.verifiable()
    made = VerificationStatement(
        "st-1",
        facts.monitoring_period_id,
        "CQC",
        "positive",
        facts.commitment,
        facts.generation,
        facts.reduction,
        "",
        AT,
    )
    return replace(made, **changes)


def test_a_claim_is_accepted_and_issued_once():
    submitted = claim()
    accepted = accept(submitted, statement(submitted))
    issued = mark_issued(accepted, "iss-1")
    assert (accepted.state, issued.state) == (MonitoringState.ACCEPTED, MonitoringState.ISSUED)
    assert issued.reduction.reduction == Carbon(1_147)
    assert issued.meter_ids == {"M1"}
    with pytest.raises(PeriodAlreadyIssued):
        mark_issued(issued, "iss-2")
    with pytest.raises(InvalidState):
        mark_issued(submitted, "iss-1")
    with pytest.raises(InvalidState):
        accept(accepted, statement(accepted))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"verifier": "plant"}, ConflictOfInterest),
        ({"commitment": "0" * 64}, StatementMismatch),
        ({"generation": Energy(1)}, StatementMismatch),
        ({"reduction": Carbon(1_148)}, StatementMismatch),
        ({"monitoring_period_id": "mp-2"}, StatementMismatch),
        ({"signed_at": AT - timedelta(seconds=1)}, StatementMismatch),
        ({"opinion": "negative"}, InvalidState),
    ],
)
def test_a_statement_must_cover_what_it_accepts(changes, refusal):
    submitted = claim()
    with pytest.raises(refusal):
        accept(submitted, statement(submitted, **changes))


def test_implausible_readings_are_not_accepted_but_can_be_rejected():
    submitted = claim(findings=(ERROR,))
    with pytest.raises(PlausibilityFailed):
        accept(submitted, statement(submitted))
    with pytest.raises(InvalidState):
        reject(submitted, statement(submitted))
    rejected = reject(submitted, statement(submitted, opinion="negative"))
    assert rejected.state is MonitoringState.REJECTED
    assert claim(number="mp-2", existing=(rejected,)).state is MonitoringState.SUBMITTED


def test_a_meters_time_is_claimed_once():
    first = claim()
    overlapping = Period(START + timedelta(days=1), START + timedelta(days=3))
    with pytest.raises(PeriodOverlap):
        claim(overlapping, number="mp-2", existing=(first,))
    issued = mark_issued(accept(first, statement(first)), "iss-1")
    with pytest.raises(PeriodAlreadyIssued):
        claim(number="mp-2", existing=(issued,))
    after = Period(MAY.end, MAY.end + timedelta(days=1))
    assert claim(after, number="mp-2", existing=(issued,)).period == after


def test_a_claim_lies_in_the_past_and_in_the_crediting_period():
    with pytest.raises(PeriodInvalid):
        claim(at=MAY.end - timedelta(seconds=1))
    later = replace(PROJECT, crediting_period=Period(MAY.end, MAY.end + timedelta(days=9)))
    with pytest.raises(PeriodInvalid):
        claim(project=later)


def test_totals_reduction_and_project_belong_together():
    with pytest.raises(InvalidState):
        claim(project=replace(PROJECT, meter_ids=("M1", "M2")))
    with pytest.raises(InvalidState):
        claim(project=replace(PROJECT, methodology_version=2))
    made = claim()
    total, reduction = made.totals[0], made.reduction
    for totals, workings in (
        ((replace(total, generation=Energy(1)),), reduction),
        ((replace(total, export=Energy(1)),), reduction),
        ((total,), replace(reduction, reduction=Carbon(1_148))),
    ):
        with pytest.raises(InvalidState):
            submit(
                monitoring_period_id="mp-2",
                project=PROJECT,
                totals=totals,
                reduction=workings,
                findings=(),
                existing=(),
                at=AT,
            )


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"declarations": Declarations(True, False, True)}, DeclarationMissing),
        ({"code": "roof-1"}, SerialInvalid),
        ({"capacity_w": 0}, QuantityOutOfRange),
        ({"capacity_w": None}, QuantityOutOfRange),
        ({"meter_ids": ("M1", "M1")}, QuantityOutOfRange),
        ({"location": Location("x", 91.0, 0.0)}, QuantityOutOfRange),
        ({"grid_connected_on": date(2024, 7, 1)}, PeriodInvalid),
    ],
)
def test_a_project_that_may_not_be_registered_is_refused(changes, refusal):
    with pytest.raises(refusal):
        replace(PROJECT, **changes)


def test_a_meter_belongs_to_one_project():
    other = replace(PROJECT, project_id="prj-2", code="ROOF2")
    with pytest.raises(AlreadyExists):
        require_new_project(other, [PROJECT])
    with pytest.raises(AlreadyExists):
        require_new_project(replace(other, code="ROOF1", meter_ids=("M9",)), [PROJECT])
    require_new_project(replace(other, meter_ids=("M9",)), [PROJECT])


def test_the_commitment_of_several_meters_does_not_depend_on_their_order():
    total = claim().totals[0]
    other = replace(total, meter_id="M2", commitment="1" * 64)
    assert combined_commitment((total, other)) == combined_commitment((other, total))
    assert combined_commitment((total, other)) != combined_commitment((total,))
    swapped = (replace(total, commitment=other.commitment), replace(other, commitment=total.commitment))
    assert combined_commitment(swapped) != combined_commitment((total, other))
