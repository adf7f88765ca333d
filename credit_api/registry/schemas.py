"""Oversight, packages, cross-region transfers and the overlap guard over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
from financing.registry.credits.model import SerialStay
from financing.registry.oversight.model import Cancellation, Suspension
from financing.registry.oversight.overlap import CertifiedEnergy, ClaimedElsewhere, ExternalClaim, GreenCertificate
from financing.registry.oversight.overlap_guard import LinkEnergy
from financing.registry.packages.commands import Packed, Redeemed
from financing.registry.packages.model import Breakdown, Constituent, Package, Product
from financing.registry.transfers.model import SentCredits, Transfer


class CancellationsOut(ResponseModel):
    cancellations: list[Cancellation]

    @classmethod
    def of(cls, done: Iterable[Cancellation]) -> Self:
        return cls(cancellations=list(done))


class SuspensionOut(ResponseModel):
    project_id: str
    suspended: bool
    reason: str | None
    ordered_at: datetime | None

    @classmethod
    def of(cls, project_id: str, order: Suspension | None) -> Self:
        return cls(
            project_id=project_id,
            suspended=order is not None,
            reason=order.reason if order else None,
            ordered_at=order.ordered_at if order else None,
        )


class SerialHistoryOut(ResponseModel):
    serial: str
    issuance_id: str
    frozen: bool
    stays: list[SerialStay]


class BreakdownOut(ResponseModel):
    methodology: str
    region: str
    vintage: int
    issuances: int
    quantity_kg: int

    @classmethod
    def of(cls, line: Breakdown) -> Self:
        return cls(
            methodology=line.methodology_tag,
            region=line.region,
            vintage=line.vintage,
            issuances=line.issuances,
            quantity_kg=line.quantity.kg,
        )


class PackageOut(Product, ResponseModel):
    """A standard product; one unit (`asset`) is one kilogram of credits in custody."""

    package_id: str
    asset: str
    methodologies: list[str]
    regions: list[str]
    vintage_first: int
    vintage_last: int
    capacity_w_max: int | None
    redemption: str

    @classmethod
    def of(cls, package: Package) -> Self:
        criteria = package.criteria
        return cls(
            **package.model_dump(include=set(Product.model_fields)),
            package_id=package.package_id,
            asset=f"PKG:{package.package_id}",
            methodologies=list(criteria.methodologies),
            regions=list(criteria.regions),
            vintage_first=criteria.vintage_first,
            vintage_last=criteria.vintage_last,
            capacity_w_max=criteria.capacity_w_max,
            redemption=package.redemption.value,
        )


class PackageContentOut(ResponseModel):
    """What is behind a package's units, by methodology, region and vintage, and its value at the class's mark."""

    package: PackageOut
    quantity_kg: int
    value_fen: int | None = Field(description="null while the class has no usable price")
    breakdown: list[BreakdownOut]


class ConstituentOut(ResponseModel):
    issuance_id: str
    project_code: str
    methodology: str
    region: str
    vintage: int
    last_day: date
    quantity_kg: int
    serials: list[str]

    @classmethod
    def of(cls, each: Constituent, serials: list[str]) -> Self:
        return cls(
            issuance_id=each.issuance_id,
            project_code=each.project_code,
            methodology=each.methodology_tag,
            region=each.region,
            vintage=each.vintage,
            last_day=each.last_day,
            quantity_kg=each.quantity.kg,
            serials=serials,
        )


class PackedOut(ResponseModel):
    entry_id: int
    issuances: int
    quantity_kg: int

    @classmethod
    def of(cls, packed: Packed) -> Self:
        return cls(entry_id=packed.entry_id, issuances=packed.issuances, quantity_kg=packed.quantity.kg)


class RedeemedOut(ResponseModel):
    entry_id: int
    quantity_kg: int
    serials: list[str]

    @classmethod
    def of(cls, redeemed: Redeemed) -> Self:
        return cls(
            entry_id=redeemed.entry_id,
            quantity_kg=redeemed.quantity.kg,
            serials=[block.serial for block in redeemed.blocks],
        )


class TransferOut(SentCredits, ResponseModel):
    """Credits on their way to another region; `mintable_kg` is what its registry mints for them."""

    quantity_kg: int
    mintable_kg: int
    state: str
    closed_at: datetime | None

    @classmethod
    def of(cls, transfer: Transfer) -> Self:
        return cls(
            **transfer.model_dump(include=set(SentCredits.model_fields)),
            quantity_kg=transfer.quantity.kg,
            mintable_kg=transfer.mintable.kg,
            state=transfer.state,
            closed_at=transfer.closed_at,
        )


class ExternalClaimOut(ClaimedElsewhere, ResponseModel):
    claim_id: str
    starts_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, claim: ExternalClaim) -> Self:
        return cls(
            claim_id=claim.claim_id,
            scheme=claim.scheme,
            subject_kind=claim.subject.kind,
            subject_id=claim.subject.subject_id,
            starts_at=claim.period.start,
            ends_at=claim.period.end,
            reference=claim.reference,
        )


class GreenCertificateOut(CertifiedEnergy, ResponseModel):
    starts_at: datetime
    ends_at: datetime
    energy_wh: int
    monitoring_period_id: str | None

    @classmethod
    def of(cls, certificate: GreenCertificate) -> Self:
        return cls(
            certificate_number=certificate.certificate_number,
            meter_id=certificate.meter_id,
            starts_at=certificate.period.start,
            ends_at=certificate.period.end,
            energy_wh=certificate.energy.wh,
            state=certificate.state,
            monitoring_period_id=certificate.claim_id,
        )


class EnergyLinkOut(ResponseModel):
    source_meter: str
    sink_kind: str
    sink_id: str

    @classmethod
    def of(cls, link: LinkEnergy) -> Self:
        return cls.model_validate(link.model_dump())
