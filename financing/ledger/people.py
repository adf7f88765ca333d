"""The people who act for organisations, and commands that wait for the second of two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, func, select, update

from financing.base.authority import Role
from financing.base.errors import InvalidState
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.tables import PersonRow, ProposalRow

person_t = table_of(PersonRow)
proposal_t = table_of(ProposalRow)
Word = Literal["confirmed", "refused"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts for an organisation in some roles, until `ended_at`. The name is personal: it is in no log."""

    person_id: str
    organisation_id: str
    name: str
    roles: frozenset[Role]
    created_at: datetime
    ended_at: datetime | None = None


class Proposal(BaseModel):
    """A command that one person made and that waits for, or has had, the word of another of the same organisation.

    Nothing has happened while `outcome` is null; confirmed, the command was carried out at `decided_at`.
    """

    model_config = ConfigDict(frozen=True)

    proposal_id: str
    organisation_id: str
    command: str
    object_id: str = Field(description="what it is about: a loan, an asset class, a person, a role")
    arguments: dict[str, Any]
    why: str = Field(description="why it takes two people")
    maker: str
    made_at: datetime
    checker: str | None = None
    outcome: Word | None = None
    decided_at: datetime | None = None


class PeopleStore(Store):
    def add(self, new: Person) -> None:
        self._add(person_t, new, id=new.person_id, roles=in_words(new.roles))

    def get(self, person_id: str, organisation_id: str) -> Person:
        """A person of an organisation. Raises `NotFound`, for another organisation's too."""
        query = select(person_t).where(person_t.c.id == person_id, person_t.c.organisation_id == organisation_id)
        return _person(self._one(query, "no such person", person_id=person_id))

    def is_person(self, person_id: str) -> bool:
        """Whether this is a person, of today or before; a machine is none, nor a name from before there were people."""
        query = select(func.count()).where(person_t.c.id == person_id)
        return bool(self._connection.execute(query).scalar_one())

    def of(self, organisation_id: str, window: Window = ALL) -> Page[Person]:
        """An organisation's people, those who left too, by the time they came."""
        query = select(person_t).where(person_t.c.organisation_id == organisation_id)
        return page_of(self._connection, query, [Key(person_t.c.created_at), Key(person_t.c.id)], window, _person)

    def count(self, organisation_id: str, role: Role | None = None) -> int:
        """How many act for an organisation today, in a role if one is named."""
        query = select(func.count()).where(
            person_t.c.organisation_id == organisation_id, person_t.c.ended_at.is_(None), *_has(role)
        )
        return int(self._connection.execute(query).scalar_one())

    def end(self, person: Person, at: datetime) -> None:
        """From now on the person acts for nobody. Raises `InvalidState` for one who left before."""
        if person.ended_at is not None:
            raise InvalidState("this person has left already", person_id=person.person_id)
        self._connection.execute(update(person_t).where(person_t.c.id == person.person_id).values(ended_at=at))


class ProposalStore(Store):
    def add(self, new: Proposal) -> None:
        self._add(proposal_t, new, id=new.proposal_id)

    def get(self, proposal_id: str, organisation_id: str) -> Proposal:
        """A proposal of an organisation. Raises `NotFound`, for another organisation's too."""
        query = select(proposal_t).where(
            proposal_t.c.id == proposal_id, proposal_t.c.organisation_id == organisation_id
        )
        return _proposal(self._one(query, "no such proposal", proposal_id=proposal_id))

    def of(self, organisation_id: str, window: Window = ALL, *, waiting: bool = False) -> Page[Proposal]:
        """An organisation's proposals, newest first; only those that nobody has decided if `waiting`."""
        query = select(proposal_t).where(proposal_t.c.organisation_id == organisation_id)
        if waiting:
            query = query.where(proposal_t.c.outcome.is_(None))
        keys = (Key(proposal_t.c.made_at, descending=True), Key(proposal_t.c.id, descending=True))
        return page_of(self._connection, query, keys, window, _proposal)

    def decide(self, proposal: Proposal, checker: str, outcome: Word, at: datetime) -> None:
        """Put the second person's word on record. Raises `InvalidState` for a proposal that was decided before."""
        done = self._connection.execute(
            update(proposal_t)
            .where(proposal_t.c.id == proposal.proposal_id, proposal_t.c.outcome.is_(None))
            .values(checker=checker, outcome=outcome, decided_at=at)
        )
        if not done.rowcount:
            raise InvalidState("the proposal was decided already", proposal_id=proposal.proposal_id)


def in_words(roles: Iterable[Role]) -> str:
    """Roles as they are stored: words between spaces, so that the schema can look for one."""
    return " ".join(sorted(role.value for role in roles))


def from_words(roles: str) -> frozenset[Role]:
    return frozenset(Role(word) for word in roles.split())


def _has(role: Role | None) -> list[Any]:
    return [] if role is None else [(" " + person_t.c.roles + " ").contains(f" {role.value} ")]


def _person(row: Row[Any]) -> Person:
    return value_of(Person, row, person_id=row.id, roles=from_words(row.roles))


def _proposal(row: Row[Any]) -> Proposal:
    return value_of(Proposal, row, proposal_id=row.id)
