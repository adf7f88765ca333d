"""What a bank and a grid company answer while a protected model is fitted; what goes across is sealed on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.learners.boosting import Trees
from federated.nodes.identity import Identity
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import Ring, Tape
from federated.protocols.core.messages import Arrays, Content, answering, prefixed
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import BankRows
from federated.protocols.core.secure_sum import add_secure_sum
from federated.protocols.protected.judging import Judging
from federated.protocols.protected.state import FIT, GRADIENT, Talk, given


class ProtectedApp:
    """The handlers of one node. `opened` gives the session's node; nothing outlives a run."""

    def __init__(self, identity: Identity, opened: Callable[[], SessionNode]) -> None:
        self.name, self._identity, self._opened = identity.name, identity, opened
        self._talk = Talk(identity)
        self._judging = Judging(self._talk)

    def add_to(self, app: ClientApp) -> None:
        """Let the app answer protected training's messages, and take part in secure sums."""
        judging = self._judging
        for action, handler in {
            "introduce": self._introduce, "meet": self._meet, "available": self._available, "mark": self._mark,
            "columns": self._columns, "hide": self._hide, "keep": self._keep, "open": self._open, "cross": self._cross,
            "residual": self._residual, "gradient": self._gradient, "clear": self._clear, "logits": judging.logits,
            "multiply": judging.multiply, "deal": judging.deal, "count": judging.count, "release": judging.release,
            "histogram": judging.histogram,
        }.items():  # fmt: skip
            app.query(f"protected_{action}")(answering(_handled(handler)))
        add_secure_sum(app, self._identity, self._summed, self._agree)

    def _summed(self, content: Content) -> FloatArray | Ring:
        """What this node adds to a secure sum: what it computed for it, given once. Raises `AggregationFailed`."""
        of = content.text("of")
        kept = self._talk.state.sums.pop(of, None)
        if kept is None:
            raise AggregationFailed(f"{self.name} has nothing to add to the sum of {of}")
        return kept

    def _agree(self, content: Content, names: frozenset[str]) -> None:
        of, threshold, degree = content.text("of"), content.integer("threshold"), content.integer("degree")
        self._talk.state.agree(of, names, threshold, degree)

    def _introduce(self, content: Content) -> Content:
        """Begin a run between the nodes that the operator names, if they are who the register says."""
        node = self._opened()
        met = self._talk.introduce(node, content.points("run"), content.texts("banks"), content.texts("grids"))
        return Content(config={"key": met.public, "signature": met.signature})

    def _meet(self, content: Content) -> Content:
        for name in content.config:
            if name.startswith("key/"):
                peer = name.removeprefix("key/")
                self._talk.meet(peer, content.points(name), content.points(f"signature/{peer}"))
        return Content()

    def _available(self, _: Content) -> Content:
        """Of a grid company: which positions it may use."""
        peers = self._talk.state.node.rows.peers
        return Content(prefixed("available", {bank: (rows >= 0).astype(np.uint8) for bank, rows in peers.items()}))

    def _mark(self, content: Content) -> Content:
        """Of a bank: what each position is for, where both sides may use it. Of a grid company: take what banks say."""
        state, told = self._talk.state, content.under("marks")
        if not state.is_bank:
            state.marks = {bank: np.asarray(told[bank], dtype=np.int64) for bank in state.node.rows.peers}
            return Content()
        own = state.purposes(content.number("set_aside"), content.integer("seed"))
        usable = content.under("available")
        for grid, rows in state.node.rows.peers.items():
            theirs = np.asarray(usable.get(grid, np.zeros(len(rows))), dtype=np.int64)
            both = (rows >= 0) & (theirs > 0)
            state.marks[grid] = np.where(both, own[rows], 0)
        return Content(prefixed("marks", {grid: m.astype(np.uint8) for grid, m in state.marks.items()}))

    def _columns(self, content: Content) -> Content:
        """Compute the own columns, and keep their Gram matrix over rows that are fitted for the next secure sum."""
        state, node = self._talk.state, self._talk.state.node
        trees = Trees.from_arrays(content.under("trees"))
        basis = RandomLeaves(node.encoder, node.binning, trees, content.number("tree_ridge"))
        columns = basis.columns(node.values)
        # As shares hold them, so that the Gram matrix is theirs.
        columns = np.rint(columns * np.float32(128.0)) / np.float32(128.0)
        state.columns = columns
        if state.marks:
            rows = np.concatenate([state.rows(peer, FIT) for peer in sorted(state.marks)])
        else:
            purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
            rows = np.flatnonzero(purposes == FIT)
        part = columns[rows]
        if len(rows):
            gram = np.asarray(part.T @ part, dtype=np.float64)
            state.sums[f"gram {'bank' if state.is_bank else 'grid'}"] = gram[np.triu_indices(len(gram))]
        state.beta = np.zeros(columns.shape[1])
        return Content(config={"rows": len(rows)})

    def _hide(self, content: Content) -> Content:
        """Begin every pair with its dealer's key: own columns behind masks for the peer; then take the peer's."""
        state, node = self._talk.state, self._talk.state.node
        if content.under("hidden"):
            for peer, side in state.sides.items():
                side.take_hidden(self._talk.ring(content, "hidden", peer, len(side.columns), -1))
            return Content()
        curve = Curve.around(content.number("rate"))
        # A gradient is opened as the sum over all pairs, of which the operator knows the rows and a node its own.
        own, together = sum(len(state.rows(peer, FIT)) for peer in state.marks), content.integer("rows")
        curve.check_rows(max(own, together))
        out: Arrays = {}
        for peer in sorted(state.marks):
            rows = state.rows(peer, FIT)
            if not len(rows):
                continue
            labels = node.rows.labels[rows].astype(np.float64) if isinstance(node.rows, BankRows) else None
            tape = Tape(content.points(f"tape/{peer}"))
            state.sides[peer] = PairSide(state.columns[rows].astype(np.float64), tape, curve, labels)
            out[f"hidden/{peer}"] = self._talk.sealed(peer, state.sides[peer].hidden_columns())
        return Content(out)

    def _keep(self, content: Content) -> Content:
        """Go on with fewer columns: `own` are this side's, `others` the other side's."""
        state, kept = self._talk.state, {n: np.asarray(content.arrays[n], dtype=np.int64) for n in ("own", "others")}
        state.columns = state.columns[:, kept["own"]]
        for side in state.sides.values():
            side.keep(kept["own"], kept["others"])
        return Content()

    def _open(self, content: Content) -> Content:
        state = self._talk.state
        state.beta = content.floats("beta")
        opened = {p: self._talk.sealed(p, side.open(side.seen_columns @ state.beta)) for p, side in state.sides.items()}
        return Content(prefixed("opened", opened))

    def _cross(self, content: Content) -> Content:
        out: Arrays = {}
        for peer, side in self._talk.state.sides.items():
            opened = self._talk.ring(content, "opened", peer, 1, -1)
            out[f"opened/{peer}"] = self._talk.sealed(peer, side.cross(opened, given(content, "corrections", peer)))
        return Content(out)

    def _residual(self, content: Content) -> Content:
        """Shares of the residual; who does not own the gradient hands its share over masked, and keeps what it owes."""
        state, out, owed = self._talk.state, dict[str, NDArray[np.generic]](), []
        for peer, side in state.sides.items():
            side.cube(self._talk.ring(content, "opened", peer, 2, -1), given(content, "corrections", peer))
            correction = given(content, "gradient", peer)
            if correction is not None:
                masked_share, share = side.hand_over(correction)
                out[f"masked/{peer}"] = self._talk.sealed(peer, masked_share)
                owed.append(share)
        if owed:
            state.sums[GRADIENT] = np.asarray(np.sum(owed, axis=0, dtype=np.uint64))
        return Content(out)

    def _gradient(self, content: Content) -> Content:
        state = self._talk.state
        shares = [side.receive(self._talk.ring(content, "masked", peer, -1)) for peer, side in state.sides.items()]
        if shares:
            state.sums[GRADIENT] = np.asarray(np.sum(shares, axis=0, dtype=np.uint64))
        return Content()

    def _clear(self, content: Content) -> Content:
        """Of a bank that trains with banks only: its gradient in numbers, for the secure sum."""
        state, rows = self._talk.state, self._talk.state.node.rows
        assert isinstance(rows, BankRows)
        state.beta = content.floats("beta")
        purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
        fitted = np.flatnonzero(purposes == FIT)
        part = state.columns[fitted]
        p = 1.0 / (1.0 + np.exp(-(part @ state.beta)))
        if len(fitted):
            state.sums[GRADIENT] = np.asarray((rows.labels[fitted] - p) @ part, dtype=np.float64)
        return Content()


def _handled(handler: Callable[[Content], Content]) -> Callable[[Content, Context], Content]:
    return lambda content, _: handler(content)
