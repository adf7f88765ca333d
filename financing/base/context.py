"""Who asks, when, and where new ids come from: handed to every use case, so that a run can be replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from financing.base.errors import NotFound, NotPermitted
from financing.base.parameters import Parameters
from financing.base.signing import NoKeys, Signer

# Who may hold, sell and buy credits.
HOLDERS = ("developer", "buyer", "bank")


class GridNodes(Protocol):
    """The grid companies' own stores of raw readings. What one of them answers: `registry.metering.node.port`."""

    def of(self, grid_id: str) -> Any: ...


class NoNodes:
    """No grid node is reachable, for commands that read no readings."""

    def of(self, grid_id: str) -> Any:
        raise NotFound("no grid node is reachable here", grid_id=grid_id)


@dataclass(frozen=True, slots=True)
class Actor:
    """The organisation a command acts for. `kind`: bank, grid, developer, verifier, registry, exchange or buyer."""

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Context:
    actor: Actor
    at: datetime
    new_id: Callable[[str], str]
    parameters: Parameters
    signer: Signer = field(default_factory=NoKeys)
    nodes: GridNodes = field(default_factory=NoNodes)
    person: str = ""  # who acts for the organisation: the label of the key, one a person

    def require_kind(self, *kinds: str) -> None:
        """Raise `NotPermitted` unless the actor is an organisation of one of these kinds."""
        if self.actor.kind not in kinds:
            raise NotPermitted(f"only a {' or '.join(kinds)} may do this", actor=self.actor.id, kind=self.actor.kind)

    def require_party(self, *organisation_ids: str) -> None:
        """Raise `NotPermitted` unless the actor is one of these organisations."""
        if self.actor.id not in organisation_ids:
            raise NotPermitted("this belongs to other organisations", actor=self.actor.id)
