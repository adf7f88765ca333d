"""Products of components of a bank's and a grid company's columns, on shares: neither learns anything of the other's.

Both sides multiply the first components of their columns, each bank's with each grid company's, for rows that are
fitted and for those that are judged. What comes about is a share of every product at either side, uniform numbers that
are appended to its columns: from then on products are columns of both, and a gradient of them is the sum of both
sides'. Their coefficients are known to banks alone, as those of grid companies' columns are.

The lead brings the coefficients to few factors when a fit rests (`truncated`): a bank that asks for a score with other
code can have any combination of the factors that a grid company's columns make (`privacy.vertical.hidden_function`).

Guarantee: what crosses is uniform to who sees it, whatever a dealer sends; wrong triples are found before any share is
used (`privacy.vertical.triples`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.interactions import FARTHEST, GAIN, cut, factored
from federated.models.encoding.ramps import FloatArray
from federated.privacy.vertical.ring import COLUMN_BITS, Ring, fixed, shifted
from federated.protocols.core.messages import Content
from federated.protocols.protected.dealing import INTERACTIONS, NodeDealing
from federated.protocols.protected.multiplying import Multiplying
from federated.protocols.protected.state import FIT, Marks, ProtectedNode, Talk

# Bits after the point of a component, and of a product on shares: `GAIN` is 2^3.
FACTOR_BITS = 9
PRODUCT_BITS = 2 * FACTOR_BITS - 3
assert GAIN == 2.0 ** (2 * FACTOR_BITS - PRODUCT_BITS)
# How many components a side multiplies, at the most.
MOST_COMPONENTS = 16
# How many factors coefficients of products have in the end: so many more sums of a grid company's columns than the
# model's a bank with other code may have of a customer, one a query.
FACTORS = 4


class Interacting:
    """The handlers of one node."""

    def __init__(self, talk: Talk, dealing: NodeDealing) -> None:
        self._talk, self._multiplying = talk, Multiplying(talk, dealing)
        self.forget()

    def forget(self) -> None:
        """Multiply nothing that was begun."""
        self._multiplying.forget()
        self._parts: dict[str, list[Ring]] = {}
        self._next = 0

    def multiply(self, content: Content) -> Content:
        """Multiply one component of a bank's columns with all of a grid company's, the next `number` of `components`
        (`Multiplying`). Once a run, after columns are projected and before any is hidden. Raises `TrainingFailed` for
        components that a side does not have."""
        if content.under("opened"):
            return self._multiplying.cross(content)
        if content.under("tag"):
            return self._kept(self._multiplying.checked(content))
        state, number = self._talk.state, content.integer("number")
        sizes = self._sizes(content.integer("components/bank"), content.integer("components/grid"))
        if not 0 <= number < sizes[0]:
            raise TrainingFailed(f"{self._talk.name}: {sizes[0]} components are multiplied, and no other")
        if number != self._next:
            # In another order products would get the coefficients of others.
            raise TrainingFailed(f"{self._talk.name}: component {self._next} is multiplied next, not {number}")
        self._next += 1
        # A bank's first column is the constant; its one component is multiplied with each of the other side's.
        own = slice(1 + number, 2 + number) if state.is_bank else slice(sizes[1])
        factors = {
            peer: np.broadcast_to(
                fixed(cut(state.columns[rows, own].astype(np.float64)), FACTOR_BITS, FARTHEST).T, (sizes[1], len(rows))
            )
            for peer, rows in multiplied_rows(state).items()
        }
        return self._multiplying.begin(content, f"{INTERACTIONS} {number}", sizes[1], factors)

    def _sizes(self, ours: int, theirs: int) -> tuple[int, int]:
        """How many components of banks and of grid companies are multiplied, the same throughout a run."""
        state, name = self._talk.state, self._talk.name
        sizes = ours, theirs
        if state.prior is None or state.sides:
            raise TrainingFailed(f"{name}: columns are multiplied once they are components, before they are hidden")
        # Of ramps and leaves of pairs, without the constant of banks' columns.
        own = state.prior.parts[0] - state.is_bank
        if not (min(sizes) > 0 and max(sizes) <= MOST_COMPONENTS and sizes[not state.is_bank] <= own):
            raise TrainingFailed(f"{name} does not multiply {ours} with {theirs} components")
        if state.multiplied not in (None, sizes):
            raise TrainingFailed(f"{name}: other components were multiplied before in this run")
        state.multiplied = sizes
        return sizes

    def _kept(self, shares: dict[str, Ring]) -> Content:
        state = self._talk.state
        for peer, part in shares.items():
            self._parts.setdefault(peer, []).append(part)
        if state.multiplied is not None and self._next == state.multiplied[0]:
            state.interactions = {
                peer: np.concatenate(parts).T for peer, parts in self._parts.items() if len(parts) == self._next
            }
        return Content()


def multiplied_rows(state: ProtectedNode) -> dict[str, Marks]:
    """By peer: own rows (rows,) of which products are computed, those that are fitted, then those that are judged."""
    found = {peer: np.concatenate([state.rows(peer, FIT), state.judged(peer)]) for peer in sorted(state.marks)}
    return {peer: rows for peer, rows in found.items() if len(rows)}


def fitted_shares(state: ProtectedNode, peer: str) -> Ring:
    """Own shares (rows, products) of products of rows that are fitted, with the bits of columns.

    Raises `TrainingFailed` where products are not all there.
    """
    shares = _shares(state, peer)[: len(state.rows(peer, FIT))]
    return shifted(shares, PRODUCT_BITS - COLUMN_BITS, first=state.is_bank)


def judged_shares(state: ProtectedNode, peer: str, bits: int) -> Ring:
    """As `fitted_shares`, of rows that are judged, with at least `PRODUCT_BITS` bits."""
    return np.asarray(_shares(state, peer)[len(state.rows(peer, FIT)) :] << np.uint64(bits - PRODUCT_BITS))


def _shares(state: ProtectedNode, peer: str) -> Ring:
    if state.multiplied is None:
        rows = len(state.rows(peer, FIT)) + len(state.judged(peer))
        return np.zeros((rows, 0), dtype=np.uint64)
    if peer not in state.interactions:
        raise TrainingFailed(f"{state.node.rows.org_id}: products with {peer} are not all there")
    return state.interactions[peer]


def gathered(gradient: Ring, ours: int, products: int) -> Ring:
    """Gradient of banks' columns, of grid companies', and of products, from that of banks' columns and products, and
    that of grid companies' and products: of products it is the sum of both."""
    banks, grids = np.split(gradient, [ours + products])
    theirs = len(grids) - products
    return np.concatenate([banks[:ours], grids[:theirs], banks[ours:] + grids[theirs:]])


def truncated(weights: FloatArray, sizes: Sequence[int], most: int) -> FloatArray:
    """Weights (products,) of few factors, nearest to these."""
    p, q = factored(weights.reshape(*sizes), most)
    return np.asarray((p.T @ q).ravel())
