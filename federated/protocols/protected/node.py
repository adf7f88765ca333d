"""What a bank and a grid company answer while a protected model is fitted; what goes across is sealed on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import AggregationFailed, TrainingFailed
from federated.models.encoding.ramps import FloatArray
from federated.nodes.identity import Identity
from federated.privacy.secure_aggregation.ring import encoded
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.gradients import most_gradients
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.messages import Arrays, Content, answering, prefixed
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.protected.columns import Columns
from federated.protocols.protected.concealing import Concealing
from federated.protocols.protected.dealing import FITTING, ROLES, NodeDealing
from federated.protocols.protected.interacting import Interacting, fitted_shares
from federated.protocols.protected.judging import Judging
from federated.protocols.protected.lead import MOST_ALONE, Lead
from federated.protocols.protected.own_rows import Counting
from federated.protocols.protected.shuffling import Shuffling
from federated.protocols.protected.state import (
    ALONE,
    BANKS_GRADIENT,
    FIT,
    GRADIENT,
    STAGES,
    TOGETHER,
    Marks,
    Talk,
    digest_of,
)

# A part of a logit beyond this is no credit risk, but a fit that diverges.
FARTHEST = 4.0 * REACH
# What numbers of a wrong kind or shape end in.
UNFIT = (ValueError, IndexError, KeyError, TypeError, OverflowError, ArithmeticError, AssertionError)
log = logging.getLogger(__name__)


class ProtectedApp:
    """The handlers of one node. `opened` gives the session's node; nothing outlives a run."""

    def __init__(self, identity: Identity, opened: Callable[[], SessionNode]) -> None:
        self.name, self._identity, self._opened = identity.name, identity, opened
        self._talk = Talk(identity)
        self._dealing = NodeDealing(self._talk)
        self._judging = Judging(self._talk, self._dealing, self._follow)
        self._lead = Lead(self._talk)
        self._shuffling = Shuffling(self._talk, self._dealing, self._follow)
        self._concealing = Concealing(self._talk, self._follow)
        self._made, self._counting = Columns(self._talk), Counting(self._talk)
        self._interacting = Interacting(self._talk, self._dealing)
        self._begun: SessionNode | None = None

    def add_to(self, app: ClientApp) -> None:
        """Let the app answer protected training's messages, and take part in secure sums."""
        judging, shuffling, concealing = self._judging, self._shuffling, self._concealing
        for action, handler in {
            "introduce": self._introduce, "meet": self._meet, "available": self._available, "mark": self._mark,
            "rows": self._counting.rows, "columns": self._columns, "project": self._made.project,
            "approve": self._made.approve, "interact": self._interacting.multiply, "hide": self._hide,
            "step": self._lead.step, "point": self._point, "open": self._open,
            "cross": self._cross,
            "residual": self._residual, "gradient": self._gradient, "clear": self._clear, "sum": self._sum,
            "shuffle": shuffling.hide, "pass_on": shuffling.pass_on, "tell": shuffling.tell,
            "multiply": judging.multiply, "deal": judging.deal, "count": judging.count, "release": judging.release,
            "histogram": judging.histogram, "blocks": judging.blocks,
            "conceal": concealing.conceal, "keep_part": concealing.keep,
            "conceal_own": concealing.conceal_own, "keep_own": concealing.keep_own,
        }.items():  # fmt: skip
            app.query(f"protected_{action}")(answering(self._ending(handler)))

    @property
    def beta(self) -> FloatArray:
        """Of a bank: coefficients of banks' columns, as `weights`."""
        return self._talk.state.beta

    @property
    def weights(self) -> FloatArray:
        """Of a bank: coefficients of grid companies' columns, which no message tells an operator: for who measures and
        has all nodes in one process."""
        return self._talk.state.weights

    @property
    def ridges(self) -> tuple[float, ...]:
        """Of the lead: those that the fit came to, which no message tells either."""
        return self._lead.ridges

    def _ending(self, handler: Callable[[Content], Content]) -> Callable[[Content, Context], Content]:
        """The handler; what was changed on the way, or does not agree, ends the run here: there is no second try.

        What is of another kind or shape than the code reads is refused, whoever made it up.
        """

        def handle(content: Content, _: Context) -> Content:
            try:
                return handler(content)
            except AggregationFailed:
                self._talk.end()
                self._forget()
                raise
            except UNFIT as error:
                log.warning("a message does not fit", exc_info=True)
                raise TrainingFailed(f"{self.name}: a message does not fit what was asked before it") from error

        return handle

    def _forget(self) -> None:
        for handlers in (self._dealing, self._lead, self._made, self._counting, self._interacting, self._judging):
            handlers.forget()

    def _sum(self, content: Content) -> Content:
        """What this node adds to a sum, behind masks. Raises `AggregationFailed` for one that it does not agree to."""
        of, names = content.text("of"), frozenset(content.texts("names"))
        self._agree(of, names)
        part = self._part(of, content.integer("length"))
        return Content({"masked": self._talk.masked(of, part, names)})

    def _agree(self, of: str, names: frozenset[str]) -> None:
        self._talk.state.agree(of, names)

    def _part(self, of: str, length: int) -> FloatArray | Ring:
        """What this node adds to a sum: what it computed for it, given once. Raises `AggregationFailed`."""
        kept = self._talk.state.sums.pop(of, None)
        if kept is None or kept.shape != (length,):
            raise AggregationFailed(f"{self.name} has nothing to add to the sum of {of}, or not {length} numbers")
        return kept

    def _introduce(self, content: Content) -> Content:
        """Begin a run between the nodes that the operator names, if they are who the register says."""
        node = self._opened()
        if node is self._begun:
            raise TrainingFailed(f"{self.name}: a session has one run, and another has to be opened")
        self._begun = node
        met = self._talk.introduce(node, content.points("run"), content.texts("banks"), content.texts("grids"))
        self._forget()
        return Content(config={"key": met.public, "signature": met.signature})

    def _meet(self, content: Content) -> Content:
        for name in content.config:
            peer = name.removeprefix("key/")
            if name.startswith("key/") and peer != self.name:
                self._talk.meet(peer, content.points(name), content.points(f"signature/{peer}"))
        return Content()

    def _available(self, _: Content) -> Content:
        """Of a grid company: which positions it may use."""
        peers = self._talk.state.node.rows.peers
        return Content(prefixed("available", {bank: (rows >= 0).astype(np.uint8) for bank, rows in peers.items()}))

    def _mark(self, content: Content) -> Content:
        """Of a bank: what each position is for, where both sides may use it. Of a grid company: take what banks say."""
        state, told = self._talk.state, content.under("marks")
        if not state.parties.theirs:
            # Nobody chooses which customers banks fit by themselves.
            raise TrainingFailed(f"{self.name} trains with banks alone in this run")
        # What banks have counted are these rows: they stay what they are for.
        state.tell_once("marks")
        if not state.is_bank:
            # Of banks with which it is aligned, those that are in this run.
            state.marks = {b: np.asarray(told[b], dtype=np.int64) for b in state.node.rows.peers if b in told}
            self._remember()
            return Content()
        own = state.purposes()
        usable = content.under("available")
        for grid, rows in state.node.rows.peers.items():
            theirs = np.asarray(usable.get(grid, np.zeros(len(rows))), dtype=np.int64)
            both = (rows >= 0) & (theirs > 0)
            state.marks[grid] = np.where(both, own[rows], 0)
        return Content(prefixed("marks", {grid: m.astype(np.uint8) for grid, m in state.marks.items()}))

    def _remember(self) -> None:
        """Of a grid company: open nothing over few rows that are fitted, nor over nearly those of an earlier run."""
        state = self._talk.state
        rows = state.node.rows
        if isinstance(rows, GridRows) and rows.remember is not None:
            fitted = np.zeros(state.node.count, dtype=np.bool_)
            fitted[state.of_purpose(FIT)] = True
            rows.remember("fitted", fitted)

    def _columns(self, content: Content) -> Content:
        return self._made.make(content)

    def _hide(self, content: Content) -> Content:
        """Begin every pair: own columns behind the dealer's masks for the peer; then take the peer's.

        Where this node deals, begin that too, for the `rows` of pairs that the operator tells it.
        """
        state = self._talk.state
        state.require_enough()
        if content.under("hidden"):
            # What is counted is what is hidden: another time there could be more columns.
            state.tell_once("hidden columns")
            for peer, side in state.sides.items():
                side.take_hidden(self._talk.ring(content, "hidden", peer, side.rows, -1))
            return Content()
        curve = Curve.around(state.rate)
        # A gradient is opened as the sum over all pairs, of which the operator knows the rows and a node its own.
        own, together = sum(len(state.rows(peer, FIT)) for peer in state.marks), content.integer("rows")
        curve.check_rows(max(own, together))
        out: Arrays = {}
        for peer in sorted(state.marks):
            rows = state.rows(peer, FIT)
            if not len(rows):
                continue
            tapes = self._talk.tapes(content, peer, FITTING)
            columns, products = state.columns[rows].astype(np.float64), fitted_shares(state, peer)
            state.sides[peer] = PairSide(columns, *tapes, curve, self._labels(rows), products)
            out[f"hidden/{peer}"] = self._talk.sealed(peer, state.sides[peer].hidden_columns())
        self._dealing.begin(FITTING, self._dealing.rows(content), _widths(content))
        return Content(out)

    def _point(self, content: Content) -> Content:
        """Begin a step at the lead's point: of a bank, coefficients of the other side's columns behind a mask for every
        peer, and of any node what it deals for that."""
        state, out = self._talk.state, dict[str, NDArray[np.generic]]()
        state.require_enough()
        if not state.is_bank:
            return Content(self._dealing.weighed())
        self._follow(content)
        state.take_gradient(TOGETHER)
        for peer, side in state.sides.items():
            out[f"weights/{peer}"] = self._talk.sealed(peer, side.weigh(state.weights))
        return Content(out | self._dealing.weighed())

    def _follow(self, content: Content) -> None:
        """Of a bank: go to the point that the lead sealed, if it comes with this message."""
        state = self._talk.state
        if f"point/{state.lead}" not in content.arrays:
            return
        (stage, *_), point = np.split(self._talk.floats(content, "point", state.lead), [1])
        ours = state.columns.shape[1]
        theirs = None if stage == ALONE else state.others_prior
        others = 0 if theirs is None else len(theirs.relative) + state.appended
        if stage not in STAGES or len(point) != ours + others:
            raise TrainingFailed(f"{self.name}: {state.lead} sent {len(point)} coefficients")
        state.go(int(stage), point[:ours], point[ours:])

    def _open(self, content: Content) -> Content:
        """The own part of scaled logits behind a mask, for every peer, and what this node deals for the step.

        Raises `TrainingFailed` for a bank's part that lies where the cubic no longer tells logits apart: training has
        left what its curve was made for.
        """
        state, out = self._talk.state, dict[str, NDArray[np.generic]]()
        state.require_enough()
        state.answer_again(GRADIENT, most_gradients(state.fitted))
        for peer, side in state.sides.items():
            if state.is_bank:
                opened = side.open(self._logits(side))
            else:
                stock = self._talk.dealt(content, peer) if side.wants_stock else None
                side.take_weights(self._talk.ring(content, "weights", peer, -1), stock)
                opened = side.open()
            out[f"opened/{peer}"] = self._talk.sealed(peer, opened)
        return Content(out | self._dealing.step(FITTING, _widths(content)))

    def _logits(self, side: PairSide) -> FloatArray:
        beta = self._talk.state.beta
        return self._bounded(np.asarray(side.seen_columns(len(beta)) @ beta))

    def _bounded(self, logits: FloatArray) -> FloatArray:
        if not np.all(np.abs(logits) <= FARTHEST):
            raise TrainingFailed(f"{self.name}: a logit is not finite or beyond {FARTHEST:g}: training diverges")
        return logits

    def _labels(self, rows: Marks) -> FloatArray | None:
        source = self._talk.state.node.rows
        return source.labels[rows].astype(np.float64) if isinstance(source, BankRows) else None

    def _cross(self, content: Content) -> Content:
        out: Arrays = {}
        for peer, side in self._talk.state.sides.items():
            told = self._talk.ring(content, "opened", peer, -1)
            out[f"opened/{peer}"] = self._talk.sealed(peer, side.cross(told, self._talk.dealt(content, peer)))
        return Content(out)

    def _residual(self, content: Content) -> Content:
        """Shares of the residual, which go to the other side masked for its gradient; what is owed to that is kept."""
        out, owed = dict[str, NDArray[np.generic]](), []
        for peer, side in self._talk.state.sides.items():
            side.cube(self._talk.ring(content, "opened", peer, -1))
            masked_share, share = side.hand_over()
            out[f"masked/{peer}"] = self._talk.sealed(peer, masked_share)
            owed.append(share)
        self._talk.state.owed = np.asarray(np.sum(owed, axis=0, dtype=np.uint64))
        return Content(out)

    def _gradient(self, content: Content) -> Content:
        """The own shares of both sides' gradients, banks' first, for the next secure sum: at the lead behind a mask
        that nobody else can take off."""
        state, width = self._talk.state, content.integer("width")
        sides = state.sides.items()
        shares = [side.receive(self._talk.ring(content, "masked", peer, -1), width) for peer, side in sides]
        if shares:
            received = np.asarray(np.sum(shares, axis=0, dtype=np.uint64))
            both = np.concatenate((received, state.owed) if state.is_bank else (state.owed, received))
            # Where grid companies' columns begin: else those of one side would be added to those of the other.
            sizes = np.array(state.multiplied or ())
            state.alike[GRADIENT] = digest_of(width if state.is_bank else len(state.owed), sizes)
            if state.is_bank:
                both[state.left_out_of_shares] = 0
            state.sums[GRADIENT] = self._lead.hide(both) if state.is_bank else both
        return Content()

    def _clear(self, content: Content) -> Content:
        """Of a bank: the gradient of its columns, where the other side says nothing, at the lead's point, for the next
        secure sum: at the lead behind a mask that nobody else can take off."""
        state = self._talk.state
        state.require_enough()
        self._follow(content)
        state.take_gradient(ALONE)
        state.answer_again(BANKS_GRADIENT, MOST_ALONE)
        own = state.of_purpose(FIT)
        state.alike[BANKS_GRADIENT] = digest_of(state.beta)
        labels = self._labels(own)
        if labels is not None and len(own):
            # Coefficients of millions make residuals of a threshold, and two thresholds tell the row between them.
            residual = labels - 1.0 / (1.0 + np.exp(-self._bounded(state.columns[own] @ state.beta)))
            gradient = np.asarray(residual @ state.columns[own], dtype=np.float64)
            gradient[state.left_out[: len(gradient)]] = 0.0
            state.sums[BANKS_GRADIENT] = self._lead.hide(encoded(gradient, len(state.parties.ours)))
        return Content()


def _widths(content: Content) -> list[int]:
    """How many first columns of each side a dealer deals for, banks' first."""
    return [content.integer(f"width/{role}") for role in ROLES]
