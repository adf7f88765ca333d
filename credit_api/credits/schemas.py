"""Projects, readings, monitoring periods, issuances, holdings and retirements over HTTP."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field

from credit_api.http.fields import ResponseModel, TextPair, read
from credit_api.measuring.workings import StepOut, mg_per_kwh
from financing.registry.credits.commands import Issued
from financing.registry.credits.model import IssuedFor
from financing.registry.methodology.reduction import CitedValue, InputValue
from financing.registry.projects.model import NamedPlant, Project
from financing.registry.verification.monitoring import ClaimedProject, MonitoringPeriod


class ProjectOut(NamedPlant, ResponseModel):
    project_id: str
    owner_id: str
    methodology: str = read("methodology_tag")
    choices: dict[str, str]
    capacity_w: int | None
    meter_ids: list[str]

    @classmethod
    def of(cls, project: Project) -> Self:
        return cls.joined(project, project.location, choices=dict(project.choices))


class ReadingsOut(ResponseModel):
    meter_id: str
    count: int
    generation_wh: int
    commitment: str = Field(description="SHA-256 over the canonical readings")
    batch_id: int = Field(description="number of the batch at the grid company's node")
    deduplicated: bool = Field(description="the same batch was there already, byte for byte: nothing was stored")


class MeterKeyOut(ResponseModel):
    meter_id: str
    public_key: str
    held_by: Literal["meter", "service"]
    why: str


class FindingOut(TextPair):
    severity: str
    count: int
    first_at: datetime | None


class PeriodOut(ClaimedProject, ResponseModel):
    """A claim with its workings: everything a verifier needs to derive the reduction again."""

    monitoring_period_id: str
    owner_id: str
    starts_at: datetime = read("period.start")
    ends_at: datetime = read("period.end")
    generation_wh: int
    methodology: str = read("tag")
    variant: dict[str, str]
    claimed_wh: int | None
    reduction_kg: int = read("reduction.reduction")
    buffer_kg: int = Field(description="of the reduction, withheld against reversal")
    factor_key: str | None
    factor_mg_per_kwh: int | None
    formula: str
    inputs: list[InputValue]
    parameters: list[CitedValue]
    steps: list[StepOut]
    parameter_hashes: dict[str, str]
    intervals_expected: int
    intervals_missing: int
    findings: list[FindingOut]
    verifier_id: str | None = read("statement?.verifier")
    issuance_id: str | None
    corrected_since: bool | None = Field(
        description="readings of the period were corrected after it was submitted; null while that is not known"
    )

    @classmethod
    def of(cls, claim: MonitoringPeriod, /, *, corrected_since: bool | None = False) -> Self:
        reduction = claim.reduction
        claimed, factor = reduction.step("claimed"), reduction.parameter("factor")
        return cls.joined(
            claim,
            reduction,
            generation_wh=claim.generation(),
            variant=dict(reduction.variant),
            claimed_wh=int(Fraction(claimed.value) * 1000) if claimed is not None and claimed.unit == "kWh" else None,
            commitment=claim.commitment(),
            factor_key=factor.key if factor is not None else None,
            factor_mg_per_kwh=mg_per_kwh(factor),
            formula=reduction.formula(),
            parameter_hashes=dict(reduction.parameter_hashes),
            intervals_expected=sum(total.intervals_expected for total in claim.totals),
            intervals_missing=sum(total.intervals_missing for total in claim.totals),
            corrected_since=corrected_since,
        )


class IssuedOut(ResponseModel):
    """What a period gave. `issuance_id` is null when less than a tonne came together: all of it is carried over."""

    issuance_id: str | None = read("issuance?.issuance_id")
    monitoring_period_id: str
    asset_class: str | None = read("issuance?.asset_class")
    quantity_kg: int = read("carried.issued", description="issued in whole tonnes, the buffer included")
    buffer_kg: int
    carried_in_kg: int
    carried_out_kg: int
    serials: list[str]

    @classmethod
    def joining(cls, issued: Issued, monitoring_period_id: str) -> Self:
        serials = [block.serial for block in issued.blocks]
        return cls.joined(issued, issued.carried, monitoring_period_id=monitoring_period_id, serials=serials)


class IssuanceOut(IssuedFor, ResponseModel):
    """Credits that exist: of a monitoring period, or minted for credits that another region's registry locked."""

    issuance_id: str
    monitoring_period_id: str | None = read("period_id")
    project_code: str
    vintage: int
    quantity_kg: int
    issued_at: datetime


class BalanceOut(ResponseModel):
    """One account. Amounts are fen for CNY and kg for credits; `available` is `posted` less what is set aside."""

    account: str = read("key.kind")
    asset: str = read("key.asset.code")
    reference: str = read("key.reference")
    posted: int
    held: int
    available: int


class CertificateOut(ResponseModel):
    """A retirement as anyone may see it."""

    certificate_number: str
    retired_by: str
    beneficiary: str
    purpose: str
    quantity_kg: int
    serials: list[str]
    retired_at: datetime


class PostingOut(ResponseModel):
    owner_id: str
    account: str
    asset: str
    reference: str
    amount: int
    balance_after: int


class EntryOut(ResponseModel):
    entry_id: int
    kind: str
    reference: str
    at: datetime
    hash: str
    postings: list[PostingOut]


class HeadOut(ResponseModel):
    """The ledger's last entry: keep the hash, and nothing before it can change unnoticed."""

    entry_id: int
    hash: str
