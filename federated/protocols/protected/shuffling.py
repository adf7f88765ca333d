"""What a node answers so that the operator gets scores of rows held out, and not whose they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from federated.privacy.vertical.curve import REACH
from federated.privacy.vertical.party import FARTHEST_COEFFICIENT
from federated.privacy.vertical.ring import FloatArray, Ring, Tape, fixed
from federated.privacy.vertical.shuffle import ShuffledBank, ShuffledGrid
from federated.protocols.core.messages import Content
from federated.protocols.protected.dealing import JUDGING, NodeDealing
from federated.protocols.protected.interacting import judged_shares
from federated.protocols.protected.state import Marks, Shuffled, Talk

# A score comes in units of `REACH` logits, with the bits of a column and of a coefficient: nothing is multiplied by it.
COLUMN_BITS, WEIGHT_BITS = 16, 20
SCORE_BITS, MOST_SCORES = COLUMN_BITS + WEIGHT_BITS, 1_000.0


class Shuffling:
    """The handlers of one node. `follow` takes a point from the lead."""

    def __init__(self, talk: Talk, dealing: NodeDealing, follow: Callable[[Content], None]) -> None:
        self._talk, self._dealing, self._follow = talk, dealing, follow
        self._pairs: dict[str, ShuffledBank | ShuffledGrid] = {}

    def hide(self, content: Content) -> Content:
        """Begin with every peer, once a run: a grid company's columns, a bank's coefficients behind masks, and what
        this node deals. `groups` are those of grid companies' columns that are shuffled with scores."""
        state, out, self._pairs = self._talk.state, dict[str, Any](), {}
        state.require_enough()
        state.tell_once("judged rows")
        self._names = content.texts("groups")
        if state.is_bank:
            self._follow(content)
            state.require_rest()
        for peer in state.judged_with():
            tape, _ = self._talk.tapes(content, peer, JUDGING)
            pair = self._bank(peer, tape) if state.is_bank else self._grid(peer, tape)
            self._pairs[peer] = pair
            out[f"hidden/{peer}"] = self._talk.sealed(peer, pair.hidden)
        self._dealing.begin(JUDGING, self._dealing.rows(content))
        return Content(out | self._dealing.shuffled(content.integer("width"), 1 + 2 * len(self._names)))

    def _bank(self, peer: str, tape: Tape) -> ShuffledBank:
        state = self._talk.state
        return ShuffledBank(_whole(state.weights), len(state.judged(peer)), 1 + 2 * len(self._names), tape)

    def _grid(self, peer: str, tape: Tape) -> ShuffledGrid:
        state = self._talk.state
        columns = fixed(state.columns[state.judged(peer)].astype(np.float64), COLUMN_BITS, 1.0)
        columns = np.hstack([columns, judged_shares(state, peer, COLUMN_BITS)])
        return ShuffledGrid(columns, 1 + 2 * len(self._names), tape)

    def pass_on(self, content: Content) -> Content:
        """Of a grid company: its shares of scores, and of groups, masked for banks, and its shares of scores in their
        order for the operator. Once a run: the same mask over other coefficients would give columns by the difference.
        """
        state, out = self._talk.state, dict[str, Any]()
        state.tell_once("masked scores")
        for peer, pair in self._pairs.items():
            assert isinstance(pair, ShuffledGrid)
            rows = state.judged(peer)
            members = [state.members(name)[rows] for name in self._names]
            weights = self._talk.ring(content, "hidden", peer, -1)
            masked = pair.masked(weights, self._talk.dealt(content, peer), self._beside(peer, members))
            out[f"masked/{peer}"] = self._talk.sealed(peer, masked)
            out[f"scores/{peer}"] = pair.after[:, 0]
            self._keep(peer, np.arange(len(rows)), pair.after)
        return Content(out)

    def tell(self, content: Content) -> Content:
        """Of a bank: its shares of scores in its own order, once a run."""
        state, out = self._talk.state, dict[str, Any]()
        state.tell_once("scores")
        for peer, pair in self._pairs.items():
            assert isinstance(pair, ShuffledBank)
            rows = state.judged(peer)
            logits = np.asarray(state.columns[rows] @ state.beta, dtype=np.float64)
            columns, masked = (self._talk.ring(content, name, peer, -1) for name in ("hidden", "masked"))
            none = [np.zeros(len(rows), dtype=np.uint64)] * len(self._names)
            products = judged_shares(state, peer, COLUMN_BITS)
            whole = _whole(state.weights)[len(state.weights) - state.appended :]
            scores = fixed(logits / REACH, SCORE_BITS, MOST_SCORES / REACH) + products @ whole
            own = np.column_stack([scores, self._beside(peer, none)])
            shares = pair.shares(columns, masked, self._talk.dealt(content, peer), own)
            out[f"scores/{peer}"] = shares[:, 0]
            self._keep(peer, pair.order, shares)
        return Content(out)

    def _keep(self, peer: str, order: Marks, shares: Ring) -> None:
        names = [f"{name}/{what}" for what in ("rows", "product") for name in self._names]
        self._talk.state.shuffled[peer] = Shuffled(order, dict(zip(names, shares.T[1:], strict=True)))

    def _beside(self, peer: str, members: list[Ring]) -> Ring:
        """The own shares (rows, 2 · groups) of members, and of defaults among them, which were multiplied before."""
        products = self._talk.state.shares[peer] if self._names else {}
        rows = len(self._talk.state.judged(peer))
        return np.array([*members, *(products[name] for name in self._names)], dtype=np.uint64).reshape(-1, rows).T


def _whole(weights: FloatArray) -> Ring:
    return fixed(weights / REACH, WEIGHT_BITS, FARTHEST_COEFFICIENT / REACH)
