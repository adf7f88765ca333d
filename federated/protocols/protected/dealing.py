"""What is dealt to pairs in a run: by nodes that are not in them, sealed, or by the operator where there are none.

A node that deals learns of a pair how many rows it has for each purpose, and nothing of what it says to each other. A
pair's keys with its dealer are derived from a channel between them, for one purpose each; only the operator, which has
no channels, sends keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.privacy.vertical.dealer import KEY_BYTES, Dealer
from federated.privacy.vertical.party import PRODUCTS
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.messages import Arrays, Content, Values
from federated.protocols.protected.state import Pair, Talk

# More rows than two nodes have in common would only exhaust the dealer.
MOST_ROWS = 1 << 24
# What triples are for: a fit, products of labels and members of groups, and of components of both sides.
FITTING, GROUPS, JUDGING, INTERACTIONS = "fit", "groups", "judging", "interactions"
ROLES = ("bank", "grid")


class Dealing:
    """As the operator. `rows` are by pair; what is dealt is named `dealt/<receiver>/<the other of the pair>`."""

    def __init__(self) -> None:
        self._dealers: dict[str, dict[Pair, Dealer]] = {}

    def begin(self, purpose: str, rows: Mapping[Pair, int], widths: Sequence[int] = ()) -> None:
        """Deal for one purpose from now on, to sides with columns of these `widths`, banks' first; a fit goes on.

        Raises `AggregationFailed` for numbers of rows that no pair has.
        """
        if not all(0 < count <= MOST_ROWS for count in rows.values()):
            raise AggregationFailed(f"nobody deals for {sorted(rows.values())} rows")
        dealers = {pair: Dealer(count, self._keys(pair, purpose)) for pair, count in rows.items()}
        self._dealers = {p: d for p, d in self._dealers.items() if p == FITTING} | {purpose: dealers}
        if widths:
            for dealer in dealers.values():
                dealer.columns(dict(zip(ROLES, widths, strict=True)))

    def forget(self) -> None:
        """Deal for nothing more: a new run begins."""
        self._dealers = {}

    def weighed(self, purpose: str = FITTING) -> Arrays:
        """What grid companies need for their columns times coefficients that banks hold."""
        out: Arrays = {}
        for (bank, grid), dealer in self._dealers.get(purpose, {}).items():
            stock = dealer.weighed()
            if stock is not None:
                out[f"dealt/{grid}/{bank}"] = self._handed((bank, grid), grid, stock)
        return out

    def shuffled(self, columns: int, vectors: int) -> Arrays:
        """What pairs need for scores of rows that are judged, in an order of the bank's, and `vectors` − 1 numbers more
        of each row."""
        out: Arrays = {}
        for (bank, grid), dealer in self._dealers.get(JUDGING, {}).items():
            dealt = dealer.shuffled(columns, vectors)
            out[f"dealt/{grid}/{bank}"] = self._handed((bank, grid), grid, dealt["grid"])
            out[f"dealt/{bank}/{grid}"] = self._handed((bank, grid), bank, dealt["bank"])
        return out

    def step(self, purpose: str, widths: Sequence[int]) -> Arrays:
        """What pairs need for a step up to gradients of each side's first columns, as many as `widths` say."""
        out: Arrays = {}
        for (bank, grid), dealer in self._dealers.get(purpose, {}).items():
            products, owed = dealer.products(PRODUCTS), dealer.gradients(dict(zip(ROLES, widths, strict=True)))
            out[f"dealt/{grid}/{bank}"] = self._handed((bank, grid), grid, np.concatenate([products, owed["bank"]]))
            out[f"dealt/{bank}/{grid}"] = self._handed((bank, grid), bank, owed["grid"])
        return out

    def vectors(self, purpose: str, count: int) -> Arrays:
        """What grid companies need for products of `count` vectors of a bank's and theirs."""
        return {
            f"dealt/{grid}/{bank}": self._handed((bank, grid), grid, dealer.products(count))
            for (bank, grid), dealer in self._dealers.get(purpose, {}).items()
        }

    def keys(self, purpose: str) -> dict[str, dict[str, Values]]:
        """What the operator tells each node: its key of each pair that it deals to."""
        told: dict[str, dict[str, Values]] = {}
        for (bank, grid), dealer in self._dealers.get(purpose, {}).items():
            told.setdefault(bank, {})[f"tape/{grid}"] = dealer.keys["bank"]
            told.setdefault(grid, {})[f"tape/{bank}"] = dealer.keys["grid"]
        return told

    def _keys(self, pair: Pair, purpose: str) -> dict[str, bytes]:
        del pair, purpose
        return {role: secrets.token_bytes(KEY_BYTES) for role in ROLES}

    def _handed(self, pair: Pair, receiver: str, numbers: Ring) -> NDArray[np.generic]:
        del pair, receiver
        return numbers


class NodeDealing(Dealing):
    """As a node: keys come from its channels, and what it deals is sealed for the receiver."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    def begin(self, purpose: str, rows: Mapping[Pair, int], widths: Sequence[int] = ()) -> None:
        """As `Dealing.begin`, once a run for one purpose: the same masks, dealt for other rows or columns, would tell
        themselves by the difference. Raises `TrainingFailed` for a second time."""
        self._talk.state.tell_once(f"what is dealt for {purpose}")
        super().begin(purpose, rows, widths)

    def rows(self, content: Content) -> dict[Pair, int]:
        """How many rows the operator says that each pair has to which this node deals, of those that it names."""
        state = self._talk.state
        return {
            (bank, grid): content.integer(f"rows/{bank}/{grid}")
            for bank, grid in state.parties.dealt_to(self._talk.name, is_bank=state.is_bank)
            if f"rows/{bank}/{grid}" in content.config
        }

    def _keys(self, pair: Pair, purpose: str) -> dict[str, bytes]:
        return {role: self._talk.dealing(name, pair).key_for(purpose) for role, name in zip(ROLES, pair, strict=True)}

    def _handed(self, pair: Pair, receiver: str, numbers: Ring) -> NDArray[np.generic]:
        return np.frombuffer(self._talk.dealing(receiver, pair).seal(numbers.astype("<u8").tobytes()), dtype=np.uint8)
