"""Organisations: everyone who may own an account or act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select, update

from financing.base.errors import AlreadyExists, NotFound
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store
from financing.ledger.tables import OrganisationRow

organisation = table_of(OrganisationRow)
_ORDER = (organisation.c.kind, organisation.c.id)
_PROVED = organisation.c.subject_proved_at.is_not(None)


@dataclass(frozen=True, slots=True)
class Organisation:
    """`kind`: one of `financing.base.authority.KINDS`.

    `subject_id` is the id under which banks know a firm as a customer, once the firm has proved with the subject's key
    that it is its own; None until then, and for organisations that are not scored. Only who admitted a firm invites its
    first administrator.
    """

    id: str
    kind: str
    name_zh: str
    name_en: str
    subject_id: str | None = None
    admitted_by: str | None = None


class OrganisationStore(Store):
    def add(self, new: Organisation, at: datetime) -> None:
        """Raises `AlreadyExists` for an id that is taken."""
        if self._find(new.id) is not None:
            raise AlreadyExists("this organisation is registered", organisation_id=new.id)
        self._add(organisation, new, created_at=at, subject_proved_at=None if new.subject_id is None else at)

    def bind_subject(self, organisation_id: str, subject_id: str, at: datetime) -> Organisation:
        """Keep the customer that the organisation has proved to be. Raises `AlreadyExists` if either is bound."""
        holder = self.of_subject(subject_id)
        if holder is not None or self.get(organisation_id).subject_id is not None:
            raise AlreadyExists("this customer or this organisation is bound already", organisation_id=organisation_id)
        # What a registry claimed before proofs were asked for makes room for who proves it.
        claimed = update(organisation).where(organisation.c.subject_id == subject_id)
        self._connection.execute(claimed.values(subject_id=None))
        bound = update(organisation).where(organisation.c.id == organisation_id)
        self._connection.execute(bound.values(subject_id=subject_id, subject_proved_at=at))
        return self.get(organisation_id)

    def get(self, organisation_id: str) -> Organisation:
        row = self._find(organisation_id)
        if row is None:
            raise NotFound("no such organisation", organisation_id=organisation_id)
        return _organisation(row)

    def require_kind(self, organisation_id: str, *kinds: str) -> Organisation:
        """The organisation; raises `NotFound` unless it exists and is of one of these kinds."""
        party = self.get(organisation_id)
        if party.kind not in kinds:
            raise NotFound(f"no such {' or '.join(kinds)}", organisation_id=organisation_id)
        return party

    def exchange(self) -> Organisation:
        """The exchange that collects fees. Raises `NotFound` when there is none."""
        query = select(organisation).where(organisation.c.kind == "exchange").order_by(organisation.c.id).limit(1)
        return _organisation(self._one(query, "there is no exchange"))

    def all(self, *kinds: str, window: Window = ALL) -> Page[Organisation]:
        """Organisations of these kinds, of every kind if none is named, by kind and id."""
        query = select(organisation)
        if kinds:
            query = query.where(organisation.c.kind.in_(kinds))
        return page_of(self._connection, query, [Key(column) for column in _ORDER], window, _organisation)

    def find(self, organisation_id: str) -> Organisation | None:
        """The organisation, or None if it is not on record."""
        row = self._find(organisation_id)
        return None if row is None else _organisation(row)

    def of_subject(self, subject_id: str) -> Organisation | None:
        """The firm that banks know as this customer, if it takes part."""
        query = select(organisation).where(organisation.c.subject_id == subject_id, _PROVED)
        row = self._connection.execute(query).first()
        return None if row is None else _organisation(row)

    def scored(self) -> list[Organisation]:
        """Firms that banks know as customers, by kind and id."""
        query = select(organisation).where(organisation.c.subject_id.is_not(None), _PROVED)
        return [_organisation(row) for row in self._connection.execute(query.order_by(*_ORDER))]

    def _find(self, organisation_id: str) -> Row[tuple[object, ...]] | None:
        return self._connection.execute(select(organisation).where(organisation.c.id == organisation_id)).first()


def _organisation(row: Row[tuple[object, ...]]) -> Organisation:
    subject_id = None if row.subject_proved_at is None else row.subject_id
    return Organisation(row.id, row.kind, row.name_zh, row.name_en, subject_id, row.admitted_by)
