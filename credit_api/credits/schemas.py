"""Projects, readings, monitoring periods, issuances, holdings and retirements over HTTP."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel, TextPair
from credit_api.measuring.workings import StepOut, mg_per_kwh
from financing.ledger.store import Balance
from financing.registry.credits.commands import Issued
from financing.registry.credits.model import Issuance, IssuedFor
from financing.registry.metering.node.port import Receipt
from financing.registry.metering.readings import ReadingBatch
from financing.registry.methodology.reduction import CitedValue, InputValue
from financing.registry.projects.model import NamedPlant, Project
from financing.registry.retirement.model import Retirement
from financing.registry.verification.monitoring import ClaimedProject, MonitoringPeriod


class ProjectOut(NamedPlant, ResponseModel):
    project_id: str
    owner_id: str
    methodology: str
    choices: dict[str, str]
    capacity_w: int | None
    meter_ids: list[str]

    @classmethod
    def of(cls, project: Project) -> Self:
        return cls(
            project_id=project.project_id,
            code=project.code,
            owner_id=project.owner,
            name=project.name,
            methodology=project.methodology_tag,
            choices=dict(project.choices),
            capacity_w=project.capacity_w,
            grid_connected_on=project.grid_connected_on,
            region=project.location.region,
            meter_ids=list(project.meter_ids),
        )


class ReadingsOut(ResponseModel):
    meter_id: str
    count: int
    generation_wh: int
    commitment: str = Field(description="SHA-256 over the canonical readings")
    batch_id: int = Field(description="number of the batch at the grid company's node")
    deduplicated: bool = Field(description="the same batch was there already, byte for byte: nothing was stored")

    @classmethod
    def of(cls, batch: ReadingBatch, receipt: Receipt) -> Self:
        return cls(
            meter_id=batch.meter_id,
            count=len(batch),
            generation_wh=batch.generation().wh,
            commitment=receipt.commitment,
            batch_id=receipt.batch_id,
            deduplicated=receipt.deduplicated,
        )


class FindingOut(TextPair):
    severity: str
    count: int
    first_at: datetime | None


class PeriodOut(ClaimedProject, ResponseModel):
    """A claim with its workings: everything a verifier needs to derive the reduction again."""

    monitoring_period_id: str
    owner_id: str
    starts_at: datetime
    ends_at: datetime
    generation_wh: int
    methodology: str
    variant: dict[str, str]
    claimed_wh: int | None
    reduction_kg: int
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
    verifier_id: str | None
    issuance_id: str | None
    corrected_since: bool = Field(description="readings of the period were corrected after it was submitted")

    @classmethod
    def of(cls, claim: MonitoringPeriod, *, corrected_since: bool = False) -> Self:
        reduction = claim.reduction
        claimed, factor = reduction.step("claimed"), reduction.parameter("factor")
        return cls(
            monitoring_period_id=claim.monitoring_period_id,
            project_id=claim.project_id,
            owner_id=claim.owner,
            starts_at=claim.period.start,
            ends_at=claim.period.end,
            state=claim.state.value,
            generation_wh=claim.generation().wh,
            methodology=reduction.tag,
            variant=dict(reduction.variant),
            claimed_wh=int(Fraction(claimed.value) * 1000) if claimed is not None and claimed.unit == "kWh" else None,
            reduction_kg=reduction.reduction.kg,
            buffer_kg=reduction.buffer.kg,
            commitment=claim.commitment(),
            factor_key=factor.key if factor is not None else None,
            factor_mg_per_kwh=mg_per_kwh(factor),
            formula=reduction.formula(),
            inputs=list(reduction.inputs),
            parameters=list(reduction.parameters),
            steps=[StepOut.of(each) for each in reduction.steps],
            parameter_hashes=dict(reduction.parameter_hashes),
            intervals_expected=sum(total.intervals_expected for total in claim.totals),
            intervals_missing=sum(total.intervals_missing for total in claim.totals),
            findings=[
                FindingOut(
                    code=finding.code,
                    zh=finding.zh,
                    en=finding.en,
                    severity=finding.severity,
                    count=finding.count,
                    first_at=finding.first_at,
                )
                for finding in claim.findings
            ],
            verifier_id=claim.statement.verifier if claim.statement else None,
            issuance_id=claim.issuance_id,
            corrected_since=corrected_since,
        )


class IssuedOut(ResponseModel):
    """What a period gave. `issuance_id` is null when less than a tonne came together: all of it is carried over."""

    issuance_id: str | None
    monitoring_period_id: str
    asset_class: str | None
    quantity_kg: int = Field(description="issued in whole tonnes, the buffer included")
    buffer_kg: int
    carried_in_kg: int
    carried_out_kg: int
    serials: list[str]

    @classmethod
    def of(cls, issued: Issued, monitoring_period_id: str) -> Self:
        carried = issued.carried
        return cls(
            issuance_id=issued.issuance.issuance_id if issued.issuance else None,
            monitoring_period_id=monitoring_period_id,
            asset_class=issued.issuance.asset_class if issued.issuance else None,
            quantity_kg=carried.issued.kg,
            buffer_kg=carried.buffer.kg,
            carried_in_kg=carried.carried_in.kg,
            carried_out_kg=carried.carried_out.kg,
            serials=[block.serial for block in issued.blocks],
        )


class IssuanceOut(IssuedFor, ResponseModel):
    """Credits that exist: of a monitoring period, or minted for credits that another region's registry locked."""

    issuance_id: str
    monitoring_period_id: str | None
    project_code: str
    vintage: int
    quantity_kg: int
    issued_at: datetime

    @classmethod
    def of(cls, issuance: Issuance) -> Self:
        return cls(
            issuance_id=issuance.issuance_id,
            registry_id=issuance.registry_id,
            monitoring_period_id=issuance.period_id,
            transfer_id=issuance.transfer_id,
            project_id=issuance.project_id,
            project_code=issuance.project_code,
            owner_id=issuance.owner_id,
            asset_class=issuance.asset_class,
            vintage=issuance.vintage,
            quantity_kg=issuance.quantity.kg,
            issued_at=issuance.issued_at,
        )


class BalanceOut(ResponseModel):
    """One account. Amounts are fen for CNY and kg for credits; `available` is `posted` less what is set aside."""

    account: str
    asset: str
    reference: str
    posted: int
    held: int
    available: int

    @classmethod
    def of(cls, balance: Balance) -> Self:
        return cls(
            account=balance.key.kind.value,
            asset=balance.key.asset.code,
            reference=balance.key.reference,
            posted=balance.posted,
            held=balance.held,
            available=balance.available,
        )


class CertificateOut(ResponseModel):
    """A retirement as anyone may see it."""

    certificate_number: str
    retired_by: str
    beneficiary: str
    purpose: str
    quantity_kg: int
    serials: list[str]
    retired_at: datetime

    @classmethod
    def of(cls, retirement: Retirement) -> Self:
        return cls(
            certificate_number=retirement.certificate_number,
            retired_by=retirement.retired_by,
            beneficiary=retirement.beneficiary,
            purpose=retirement.purpose,
            quantity_kg=retirement.quantity.kg,
            serials=list(retirement.serials),
            retired_at=retirement.retired_at,
        )


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
