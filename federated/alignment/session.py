"""One party's side of one private set intersection, with its secret and order kept in its own store until it ends."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

from federated.alignment import psi
from federated.errors import AlignmentFailed
from federated.nodes.store import NodeStore

_PARTS = ("secret", "order", "other")


class AlignmentSession:
    """Steps `blind` → `double` → (`match` at the bank | `accept` at the grid company), for one peer.

    A step out of order raises `AlignmentFailed`. The order in which a party sends its points is random, so positions
    tell the peer nothing.
    """

    def __init__(self, store: NodeStore, peer: str) -> None:
        self._store = store
        self._peer = peer

    def blind(self, subjects: Iterable[str]) -> bytes:
        """Start: draw a fresh secret, shuffle, and return own blinded points."""
        order = sorted(subjects)
        secrets.SystemRandom().shuffle(order)
        secret = psi.new_secret()
        self._forget()
        self._store.put_state({self._key("secret"): secret, self._key("order"): json.dumps(order).encode()})
        return psi.blind(secret, order)

    def double(self, other_blinded: bytes) -> bytes:
        """Raise the peer's points to the own secret; keep and return them in the peer's order."""
        doubled = psi.double_blind(self._need("secret"), other_blinded)
        self._store.put_state({self._key("other"): doubled})
        return doubled

    def match(self, own_doubled: bytes) -> bytes:
        """Bank: intersect, store the own rows in the agreed order, and return the common points."""
        common = psi.common_points(own_doubled, self._need("other"))
        self._finish(own_doubled, common)
        return common

    def accept(self, own_doubled: bytes, common: bytes) -> int:
        """Grid company: store the own rows behind the bank's common points; return how many there are."""
        if not set(psi.split(common)) <= set(psi.split(self._need("other"))):
            raise AlignmentFailed("the bank named common points that are not among those it sent")
        return self._finish(own_doubled, common)

    def _finish(self, own_doubled: bytes, common: bytes) -> int:
        order: list[str] = json.loads(self._need("order"))
        rows = psi.own_rows(order, own_doubled, common)
        self._store.put_alignment(self._peer, rows)
        self._forget()
        return len(rows)

    def _key(self, part: str) -> str:
        return f"psi/{self._peer}/{part}"

    def _need(self, part: str) -> bytes:
        value = self._store.state(self._key(part))
        if value is None:
            raise AlignmentFailed(f"{self._store.org_id}: no alignment with {self._peer} is under way at this step")
        return value

    def _forget(self) -> None:
        self._store.drop_state(self._key(part) for part in _PARTS)
