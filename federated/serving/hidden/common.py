"""What sides have in common: which function a query is about, who deals, and steps that are taken once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from federated.errors import NodeUnavailable, NotPermitted, QueryLost
from federated.governance.weights import ScoringModel
from federated.models.served.hidden import HiddenFunction
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.hidden_function import Shape

# Queries that may be under way at a node; the oldest make room.
UNDER_WAY = 256
# Functions that a side keeps ready: a champion and a challenger, of several grid companies.
READY = 16
# Names of messages, each sealed with a key of its own.
DEALT, MASK_KEY = "dealt", "key of the mask of weights"
FACTORS, FIRST, TOLD, SHUFFLED, ASKED, ANSWERED = "factors", "first", "told", "shuffled", "asked", "answered"
T = TypeVar("T")


class Once(Generic[T]):
    """Steps that are waited for, each taken once, by a query's nonce at its own node."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, T] = {}
        self._lock = threading.Lock()

    def put(self, nonce: bytes, step: T) -> None:
        """Wait for one; if too many are waited for the oldest is dropped."""
        with self._lock:
            self._waiting[nonce] = step
            if len(self._waiting) > UNDER_WAY:
                del self._waiting[next(iter(self._waiting))]

    def take(self, nonce: bytes) -> T:
        """The step of a query. Raises `QueryLost` if it is not waited for, or was taken."""
        with self._lock:
            if nonce not in self._waiting:
                raise QueryLost("no such step of a query is waited for")
            return self._waiting.pop(nonce)


class Ready(Generic[T]):
    """What takes long to make, made once; the oldest make room."""

    def __init__(self) -> None:
        self._made: dict[str, T] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        """What `make` made under a name."""
        if name not in self._made:
            made = make()
            self._made = dict([*self._made.items()][1 - READY :]) | {name: made}
            return made
        return self._made[name]


def hidden_of(model: ScoringModel) -> HiddenFunction:
    """The hidden function of a version. Raises `NotPermitted` for a version that has none."""
    if not isinstance(model.joint_grid, HiddenFunction):
        raise NotPermitted("this version hides no function")
    return model.joint_grid


def shape_of(function: HiddenFunction) -> Shape:
    """How many entries a function has, and of what."""
    return Shape(*function.shape, function.factors)


def dealer_for(function: HiddenFunction, bank: str, grid: str) -> str | None:
    """Who deals to this pair: one of all that take part in the function, None for the operator in a network of two.

    Raises `NotPermitted` for who takes no part in it.
    """
    for name in (bank, grid):
        if name not in function.parties:
            raise NotPermitted(f"{name} takes no part in this version", node=name)
    return dealer_of(bank, grid, function.parties)


def dealers_key(
    node: BankNode | GridNode, function: HiddenFunction, bank: str, grid: str, operator: bytes | None
) -> bytes:
    """The key in common with who deals to this pair: a node as it is pinned, an operator only where no node could.

    Raises `NotPermitted` for a dealer of whom no key is pinned, `NodeUnavailable` if nobody deals.
    """
    dealer = dealer_for(function, bank, grid)
    if dealer is not None:
        return node.mask_key(dealer)
    if operator is None:
        raise NodeUnavailable("nobody deals to this pair", node=node.org_id)
    return node.dealt_key(operator)
