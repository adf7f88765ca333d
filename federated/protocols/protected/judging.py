"""What a node answers about rows held out in the order of their scores: counts that nobody reads."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed, TrainingFailed
from federated.privacy.vertical.channel import Channel
from federated.privacy.vertical.counting import Layout, answer, counted, deal, tagged
from federated.privacy.vertical.ring import Ring, Tape
from federated.privacy.vertical.suppression import LEAST_OF_EACH, LEAST_ROWS, Group, joined, of_segment, rungs_of
from federated.protocols.core.messages import Arrays, Content, Values
from federated.protocols.core.rows import BankRows
from federated.protocols.protected.dealing import GROUPS, ROLES, NodeDealing
from federated.protocols.protected.multiplying import Multiplying
from federated.protocols.protected.state import HELD_OUT, HISTOGRAM, Pair, Talk, digest_of

# Cells of a histogram that a bank counts by itself, where it holds whole logits: secure sums hide whose they are.
CELLS, REACH = 480, 6.0
FEW_HELD_OUT = (
    f"fewer than {LEAST_ROWS} rows with {LEAST_OF_EACH} defaults and {LEAST_OF_EACH} that paid are held out: their "
    "labels would follow"
)
# Of the key of tags of counts.
TAG_BYTES = 8


class Judging:
    """The handlers of one node. `follow` takes a point from the lead."""

    def __init__(self, talk: Talk, dealing: NodeDealing, follow: Callable[[Content], None]) -> None:
        self._talk, self._dealing, self._follow = talk, dealing, follow
        self._multiplying = Multiplying(talk, dealing)

    def forget(self) -> None:
        """Multiply nothing that was begun."""
        self._multiplying.forget()

    def multiply(self, content: Content) -> Content:
        """Defaults by groups of grid companies' columns, on shares: a bank's labels times a grid company's members
        (`Multiplying`)."""
        state, names = self._talk.state, content.texts("groups")
        state.require_enough()
        if content.under("opened"):
            state.tell_once("products")
            return self._multiplying.cross(content)
        if content.under("tag"):
            for peer, shares in self._multiplying.checked(content).items():
                state.shares[peer] = dict(zip(names, shares, strict=True))
            return Content()
        factors = {}
        for peer in state.judged_with():
            rows = state.judged(peer)
            own = [self._labels(rows)] * len(names) if state.is_bank else [state.members(name)[rows] for name in names]
            factors[peer] = np.array(own)
        return self._multiplying.begin(content, GROUPS, len(names), factors)

    def deal(self, content: Content) -> Content:
        """Deal for counts of what one side holds, between the operator and the nodes of that side, once a run.

        The other node of a pair is its first dealer, the third node that deals it triples the second. The first node by
        name of the side that is not counted draws the key of tags for all of the side that is. A grid company's mask is
        part of what it deals to one bank.
        """
        state, layout, held_by = self._talk.state, _layout(content), content.text("held_by")
        out: Arrays = {}
        if held_by not in ROLES:
            raise TrainingFailed(f"nothing is counted that a {held_by} holds")
        state.tell_once(f"deals for what a {held_by} holds")
        if (held_by == "bank") != state.is_bank:
            state.layouts[held_by] = layout
            if self._talk.name == min(state.parties.ours):
                key = secrets.token_bytes(TAG_BYTES)
                state.tags[held_by] = int.from_bytes(key, "little")
                for peer in sorted(state.parties.theirs):
                    out[f"tag/{peer}"] = self._talk.sealed(peer, np.frombuffer(key, dtype=np.uint8))
            mask = self._mask("dealt", layout)
            for peer in state.judged_with():
                rows = len(state.judged(peer))
                out |= self._dealt_counts(content, layout, held_by, self._talk.pair(peer), rows, 0, mask)
                mask = np.zeros_like(mask)
        for pair, rows in self._dealing.rows(content).items():
            out |= self._dealt_counts(content, layout, held_by, pair, rows, 1)
        return Content(out)

    def _dealt_counts(
        self,
        content: Content,
        layout: Layout,
        held_by: str,
        pair: Pair,
        rows: int,
        number: int,
        mask: Ring | None = None,
    ) -> Arrays:
        """What this node, dealer of that `number`, deals for a pair's counts, sealed for the one that holds vectors."""
        holder = pair[held_by == "grid"]
        channel = self._counting(holder, pair, held_by)
        key = content.points(f"key/{'/'.join(pair)}")
        correction = deal(rows, *layout.shape, key, channel.key_for("mask"), number)
        sealed = channel.seal((correction if mask is None else correction + mask).astype("<u8").tobytes())
        return {f"dealt/{'/'.join(pair)}": np.frombuffer(sealed, dtype=np.uint8)}

    def _counting(self, other: str, pair: Pair, held_by: str) -> Channel:
        return self._talk.channel(other).apart(f"counts of {' '.join(pair)} that the {held_by} holds")

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
        state.require_enough()
        state.tell_once("counts")
        own = "bank" if state.is_bank else "grid"
        state.layouts[own] = layout
        state.alike["counts"] = digest_of(layout.cells, np.array(layout.names))
        tag = int.from_bytes(self._talk.unsealed(content, "tag", min(state.parties.theirs)), "little")
        state.tags[own] = tag
        for peer in state.judged_with():
            hidden = np.asarray(content.array(f"hidden/{peer}"), dtype=np.uint64)
            vectors = np.stack([self._vector(peer, name) for name in layout.names], axis=1)
            keys, correction = self._dealt_to(content, peer, own, layout)
            opened, share = answer(tagged(vectors, tag), keys, correction, hidden)
            out[f"opened/{peer}"] = opened
            owed.append(share)
        if owed:
            total = self._mask("held", layout) + np.sum(owed, axis=0, dtype=np.uint64)
            state.sums["counts"] = total.ravel()
        return Content(out)

    def _dealt_to(self, content: Content, peer: str, own: str, layout: Layout) -> tuple[list[bytes], Ring]:
        """The keys in common with the dealers of a pair's counts, and the sum of their corrections."""
        keys, total, pair = [], np.zeros(layout.shape, dtype=np.uint64), self._talk.pair(peer)
        for number, dealer in enumerate((peer, self._talk.state.parties.dealer(*pair))):
            if dealer is not None:
                channel = self._counting(dealer, pair, own)
                keys.append(channel.key_for("mask"))
                numbers = np.frombuffer(channel.open(content.array(f"dealt/{peer}/{number}").tobytes()), dtype="<u8")
                if numbers.size != total.size:
                    raise TrainingFailed(f"{self._talk.name}: {dealer} dealt for counts of another shape")
                total = total + numbers.astype(np.uint64).reshape(layout.shape)
        return keys, total

    def release(self, content: Content) -> Content:
        """Of the reader: counts of defaults that may be read (`privacy.vertical.suppression`), in blocks, once a run.

        The first `below` cells are below the cut-off: of a group's rows, not of its defaults, it is told how many in
        each band are in these. Raises `AggregationFailed` for counts that were changed, `TrainingFailed` if rows are
        too few.
        """
        state = self._talk.state
        if not state.is_bank or self._talk.name != state.reader:
            raise TrainingFailed(f"{self._talk.name} does not read counts")
        state.require_enough()
        state.tell_once("released counts")
        read = self._read(content)
        held, defaults, below = counted(read["rows"]), counted(read["defaults"]), content.integer("below")
        self._require_all(int(held.sum()))
        blocks = joined(held, defaults)
        if blocks is None:
            raise TrainingFailed(f"{self._talk.name}: {FEW_HELD_OUT}")
        out: dict[str, NDArray[np.generic]] = {"block": blocks.block, "defaults": blocks.defaults}
        config: dict[str, Values] = {}
        rungs = rungs_of(blocks.block)
        for segment, groups in _by_segment(read).items():
            told = of_segment(blocks, held, rungs, groups)
            config[f"rung/{segment}"] = told.rung
            for name, (count, bad) in told.groups.items():
                lower = np.bincount(rungs[told.rung][:below], groups[name].rows[:below], len(count)).astype(np.int64)
                out[f"group/{segment}/{name}"] = np.stack([count, bad, lower])
        return Content(out, config)

    def _require_all(self, rows: int) -> None:
        """Raise `AggregationFailed` unless as many rows were counted as banks told each other. An operator that counts
        one row of a cell once, one twice, one four times reads all their labels off the count of defaults."""
        held_out = self._talk.state.to_judge
        if rows != held_out:
            raise AggregationFailed(f"{self._talk.name}: other rows are counted where banks hold out {held_out:,}")

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

    def _labels(self, rows: NDArray[np.int64]) -> Ring:
        source = self._talk.state.node.rows
        return (source.labels[rows] if isinstance(source, BankRows) else np.zeros(len(rows))).astype(np.uint64)

    def _vector(self, peer: str, name: str) -> Ring:
        """One column (rows,) of a count, in the bank's order: `rows`, `defaults`, or `<segment>/<group>/` and `rows`,
        `defaults` or `product`: of groups of a grid company's columns both sides have shares."""
        state = self._talk.state
        shared = state.shuffled[peer].shares.get(name)
        if shared is not None:
            return shared
        rows = state.judged(peer)[state.shuffled[peer].order]
        labels = self._labels(rows)
        if name in ("rows", "defaults"):
            return labels if name == "defaults" else np.ones_like(labels)
        segment, group, what = name.split("/")
        if segment == "bank":
            member = np.full(len(rows), state.node.rows.org_id == group).astype(np.uint64)
        else:
            member = state.members(f"{segment}/{group}")[rows]
        return member * labels if what == "defaults" else member

    def histogram(self, content: Content) -> Content:
        """Of a bank that trains with banks only: (2, CELLS) counts of held-out logits, for the sum, where the lead says
        that the fit came to rest: at coefficients of an operator's they would be counts of a column. The lead's are
        behind a mask that it takes off to join cells (`blocks`)."""
        state, rows = self._talk.state, self._talk.state.node.rows
        state.require_alone()
        state.require_enough()
        state.tell_once("histograms")
        assert isinstance(rows, BankRows)
        self._follow(content)
        state.require_rest()
        state.alike[HISTOGRAM] = digest_of(state.beta)
        own = state.of_purpose(HELD_OUT)
        logits = state.columns[own] @ state.beta
        cell = np.clip((logits + REACH) / (2 * REACH) * CELLS, 0, CELLS - 1).astype(np.int64)
        counts = [np.bincount(cell[rows.labels[own] == label], minlength=CELLS) for label in (0, 1)]
        histogram = np.concatenate(counts).astype(np.uint64)
        rows_counted = int(histogram.sum())
        if rows_counted:
            state.sums[HISTOGRAM] = histogram
        if self._talk.name == state.lead:
            state.counts_mask = Tape(secrets.token_bytes(32)).draw(len(histogram))
            state.sums[HISTOGRAM] = histogram + state.counts_mask
        return Content(config={"rows": rows_counted})

    def blocks(self, content: Content) -> Content:
        """Of the lead of banks alone: rows by cell of logits, and defaults in blocks that give no label away, of rows
        held out. Once a run. Raises `TrainingFailed` if they are too few."""
        state = self._talk.state
        mask = state.counts_mask
        state.require_alone()
        state.tell_once("counts of banks alone")
        if mask is None:
            raise TrainingFailed(f"{self._talk.name} reads no counts of banks alone")
        hidden = content.array("total")
        if hidden.shape != mask.shape or hidden.dtype != np.uint64:
            raise TrainingFailed(f"{self._talk.name}: counts of {hidden.shape} came for {mask.shape}")
        good, bad = counted(hidden.astype(np.uint64) - mask).reshape(2, CELLS)
        rows = good + bad
        self._require_all(int(rows.sum()))
        # Cells of next to nobody end no block: as where scores are sorted, each holds at least so many.
        group = grouped(rows)
        found = joined(*(np.bincount(group, each).astype(np.int64) for each in (rows, bad)))
        if found is None:
            raise TrainingFailed(f"{self._talk.name}: {FEW_HELD_OUT}")
        return Content({"rows": rows, "group": group, "block": found.block, "defaults": found.defaults})


def grouped(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers (cells,) of groups of neighbouring cells, each of at least `LEAST_ROWS` rows, where there are as many."""
    group, held, number = np.zeros(len(rows), dtype=np.int64), 0, 0
    for cell, count in enumerate(rows.tolist()):
        if held >= LEAST_ROWS:
            held, number = 0, number + 1
        group[cell], held = number, held + count
    return np.minimum(group, max(number - int(held < LEAST_ROWS), 0))


def _layout(content: Content) -> Layout:
    return Layout(content.integer("cells"), tuple(content.texts("vectors")))


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
