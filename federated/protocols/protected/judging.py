"""What a node answers about scores of rows set aside and held out: its part of logits, and counts that nobody reads."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from federated.errors import TrainingFailed
from federated.privacy.vertical.counting import Layout, answer, counted, deal, tagged
from federated.privacy.vertical.dealer import KEY_BYTES
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import Ring, Tape, fixed
from federated.privacy.vertical.suppression import LEAST_OF_EACH, LEAST_ROWS, Group, joined, of_segment, rungs_of
from federated.protocols.core.messages import Arrays, Content, Values
from federated.protocols.core.rows import LEAST_AUDITED, BankRows
from federated.protocols.protected.state import HELD_OUT, SET_ASIDE, Marks, Talk, given

# Cells of a histogram that a bank counts by itself, where it holds whole logits: secure sums hide whose they are.
CELLS, REACH = 480, 6.0
# The sum of a row's two logits, as the operator gets it.
SUM_BITS, MOST_LOGIT = 32, 1_000.0
# Of the key of tags of counts.
TAG_BYTES = 8


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
        """Deal for counts between the operator and the other side of each pair, once a run.

        The first node of a side by name draws the key of tags for all of the other side. A grid company's mask is part
        of what it deals to one bank.
        """
        state, layout, out = self._talk.state, _layout(content), dict[str, NDArray[np.generic]]()
        state.tell_once("deals")
        held_by = "grid" if state.is_bank else "bank"
        state.layouts[held_by] = layout
        if self._talk.name == min(state.parties.ours):
            key = secrets.token_bytes(TAG_BYTES)
            state.tags[held_by] = int.from_bytes(key, "little")
            for peer in sorted(state.parties.theirs):
                out[f"tag/{peer}"] = self._talk.sealed(peer, np.frombuffer(key, dtype=np.uint8))
        mask = self._mask("dealt", layout)
        for peer in self._evaluated():
            dealt = deal(len(state.rows(peer, SET_ASIDE, HELD_OUT)), *layout.shape)
            out[f"key/{peer}"] = np.frombuffer(dealt.operator_key, dtype=np.uint8)
            holders = np.frombuffer(dealt.holder_key, dtype=np.uint8)
            out[f"dealt/{peer}"] = self._talk.sealed(peer, holders, dealt.correction + mask)
            mask = np.zeros_like(mask)
        return Content(out)

    def _mask(self, purpose: str, layout: Layout, grid: str = "") -> Ring:
        """What a grid company hides counts behind from the operator, and the reader takes off; zeros of a bank."""
        state = self._talk.state
        peer = grid or state.reader
        if state.is_bank and not grid:
            return np.zeros(layout.shape, dtype=np.uint64)
        return Tape(self._talk.channel(peer).key_for(f"counts {purpose}")).draw(*layout.shape)

    def count(self, content: Content) -> Content:
        """The own vectors behind masks, and the own share of the counts for the secure sum, once a run."""
        state, layout, out, owed = self._talk.state, _layout(content), dict[str, NDArray[np.generic]](), []
        state.tell_once("counts")
        own = "bank" if state.is_bank else "grid"
        state.layouts[own] = layout
        tag = int.from_bytes(self._talk.unsealed(content, "tag", min(state.parties.theirs)), "little")
        state.tags[own] = tag
        for peer in self._evaluated():
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            blob = self._talk.unsealed(content, "dealt", peer)
            hidden = np.asarray(content.array(f"hidden/{peer}"), dtype=np.uint64)
            correction = np.frombuffer(blob[KEY_BYTES:], dtype="<u8").astype(np.uint64).reshape(layout.shape)
            vectors = np.stack([self._vector(peer, rows, name) for name in layout.names], axis=1)
            opened, share = answer(tagged(vectors, tag), blob[:KEY_BYTES], correction, hidden)
            out[f"opened/{peer}"] = opened
            owed.append(share)
        if owed:
            total = self._mask("held", layout) + np.sum(owed, axis=0, dtype=np.uint64)
            state.sums["counts"] = np.asarray(total[layout.wanted()])
        return Content(out)

    def release(self, content: Content) -> Content:
        """Of the reader: counts of defaults that may be read (`privacy.vertical.suppression`), in blocks, once a run.

        The first `below` held-out cells are below the cut-off: of a group's rows, not of its defaults, it is told how
        many in each band are in these. Of rows set aside nothing is told where they are too few. Raises
        `AggregationFailed` for counts that were changed, `TrainingFailed` if held-out rows are too few.
        """
        state = self._talk.state
        if not state.is_bank or self._talk.name != state.reader:
            raise TrainingFailed(f"{self._talk.name} does not read counts")
        state.tell_once("released counts")
        aside, read, out = state.layouts["bank"].aside, self._read(content), dict[str, NDArray[np.generic]]()
        rows, defaults, below = counted(read["rows"]), counted(read["defaults"]), content.integer("below")
        kept = joined(rows[:aside], defaults[:aside])
        if kept is not None:
            out |= {"aside/block": kept.block, "aside/defaults": kept.defaults}
        held = rows[aside:]
        blocks = joined(held, defaults[aside:])
        if blocks is None:
            least = f"{LEAST_ROWS} rows with {LEAST_OF_EACH} defaults and {LEAST_OF_EACH} that paid"
            raise TrainingFailed(f"{self._talk.name}: fewer than {least} are held out: their labels would follow")
        out |= {"held/block": blocks.block, "held/defaults": blocks.defaults}
        config: dict[str, Values] = {}
        rungs = rungs_of(blocks.block)
        for segment, groups in _by_segment(read).items():
            told = of_segment(blocks, held, rungs, groups)
            config[f"rung/{segment}"] = told.rung
            for name, (count, bad) in told.groups.items():
                lower = np.bincount(rungs[told.rung][:below], groups[name].rows[:below], len(count)).astype(np.int64)
                out[f"group/{segment}/{name}"] = np.stack([count, bad, lower])
        return Content(out, config)

    def _read(self, content: Content) -> dict[str, Ring]:
        """Counts by name, from masked sums of what banks and what grid companies hold; shares are added up."""
        state, read, grids = self._talk.state, dict[str, Ring](), content.texts("masked")
        for held_by, purpose in (("bank", "dealt"), ("grid", "held")):
            layout = state.layouts.get(held_by)
            if layout is None:
                continue
            masks = np.zeros(layout.shape, dtype=np.uint64)
            for grid in grids:
                masks = masks + self._mask(purpose, layout, grid)
            total = np.asarray(content.array(f"total/{held_by}"), dtype=np.uint64)
            for name, counts in layout.read(total, masks, state.tags[held_by]).items():
                read[name] = np.asarray(read[name] + counts) if name in read else counts
        return read

    def _vector(self, peer: str, rows: Marks, name: str) -> Ring:
        """One column (rows,) of a count: `rows`, `defaults`, or `<segment>/<group>/` and one of them or `product`.

        A product is the own share of a group's defaults that neither side knows. A group of few held-out customers at
        one node is not reported by it.
        """
        source = self._talk.state.node.rows
        labels = source.labels[rows] if isinstance(source, BankRows) else np.zeros(len(rows), dtype=np.int64)
        if name in ("rows", "defaults"):
            return np.asarray(labels if name == "defaults" else np.ones(len(rows)), dtype=np.uint64)
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


def _layout(content: Content) -> Layout:
    cells, aside = content.integer("cells"), content.integer("aside")
    if not 0 <= aside <= cells:
        raise TrainingFailed(f"{cells} cells, {aside} of them set aside, cannot be")
    return Layout(cells, aside, tuple(content.texts("vectors")))


def _by_segment(read: dict[str, Ring]) -> dict[str, dict[str, Group]]:
    """Groups of each segment, of whichever side."""
    segments: dict[str, dict[str, Group]] = {}
    for name, rows in read.items():
        if name.endswith("/rows"):
            segment, group, _ = name.split("/")
            bad = read.get(f"{segment}/{group}/defaults", read.get(f"{segment}/{group}/product"))
            assert bad is not None
            segments.setdefault(segment, {})[group] = Group(counted(rows), counted(bad))
    return segments
