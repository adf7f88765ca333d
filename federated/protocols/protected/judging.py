"""What a node answers about scores of rows set aside and held out: its part of logits, and counts that nobody reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.privacy.vertical.counting import answer, deal
from federated.privacy.vertical.dealer import KEY_BYTES
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import Ring, Tape, fixed
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.core.rows import LEAST_AUDITED, BankRows
from federated.protocols.protected.state import HELD_OUT, SET_ASIDE, Marks, Talk, given

# Cells of a histogram that a bank counts by itself, where it holds whole logits: secure sums hide whose they are.
CELLS, REACH = 480, 6.0
# The sum of a row's two logits, as the operator gets it.
SUM_BITS, MOST_LOGIT = 32, 1_000.0


class Judging:
    """The handlers of one node."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def logits(self, content: Content) -> Content:
        """The own part of the logits of rows set aside and held out, behind the pair's masks, once a run.

        A second answer under the same masks would give the operator the difference of two logits of one side.
        """
        state = self._talk.state
        state.tell_once("logits")
        state.beta = content.floats("beta")
        out: Arrays = {}
        for peer in sorted(state.marks):
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            if not len(rows):
                continue
            logits = state.columns[rows] @ state.beta
            mask = Tape(self._talk.channel(peer).key_for("logits")).draw(len(rows))
            plain = fixed(logits, SUM_BITS, MOST_LOGIT)
            out[f"logits/{peer}"] = plain + mask if state.is_bank else plain - mask
        return Content(out)

    def multiply(self, content: Content) -> Content:
        """Defaults by groups of grid companies' columns, on shares: a bank's labels times a grid company's members.

        First factors behind masks go across; when the other's come, shares of the products are kept.
        """
        state, names = self._talk.state, content.texts("groups")
        if content.under("opened"):
            for peer, products in state.products.items():
                opened = self._talk.ring(content, "opened", peer, len(names), -1)
                shares = products.shares(opened, given(content, "corrections", peer))
                state.shares[peer] = dict(zip(names, shares, strict=True))
            return Content()
        out: Arrays = {}
        for peer in self._evaluated():
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            if state.is_bank:
                factors = [self._vector(peer, rows, "defaults")] * len(names)
            else:
                factors = [self._vector(peer, rows, f"{name}/rows") for name in names]
            tape = Tape(content.points(f"tape/{peer}"))
            state.products[peer] = Products(factors, tape, is_bank=state.is_bank)
            out[f"opened/{peer}"] = self._talk.sealed(peer, state.products[peer].opened)
        return Content(out)

    def _evaluated(self) -> list[str]:
        """Peers with whom this node shares rows set aside or held out."""
        return [
            peer for peer in sorted(self._talk.state.marks) if len(self._talk.state.rows(peer, SET_ASIDE, HELD_OUT))
        ]

    def deal(self, content: Content) -> Content:
        """Deal for counts between the operator and the other side of each pair."""
        out: Arrays = {}
        cells, vectors = content.integer("cells"), content.integer("vectors")
        for peer in self._evaluated():
            dealt = deal(len(self._talk.state.rows(peer, SET_ASIDE, HELD_OUT)), cells, vectors)
            out[f"key/{peer}"] = np.frombuffer(dealt.operator_key, dtype=np.uint8)
            out[f"dealt/{peer}"] = self._talk.sealed(
                peer, np.frombuffer(dealt.holder_key, dtype=np.uint8), dealt.correction
            )
        return Content(out)

    def count(self, content: Content) -> Content:
        """The own vectors behind masks, and the own share of the counts for the secure sum, once a run."""
        self._talk.state.tell_once("counts")
        state, names, out, owed = self._talk.state, content.texts("vectors"), dict[str, NDArray[np.generic]](), []
        for peer in self._evaluated():
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            blob = self._talk.unsealed(content, "dealt", peer)
            hidden = np.asarray(content.array(f"hidden/{peer}"), dtype=np.uint64)
            correction = np.frombuffer(blob[KEY_BYTES:], dtype="<u8").astype(np.uint64).reshape(-1, len(names))
            vectors = np.stack([self._vector(peer, rows, name) for name in names], axis=1)
            opened, share = answer(vectors, blob[:KEY_BYTES], correction, hidden)
            out[f"opened/{peer}"] = opened
            owed.append(share.ravel())
        if owed:
            state.sums["counts"] = np.asarray(np.sum(owed, axis=0, dtype=np.uint64))
        return Content(out)

    def _vector(self, peer: str, rows: Marks, name: str) -> Ring:
        """One column (rows,) of a count: `defaults`, or of a group `<segment>/<group>/rows`, `/defaults` or `/product`.

        A product is the own share of a group's defaults that neither side knows. A group of few held-out customers at
        one node is not reported by it.
        """
        source = self._talk.state.node.rows
        labels = source.labels[rows] if isinstance(source, BankRows) else np.zeros(len(rows), dtype=np.int64)
        if name == "defaults":
            return np.asarray(labels, dtype=np.uint64)
        segment, group, what = name.split("/")
        if what == "product":
            return self._talk.state.shares[peer][f"{segment}/{group}"]
        member = self._members(segment, group)
        if self._held_out(member) < LEAST_AUDITED:
            return np.zeros(len(rows), dtype=np.uint64)
        return np.asarray(member[rows] & ((labels > 0) | (what == "rows")), dtype=np.uint64)

    def _members(self, segment: str, group: str) -> NDArray[np.bool_]:
        source = self._talk.state.node.rows
        if segment == "bank":
            return np.full(self._talk.state.node.count, source.org_id == group)
        codes = source.groups.get(segment)
        if codes is None:
            return np.zeros(self._talk.state.node.count, dtype=np.bool_)
        return np.asarray(codes == int(group), dtype=np.bool_)

    def _held_out(self, member: NDArray[np.bool_]) -> int:
        return sum(int(member[self._talk.state.rows(peer, HELD_OUT)].sum()) for peer in self._talk.state.marks)

    def histogram(self, content: Content) -> Content:
        """Of a bank that trains with banks only: (2, CELLS) counts of logits set aside and held out, for the sum."""
        state, rows = self._talk.state, self._talk.state.node.rows
        state.tell_once("histograms")
        assert isinstance(rows, BankRows)
        state.beta = content.floats("beta")
        purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
        counts = []
        for wanted in (SET_ASIDE, HELD_OUT):
            own = np.flatnonzero(purposes == wanted)
            logits = state.columns[own] @ state.beta
            cell = np.clip((logits + REACH) / (2 * REACH) * CELLS, 0, CELLS - 1).astype(np.int64)
            counts += [np.bincount(cell[rows.labels[own] == label], minlength=CELLS) for label in (0, 1)]
        histogram = np.concatenate(counts).astype(np.uint64)
        rows_counted = int(histogram.sum())
        if rows_counted:
            state.sums["histogram"] = histogram
        return Content(config={"rows": rows_counted})
