"""A node's part in products of vectors of either side of a pair, on shares, in three messages.

First factors behind masks go across, and what is dealt where this node deals; then tags of the triples; shares are told
to who wanted them once the other side's tag says that the triples are right, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import Ring
from federated.privacy.vertical.triples import Triples
from federated.protocols.core.messages import Content
from federated.protocols.protected.dealing import NodeDealing
from federated.protocols.protected.state import Talk


class Multiplying:
    """Products of one kind, one set of them under way at a time."""

    def __init__(self, talk: Talk, dealing: NodeDealing) -> None:
        self._talk, self._dealing = talk, dealing
        self.forget()

    def forget(self) -> None:
        """Multiply nothing that was begun."""
        self._begun: dict[str, tuple[Triples, Products]] = {}
        self._unchecked: dict[str, tuple[Triples, Ring]] = {}

    def begin(self, content: Content, purpose: str, count: int, factors: Mapping[str, Ring]) -> Content:
        """From own factors (`count`, rows) by peer: what goes to these peers, and what this node deals for `count`
        products of the rows that the operator says its pairs have. Once a run for one purpose."""
        out: dict[str, Any] = {}
        is_bank = self._talk.state.is_bank
        for peer, own in factors.items():
            triples = Triples(own.size, *self._talk.tapes(content, peer, purpose), is_bank=is_bank)
            self._begun[peer] = triples, Products(own, triples, is_bank=is_bank)
            out[f"opened/{peer}"] = self._talk.sealed(peer, self._begun[peer][1].opened, triples.told)
        self._dealing.begin(purpose, self._dealing.rows(content))
        return Content(out | self._dealing.vectors(purpose, count))

    def cross(self, content: Content) -> Content:
        """From what peers opened, and what was dealt: tags for them."""
        out: dict[str, Any] = {}
        for peer, (triples, products) in self._begun.items():
            told = self._talk.ring(content, "opened", peer, -1)
            corrections = None if self._talk.state.is_bank else self._talk.dealt(content, peer)
            opened, compared = np.split(told, [products.opened.size])
            out[f"tag/{peer}"] = self._talk.sealed(peer, triples.compare(compared, corrections))
            self._unchecked[peer] = triples, products.shares(opened)
        self._begun = {}
        return Content(out)

    def checked(self, content: Content) -> dict[str, Ring]:
        """Own shares (products, rows) by peer. Raises `AggregationFailed` for wrong triples."""
        for peer, (triples, _) in self._unchecked.items():
            triples.check(self._talk.ring(content, "tag", peer, -1))
        found, self._unchecked = {peer: shares for peer, (_, shares) in self._unchecked.items()}, {}
        return found
