"""One party's side of one private set intersection: its order and sealed secret are in its own store until it ends."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping

from federated.alignment import psi
from federated.errors import AlignmentFailed
from federated.nodes.keys import alignment_secret, kept_key, put_key
from federated.nodes.store import NodeStore

_PARTS = ("secret", "order", "other")


class AlignmentSession:
    """Steps `blind` → `double` → `match`, the same on either side, for one peer.

    A step out of order raises `AlignmentFailed`. The order in which a party sends its points is random, so positions
    tell the peer nothing.
    """

    def __init__(self, store: NodeStore, peer: str) -> None:
        self._store = store
        self._peer = peer

    def blind(self, elements: Mapping[str, bytes]) -> bytes:
        """Start: draw a fresh secret, shuffle, and return own blinded points. `elements`: subject to `psi.element`."""
        order = sorted(elements)
        secrets.SystemRandom().shuffle(order)
        secret = psi.new_secret()
        self._forget()
        self._store.put_state({self._key("order"): json.dumps(order).encode()})
        put_key(self._store, self._key("secret"), secret)
        return psi.blind(secret, [elements[subject] for subject in order])

    def double(self, other_blinded: bytes) -> bytes:
        """Tags of the peer's points under both secrets; kept here, and returned in the peer's order."""
        tags = psi.double_blind(self._need("secret"), other_blinded)
        self._store.put_state({self._key("other"): tags})
        return tags

    def match(self, own_tags: bytes) -> tuple[int, bytes]:
        """Intersect own tags with the peer's, and store the own rows in the agreed order.

        Returns how many there are and a digest of the common tags, by which both sides see that they agree.
        """
        order: list[str] = json.loads(self._need("order"))
        common = psi.common_tags(own_tags, self._need("other"))
        rows = psi.own_rows(order, own_tags, common)
        self._store.put_alignment(self._peer, rows)
        self._forget()
        return len(rows), hashlib.sha256(b"".join(common)).digest()

    def _key(self, part: str) -> str:
        return alignment_secret(self._peer) if part == "secret" else f"psi/{self._peer}/{part}"

    def _need(self, part: str) -> bytes:
        key = self._key(part)
        value = kept_key(self._store, key) if part == "secret" else self._store.state(key)
        if value is None:
            raise AlignmentFailed(f"{self._store.org_id}: no alignment with {self._peer} is under way at this step")
        return value

    def _forget(self) -> None:
        self._store.drop_state(self._key(part) for part in _PARTS)
