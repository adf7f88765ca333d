"""Oversight, packages, cross-region transfers and the overlap guard over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel, read
from financing.registry.credits.model import SerialStay
from financing.registry.oversight.model import Cancellation, Suspension
from financing.registry.oversight.overlap import CertifiedEnergy, ClaimedElsewhere, ExternalClaim
from financing.registry.packages.commands import Redeemed
from financing.registry.packages.model import Package, Product
from financing.registry.transfers.messages import TransferMessage
from financing.registry.transfers.model import SentCredits


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
    def of(cls, order: Suspension) -> Self:
        return cls.joined(order, suspended=True)

    @classmethod
    def lifted(cls, project_id: str) -> Self:
        return cls(project_id=project_id, suspended=False, reason=None, ordered_at=None)


class SerialHistoryOut(ResponseModel):
    serial: str
    issuance_id: str
    frozen: bool
    stays: list[SerialStay]


class BreakdownOut(ResponseModel):
    methodology: str = read("methodology_tag")
    region: str
    vintage: int
    issuances: int
    quantity_kg: int


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
        return cls.joined(package, package.criteria, asset=f"PKG:{package.package_id}")


class PackageContentOut(ResponseModel):
    """What is behind a package's units, by methodology, region and vintage, and its value at the class's mark."""

    package: PackageOut
    quantity_kg: int
    value_fen: int | None = Field(description="null while the class has no usable price")
    breakdown: list[BreakdownOut]


class ConstituentOut(ResponseModel):
    issuance_id: str
    project_code: str
    methodology: str = read("methodology_tag")
    region: str
    vintage: int
    last_day: date
    quantity_kg: int
    serials: list[str]


class PackedOut(ResponseModel):
    entry_id: int
    issuances: int
    quantity_kg: int


class RedeemedOut(ResponseModel):
    entry_id: int
    quantity_kg: int
    serials: list[str]

    @classmethod
    def of(cls, redeemed: Redeemed) -> Self:
        return cls.joined(redeemed, serials=[block.serial for block in redeemed.blocks])


class TransferOut(SentCredits, ResponseModel):
    """Credits on their way to another region; `mintable_kg` is what its registry mints for them."""

    quantity_kg: int
    mintable_kg: int
    state: str
    closed_at: datetime | None


class MessagesOut(ResponseModel):
    """What two registries signed of a transfer, as far as it is there."""

    export: TransferMessage | None
    receipt: TransferMessage | None


class ExternalClaimOut(ClaimedElsewhere, ResponseModel):
    claim_id: str
    starts_at: datetime = read("period.start")
    ends_at: datetime = read("period.end")

    @classmethod
    def of(cls, claim: ExternalClaim) -> Self:
        return cls.joined(claim, claim.subject, subject_kind=claim.subject.kind)


class GreenCertificateOut(CertifiedEnergy, ResponseModel):
    starts_at: datetime = read("period.start")
    ends_at: datetime = read("period.end")
    energy_wh: int
    monitoring_period_id: str | None = read("claim_id")


class EnergyLinkOut(ResponseModel):
    source_meter: str
    sink_kind: str
    sink_id: str
