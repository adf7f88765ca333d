"""Who asks, when, and where new ids come from: handed to every use case, so that a run can be replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from financing.base.authority import EVERY_ROLE, EVERY_WORK, May, Role, Work
from financing.base.errors import AwaitsSecondPerson, NotFound, NotPermitted
from financing.base.parameters import Parameters
from financing.base.signing import NoKeys, Signer


class GridNodes(Protocol):
    """The grid companies' own stores of raw readings. What one of them answers: `registry.metering.node.port`."""

    def of(self, grid_id: str) -> Any: ...

    def is_here(self, grid_id: str) -> bool:
        """Whether the node answers in this process; elsewhere it takes readings itself."""
        ...


class NoNodes:
    """No grid node is reachable, for commands that read no readings."""

    def of(self, grid_id: str) -> Any:
        raise NotFound("no grid node is reachable here", grid_id=grid_id)

    def is_here(self, grid_id: str) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class Actor:
    """The organisation a command acts for, and what whoever acts may do for it.

    `kind`: one of `authority.KINDS`. A person has roles and does every kind of work; a machine makes within its scopes.
    """

    id: str
    kind: str
    roles: frozenset[Role] = EVERY_ROLE
    works: frozenset[Work] = EVERY_WORK

    def require(self, may: May) -> None:
        """Raise `NotPermitted` unless the organisation is of a kind, and who acts for it in a role, to do this."""
        self.require_kind(*may.kinds)
        if may.role not in self.roles or may.work not in self.works:
            raise NotPermitted(
                f"this is done by a {may.role} for the work of {may.work}", role=may.role.value, work=may.work.value
            )

    def require_kind(self, *kinds: str) -> None:
        """Raise `NotPermitted` unless the organisation is of one of these kinds."""
        if self.kind not in kinds:
            raise NotPermitted(f"only a {' or '.join(kinds)} may do this", actor=self.id, kind=self.kind)


@dataclass(frozen=True, slots=True)
class Context:
    actor: Actor
    at: datetime
    new_id: Callable[[str], str]
    parameters: Parameters
    signer: Signer = field(default_factory=NoKeys)
    nodes: GridNodes = field(default_factory=NoNodes)
    person: str = ""  # the id of the person or machine that acts for the organisation
    checker: str = ""  # the id of the second person, where a command that takes two is carried out

    def require_kind(self, *kinds: str) -> None:
        """Raise `NotPermitted` unless the actor is an organisation of one of these kinds."""
        self.actor.require_kind(*kinds)

    def require_second_person(self, object_id: str, why: str) -> None:
        """Raise `AwaitsSecondPerson` unless another person than the maker has confirmed this command."""
        if not self.checker or self.checker == self.person:
            raise AwaitsSecondPerson(why, object_id=object_id)

    def require_party(self, *organisation_ids: str) -> None:
        """Raise `NotPermitted` unless the actor is one of these organisations."""
        if self.actor.id not in organisation_ids:
            raise NotPermitted("this belongs to other organisations", actor=self.actor.id)
