"""One claim for one benefit: what may stand beside a claim of ours, and what must not.

Energy that was certified as green electricity is claimed once: a certificate that was sold takes its energy out of the
claim; any other is frozen while credits are claimed on the same energy and cancelled when they are issued
(国能综通新能〔2024〕124号). Subjects registered under CCER, VCS, GS or CDM, or inside an ETS boundary, claim nothing
here for that time. A PV plant, the charging pile it feeds and the vehicle it fills do not claim the same kilowatt-hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from financing.base.errors import DoubleClaim, QuantityOutOfRange
from financing.base.quantities import Energy, Period

SubjectKind = Literal["meter", "site", "vehicle"]


@dataclass(frozen=True, slots=True)
class Subject:
    kind: SubjectKind
    subject_id: str


class ClaimedElsewhere(BaseModel):
    """What row and answer of a claim elsewhere share: the scheme, the subject, and the scheme's own reference."""

    scheme: str
    subject_kind: str
    subject_id: str
    reference: str


class CertifiedEnergy(BaseModel):
    """What row and answer of a green-electricity certificate share."""

    certificate_number: str
    meter_id: str
    state: str


@dataclass(frozen=True, slots=True)
class ExternalClaim:
    """What another scheme has on record about a subject, and for which time."""

    claim_id: str
    scheme: str
    subject: Subject
    period: Period
    reference: str


@dataclass(frozen=True, slots=True)
class GreenCertificate:
    """A green-electricity certificate on a meter's energy in a stretch of time."""

    certificate_number: str
    meter_id: str
    period: Period
    energy: Energy
    state: str
    claim_id: str | None = None


@dataclass(frozen=True, slots=True)
class RivalClaim:
    """A claim of this scheme on energy that reaches, or comes from, the same subject."""

    monitoring_period_id: str
    source_meter: str
    sink: Subject
    period: Period


def require_unregistered(period: Period, claims: Iterable[ExternalClaim]) -> None:
    """Raise `DoubleClaim` if a subject is on record elsewhere for any of the time."""
    for claim in claims:
        if claim.period.overlaps(period):
            raise DoubleClaim(
                f"{claim.subject.kind} {claim.subject.subject_id} is registered under {claim.scheme} for this time",
                scheme=claim.scheme,
                reference=claim.reference,
                subject_id=claim.subject.subject_id,
            )


def require_sold_energy_left_out(
    period: Period, certificates: Iterable[GreenCertificate], green_power_sold: Energy
) -> None:
    """Raise `DoubleClaim` when certificates that were sold cover more than the claim leaves out.

    A certificate that only partly lies in the period counts in full: its energy cannot be told apart.
    """
    sold = sum(
        (each.energy for each in certificates if each.state == "sold" and each.period.overlaps(period)), Energy(0)
    )
    if sold > green_power_sold:
        raise DoubleClaim(
            "certificates on this energy were sold: leave it out of the claim",
            sold_wh=sold.wh,
            green_power_sold_wh=green_power_sold.wh,
        )


def to_freeze(period: Period, certificates: Iterable[GreenCertificate]) -> list[GreenCertificate]:
    """The certificates that a claim on `period` freezes. Raises `DoubleClaim` for one that another claim used."""
    chosen = []
    for each in certificates:
        if not each.period.overlaps(period):
            continue
        if each.state in {"frozen", "cancelled"}:
            raise DoubleClaim(
                "a certificate on this energy belongs to another claim",
                certificate_number=each.certificate_number,
                claimed_by=each.claim_id,
            )
        if each.state == "available":
            chosen.append(each)
    return chosen


def require_no_rival(period: Period, rivals: Iterable[RivalClaim]) -> None:
    """Raise `DoubleClaim` when the source or the sink of the same energy is claimed for any of the time."""
    for rival in rivals:
        if rival.period.overlaps(period):
            raise DoubleClaim(
                f"the energy between meter {rival.source_meter} and {rival.sink.kind} {rival.sink.subject_id}"
                " is claimed already",
                claimed_by=rival.monitoring_period_id,
            )


def require_certifiable(certificate: GreenCertificate, at: datetime) -> None:
    """Raise `QuantityOutOfRange` for a certificate without energy or on time that has not passed."""
    certificate.energy.require_positive()
    if certificate.period.end > at:
        raise QuantityOutOfRange("a certificate is on energy that was generated", ends_at=str(certificate.period.end))
