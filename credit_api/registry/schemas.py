"""Oversight, packages, cross-region transfers and the overlap guard over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
from financing.registry.credits.serial_store import SerialStay
from financing.registry.oversight.overlap import ExternalClaim, GreenCertificate
from financing.registry.oversight.overlap_guard import LinkEnergy
from financing.registry.oversight.store import Cancellation, Freeze, Suspension
from financing.registry.packages.commands import Packed, Redeemed
from financing.registry.packages.model import Package
from financing.registry.packages.store import Breakdown, Constituent
from financing.registry.transfers.model import Transfer


class FreezeOut(ResponseModel):
    freeze_id: str
    issuance_id: str
    first_kg: int
    last_kg: int
    reason: str
    state: str
    ordered_by: str
    ordered_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, order: Freeze) -> Self:
        return cls(
            freeze_id=order.freeze_id,
            issuance_id=order.issuance_id,
            first_kg=order.first_kg,
            last_kg=order.last_kg,
            reason=order.reason,
            state=order.state,
            ordered_by=order.ordered_by,
            ordered_at=order.ordered_at,
            closed_at=order.closed_at,
        )


class CancellationOut(ResponseModel):
    """Credits withdrawn without use: no certificate comes of it. `ground`: voluntary, revoked or reversal."""

    cancellation_id: str
    owner_id: str
    ordered_by: str
    issuance_id: str
    quantity_kg: int
    ground: str
    reason: str
    serials: list[str]
    cancelled_at: datetime

    @classmethod
    def of(cls, done: Cancellation) -> Self:
        return cls(
            cancellation_id=done.cancellation_id,
            owner_id=done.owner_id,
            ordered_by=done.ordered_by,
            issuance_id=done.issuance_id,
            quantity_kg=done.quantity.kg,
            ground=done.ground,
            reason=done.reason,
            serials=list(done.serials),
            cancelled_at=done.cancelled_at,
        )


class CancellationsOut(ResponseModel):
    cancellations: list[CancellationOut]

    @classmethod
    def of(cls, done: Iterable[Cancellation]) -> Self:
        return cls(cancellations=[CancellationOut.of(each) for each in done])


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


class StayOut(ResponseModel):
    """Kilograms in one account, from an entry on and until another (null: still there)."""

    first_kg: int
    last_kg: int
    owner_id: str
    account: str
    reference: str
    entry_kind: str
    at: datetime
    since_entry_id: int
    until_entry_id: int | None

    @classmethod
    def of(cls, stay: SerialStay) -> Self:
        return cls(
            first_kg=stay.first_kg,
            last_kg=stay.last_kg,
            owner_id=stay.owner_id,
            account=stay.account,
            reference=stay.reference,
            entry_kind=stay.entry_kind,
            at=stay.at,
            since_entry_id=stay.since_entry_id,
            until_entry_id=stay.until_entry_id,
        )


class SerialHistoryOut(ResponseModel):
    serial: str
    issuance_id: str
    frozen: bool
    stays: list[StayOut]


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


class PackageOut(ResponseModel):
    """A standard product; one unit (`asset`) is one kilogram of credits in custody."""

    package_id: str
    code: str
    name: str
    registry_id: str
    asset: str
    asset_class: str
    methodologies: list[str]
    regions: list[str]
    vintage_first: int
    vintage_last: int
    capacity_w_max: int | None
    redemption: str
    state: str

    @classmethod
    def of(cls, package: Package) -> Self:
        return cls(
            package_id=package.package_id,
            code=package.code,
            name=package.name,
            registry_id=package.registry_id,
            asset=f"PKG:{package.package_id}",
            asset_class=package.asset_class,
            methodologies=list(package.criteria.methodologies),
            regions=list(package.criteria.regions),
            vintage_first=package.criteria.vintage_first,
            vintage_last=package.criteria.vintage_last,
            capacity_w_max=package.criteria.capacity_w_max,
            redemption=package.redemption.value,
            state=package.state,
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


class TransferOut(ResponseModel):
    """Credits on their way to another region; `mintable_kg` is what its registry mints for them."""

    transfer_id: str
    owner_id: str
    from_registry: str
    to_registry: str
    issuance_id: str
    quantity_kg: int
    mode: str
    mintable_kg: int
    serials: list[str]
    state: str
    minted_issuance_id: str | None
    locked_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, transfer: Transfer) -> Self:
        return cls(
            transfer_id=transfer.transfer_id,
            owner_id=transfer.owner_id,
            from_registry=transfer.from_registry,
            to_registry=transfer.to_registry,
            issuance_id=transfer.issuance_id,
            quantity_kg=transfer.quantity.kg,
            mode=transfer.mode,
            mintable_kg=transfer.mintable.kg,
            serials=list(transfer.serials),
            state=transfer.state,
            minted_issuance_id=transfer.minted_issuance_id,
            locked_at=transfer.locked_at,
            closed_at=transfer.closed_at,
        )


class ExternalClaimOut(ResponseModel):
    claim_id: str
    scheme: str
    subject_kind: str
    subject_id: str
    starts_at: datetime
    ends_at: datetime
    reference: str

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


class GreenCertificateOut(ResponseModel):
    certificate_number: str
    meter_id: str
    starts_at: datetime
    ends_at: datetime
    energy_wh: int
    state: str
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
