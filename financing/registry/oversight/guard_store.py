"""Claims under other schemes, green-electricity certificates and energy links, on one connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from financing.base.errors import AlreadyExists
from financing.base.quantities import Period
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.registry.oversight.overlap import ExternalClaim, GreenCertificate, RivalClaim, Subject, SubjectKind
from financing.registry.oversight.tables import EnergyLinkRow, ExternalClaimRow, GreenCertificateRow, VehicleClaimRow
from financing.registry.verification.period_store import claim_t, period_t

external_t = table_of(ExternalClaimRow)
certificate_t = table_of(GreenCertificateRow)
link_t = table_of(EnergyLinkRow)
vehicle_t = table_of(VehicleClaimRow)


class GuardStore(Store):
    def add_external(self, claim: ExternalClaim, *, recorded_by: str, at: datetime) -> None:
        known = self._connection.execute(
            select(external_t.c.id).where(
                external_t.c.scheme == claim.scheme,
                external_t.c.subject_kind == claim.subject.kind,
                external_t.c.subject_id == claim.subject.subject_id,
                external_t.c.starts_at == claim.period.start,
                external_t.c.reference == claim.reference,
            )
        ).first()
        if known is not None:
            raise AlreadyExists("this claim is on record", claim_id=known.id)
        self._add(
            external_t,
            claim,
            claim.subject,
            id=claim.claim_id,
            subject_kind=claim.subject.kind,
            starts_at=claim.period.start,
            ends_at=claim.period.end,
            recorded_by=recorded_by,
            recorded_at=at,
        )

    def external(self, subjects: Sequence[Subject] | None = None, *, window: Window = ALL) -> Page[ExternalClaim]:
        """Claims elsewhere about any of these subjects; all of them for None, in the order they were recorded."""
        query = select(external_t)
        if subjects is not None:
            query = query.where(
                or_(
                    False,
                    *(
                        and_(external_t.c.subject_kind == each.kind, external_t.c.subject_id == each.subject_id)
                        for each in subjects
                    ),
                )
            )
        keys = (Key(external_t.c.recorded_at), Key(external_t.c.id))
        return page_of(self._connection, query, keys, window, _external)

    def add_certificate(self, certificate: GreenCertificate, *, recorded_by: str, at: datetime) -> None:
        known = select(certificate_t).where(certificate_t.c.certificate_number == certificate.certificate_number)
        if self._connection.execute(known).first() is not None:
            raise AlreadyExists("this certificate is on record", certificate_number=certificate.certificate_number)
        self._add(
            certificate_t,
            certificate,
            starts_at=certificate.period.start,
            ends_at=certificate.period.end,
            period_id=certificate.claim_id,
            recorded_by=recorded_by,
            recorded_at=at,
        )

    def certificate(self, certificate_number: str) -> GreenCertificate:
        query = select(certificate_t).where(certificate_t.c.certificate_number == certificate_number)
        return _certificate(self._one(query, "no such certificate", certificate_number=certificate_number))

    def certificates(self, meter_ids: Iterable[str] | None = None, *, window: Window = ALL) -> Page[GreenCertificate]:
        """Certificates of these meters, of every meter for None, by number."""
        query = select(certificate_t)
        if meter_ids is not None:
            query = query.where(certificate_t.c.meter_id.in_(list(meter_ids)))
        return page_of(self._connection, query, (Key(certificate_t.c.certificate_number),), window, _certificate)

    def set_certificate(self, certificate_number: str, state: str, claim_id: str | None) -> None:
        self._connection.execute(
            update(certificate_t)
            .where(certificate_t.c.certificate_number == certificate_number)
            .values(state=state, period_id=claim_id)
        )

    def settle(self, claim_id: str, state: str) -> int:
        """What became of the certificates that a claim froze: cancelled with issuance, available with rejection."""
        keeps = claim_id if state == "cancelled" else None
        return self._connection.execute(
            update(certificate_t)
            .where(certificate_t.c.period_id == claim_id, certificate_t.c.state == "frozen")
            .values(state=state, period_id=keeps)
        ).rowcount

    def add_link(self, source_meter: str, sink: Subject, *, declared_by: str, at: datetime) -> None:
        try:
            with self._connection.begin_nested():
                self._connection.execute(
                    insert(link_t).values(
                        source_meter=source_meter,
                        sink_kind=sink.kind,
                        sink_id=sink.subject_id,
                        declared_by=declared_by,
                        declared_at=at,
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists("this link is declared", source_meter=source_meter, sink_id=sink.subject_id) from error

    def links(self) -> list[tuple[str, Subject]]:
        rows = self._connection.execute(select(link_t).order_by(link_t.c.source_meter, link_t.c.sink_id))
        return [(row.source_meter, Subject(cast(SubjectKind, row.sink_kind), row.sink_id)) for row in rows]

    def rivals(self, meter_ids: Sequence[str], vehicles: Sequence[str] = ()) -> list[RivalClaim]:
        """Claims that were not rejected on the other end of an energy link of these meters or vehicles."""
        other_meter = [
            # mine is the sink (a pile): whoever claims the source's energy
            (link_t.c.source_meter, and_(link_t.c.sink_kind == "meter", link_t.c.sink_id.in_(list(meter_ids)))),
            # mine is the vehicle: the pile that fills it
            (link_t.c.source_meter, and_(link_t.c.sink_kind == "vehicle", link_t.c.sink_id.in_(list(vehicles)))),
            # mine is the source (a PV plant): whoever claims at the sink
            (link_t.c.sink_id, and_(link_t.c.sink_kind == "meter", link_t.c.source_meter.in_(list(meter_ids)))),
        ]
        rivals: list[RivalClaim] = []
        for meter, mine in other_meter:
            rows = self._connection.execute(
                select(link_t, period_t.c.id, period_t.c.starts_at, period_t.c.ends_at)
                .join(claim_t, claim_t.c.meter_id == meter)
                .join(period_t, period_t.c.id == claim_t.c.period_id)
                .where(mine, period_t.c.state != "rejected")
            )
            rivals += [
                RivalClaim(
                    row.id,
                    row.source_meter,
                    Subject(cast(SubjectKind, row.sink_kind), row.sink_id),
                    Period(row.starts_at, row.ends_at),
                )
                for row in rows
            ]
        return rivals + self._vehicle_rivals(meter_ids, vehicles)

    def add_vehicles(self, claim_id: str, vehicles: Sequence[str]) -> None:
        """The vehicles that a claim is about; each once."""
        if vehicles:
            self._connection.execute(
                insert(vehicle_t), [{"period_id": claim_id, "vehicle_id": each} for each in sorted(set(vehicles))]
            )

    def _vehicle_rivals(self, meter_ids: Sequence[str], vehicles: Sequence[str]) -> list[RivalClaim]:
        """Claims on the same vehicles, or on vehicles that one of these meters fills."""
        filled = select(link_t.c.sink_id).where(
            link_t.c.sink_kind == "vehicle", link_t.c.source_meter.in_(list(meter_ids))
        )
        rows = self._connection.execute(
            select(vehicle_t.c.vehicle_id, period_t.c.id, period_t.c.starts_at, period_t.c.ends_at)
            .join(period_t, period_t.c.id == vehicle_t.c.period_id)
            .where(
                or_(vehicle_t.c.vehicle_id.in_(list(vehicles)), vehicle_t.c.vehicle_id.in_(filled)),
                period_t.c.state != "rejected",
            )
        )
        return [
            RivalClaim(
                row.id, ", ".join(meter_ids), Subject("vehicle", row.vehicle_id), Period(row.starts_at, row.ends_at)
            )
            for row in rows
        ]


def _external(row: Row[Any]) -> ExternalClaim:
    subject = Subject(cast(SubjectKind, row.subject_kind), row.subject_id)
    return ExternalClaim(row.id, row.scheme, subject, Period(row.starts_at, row.ends_at), row.reference)


def _certificate(row: Row[Any]) -> GreenCertificate:
    return value_of(GreenCertificate, row, period=Period(row.starts_at, row.ends_at), claim_id=row.period_id)
