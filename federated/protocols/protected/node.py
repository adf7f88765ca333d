"""What a bank and a grid company answer while a protected model is fitted; what goes across is sealed on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import AggregationFailed, TooFewRows, TrainingFailed
from federated.models.encoding.principal import FARTHEST as FARTHEST_COLUMN
from federated.models.encoding.principal import projected
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import EXACT_DEPTH, RandomLeaves
from federated.models.learners.boosting import Trees
from federated.nodes.identity import Identity
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.gradients import most_gradients
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.encoders import encoder_arrays
from federated.protocols.core.messages import Arrays, Content, answering, prefixed
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import BankRows
from federated.protocols.protected.concealing import Concealing
from federated.protocols.protected.dealing import FITTING, ROLES, NodeDealing
from federated.protocols.protected.interacting import Interacting, fitted_shares
from federated.protocols.protected.judging import Judging
from federated.protocols.protected.lead import Lead
from federated.protocols.protected.own_rows import OwnRows, alone, told_of
from federated.protocols.protected.shuffling import Shuffling
from federated.protocols.protected.state import BANKS_GRADIENT, FIT, GRADIENT, Marks, Talk, digest_of

# A part of a logit beyond this is no credit risk, but a fit that diverges.
FARTHEST = 4.0 * REACH
# Each answer is one more equation about labels: an operator that asks for more than a run needs is refused. Of banks'
# own columns: no grid company knows them. Honest runs on six public sets take 8 to 30.
MOST_GRADIENTS = 100
MOST_TREES = 4_000
# How much less a node's own customers may differ in its columns than all customers do.
LEAST_SPREAD = 0.25
# Beyond it a column is no number any more.
FARTHEST_DIRECTION = 1e9
# A bank that fits fewer is nobody to hide among.
LEAST_OF_A_BANK = 20
# What numbers of a wrong kind or shape end in.
UNFIT = (ValueError, IndexError, KeyError, TypeError, OverflowError, ArithmeticError, AssertionError)
log = logging.getLogger(__name__)


class ProtectedApp:
    """The handlers of one node. `opened` gives the session's node; nothing outlives a run."""

    def __init__(self, identity: Identity, opened: Callable[[], SessionNode]) -> None:
        self.name, self._identity, self._opened = identity.name, identity, opened
        self._talk = Talk(identity)
        self._dealing = NodeDealing(self._talk)
        self._judging = Judging(self._talk, self._dealing)
        self._lead = Lead(self._talk)
        self._shuffling = Shuffling(self._talk, self._dealing, self._follow)
        self._concealing = Concealing(self._talk)
        self._interacting = Interacting(self._talk, self._dealing)
        self._own_rows: OwnRows | None = None
        self._begun: SessionNode | None = None

    def add_to(self, app: ClientApp) -> None:
        """Let the app answer protected training's messages, and take part in secure sums."""
        judging, shuffling, concealing = self._judging, self._shuffling, self._concealing
        for action, handler in {
            "introduce": self._introduce, "meet": self._meet, "available": self._available, "mark": self._mark,
            "columns": self._columns, "project": self._project, "interact": self._interacting.multiply,
            "hide": self._hide,
            "step": self._lead.step, "point": self._point, "open": self._open,
            "cross": self._cross,
            "residual": self._residual, "gradient": self._gradient, "clear": self._clear, "sum": self._sum,
            "shuffle": shuffling.hide, "pass_on": shuffling.pass_on, "tell": shuffling.tell,
            "multiply": judging.multiply, "deal": judging.deal, "count": judging.count, "release": judging.release,
            "histogram": judging.histogram, "conceal": concealing.conceal, "keep_part": concealing.keep,
        }.items():  # fmt: skip
            app.query(f"protected_{action}")(answering(self._ending(handler)))

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
                self._dealing.forget()
                self._lead.forget()
                self._interacting.forget()
                raise
            except UNFIT as error:
                log.warning("a message does not fit", exc_info=True)
                raise TrainingFailed(f"{self.name}: a message does not fit what was asked before it") from error

        return handle

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
        self._dealing.forget()
        self._lead.forget()
        self._interacting.forget()
        self._own_rows = None
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
        # What banks have counted are these rows: they stay what they are for.
        state.tell_once("marks")
        if not state.is_bank:
            # Of banks with which it is aligned, those that are in this run.
            state.marks = {b: np.asarray(told[b], dtype=np.int64) for b in state.node.rows.peers if b in told}
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
        state.tell_once("columns")
        trees = Trees.from_arrays(content.under("trees"))
        if trees.depth > EXACT_DEPTH or len(trees.feature) > MOST_TREES:
            detail = f"more than {MOST_TREES} trees, or than {EXACT_DEPTH} levels"
            raise TrainingFailed(f"{self.name}: {detail}: leaves of deep trees hold single customers")
        basis = RandomLeaves(node.encoder, node.binning, trees)
        columns = state.columns = basis.columns(node.values)
        cuts: Arrays = {str(j): cut for j, cut in enumerate(node.binning.cuts)}
        state.made_of = digest_of(trees.to_arrays(), encoder_arrays(node.encoder), cuts)
        if not state.marks:
            state.purposes(content.number("set_aside"), content.integer("seed"))
        rows = self._fitted_rows()
        part = columns[rows]
        if len(rows):
            gram = np.asarray(part.T @ part, dtype=np.float64)
            state.sums[f"gram {'bank' if state.is_bank else 'grid'}"] = gram[np.triu_indices(len(gram))]
        state.beta = np.zeros(columns.shape[1])
        return Content(config={"rows": len(rows)})

    def _fitted_rows(self) -> Marks:
        """Own rows that are fitted: those that peers have in common, or in a run of banks alone all that were drawn."""
        state = self._talk.state
        if state.marks:
            return np.concatenate([state.rows(peer, FIT) for peer in sorted(state.marks)])
        if state.drawn is None:
            raise TrainingFailed(f"{self.name}: no rows were set aside yet")
        return np.asarray(np.flatnonzero(state.purposes(*state.drawn) == FIT), dtype=np.int64)

    def _project(self, content: Content) -> Content:
        """Go on with few columns, the own ones times `directions`. Once a run, before any is hidden.

        Raises `TrainingFailed` for directions of other columns than these.
        """
        state, directions = self._talk.state, content.floats("directions")
        state.tell_once("directions")
        if state.sides:
            raise TrainingFailed(f"{self.name}: columns are projected before they are hidden")
        known = directions.ndim == 2 and len(directions) == state.columns.shape[1] >= directions.shape[1] > 0
        if not known or not np.all(np.abs(directions) <= FARTHEST_DIRECTION):
            raise TrainingFailed(f"{self.name}: directions of {directions.shape} for {state.columns.shape[1]} columns")
        state.columns = projected(state.columns, directions)
        state.made_of = digest_of(np.frombuffer(state.made_of, dtype=np.uint8), directions)
        # A bank's first column is the constant.
        own = state.columns[self._fitted_rows(), int(state.is_bank) :].astype(np.float64)
        spread = np.minimum(own.var(axis=0) * FARTHEST_COLUMN**2, 1.0).mean() if own.size else 1.0
        if spread < LEAST_SPREAD:
            # Directions in which the own customers do not differ leave all that is opened to those of others.
            told = "the directions keep next to nothing of its own customers, or these hardly differ in its columns"
            raise TrainingFailed(f"{self.name}: {told}")
        state.beta = np.zeros(directions.shape[1])
        return Content()

    def _hide(self, content: Content) -> Content:
        """Begin every pair: own columns behind the dealer's masks for the peer; then take the peer's.

        Where this node deals, begin that too, for the `rows` of pairs that the operator tells it. Banks tell each
        other, sealed, how many rows they fit, and how far these are from those of earlier runs: what an operator says
        of that decides nothing. Raises `TooFewRows`, `RowsTooAlike`.
        """
        state = self._talk.state
        if content.under("hidden") or content.under("fitted"):
            # What is counted is what is hidden: another time there could be more columns.
            state.tell_once("hidden columns")
            for peer, side in state.sides.items():
                side.take_hidden(self._talk.ring(content, "hidden", peer, side.rows, -1))
            self._require_enough(content)
            return Content(config={"lead": state.lead} if state.is_bank else {})
        state.rate = content.number("rate")
        curve = Curve.around(state.rate)
        # A gradient is opened as the sum over all pairs, of which the operator knows the rows and a node its own.
        own, together = self._fitted(), content.integer("rows")
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
        if state.is_bank:
            self._own_rows = OwnRows.of(state)
            for bank in self._other_banks():
                out[f"fitted/{bank}"] = self._talk.sealed(bank, self._own_rows.told.numbers())
        self._dealing.begin(FITTING, self._dealing.rows(content), _widths(content))
        return Content(out)

    def _fitted(self) -> int:
        """How many own rows are fitted."""
        return sum(len(self._talk.state.rows(peer, FIT)) for peer in self._talk.state.marks)

    def _other_banks(self) -> list[str]:
        """Of a bank: the others of its run."""
        state = self._talk.state
        return sorted(state.parties.ours - {self.name}) if state.is_bank else []

    def _require_enough(self, content: Content) -> None:
        """Raise `TooFewRows` where banks together fit fewer rows than this bank allows gradients to be opened over, and
        `RowsTooAlike` where an earlier run was over nearly the same."""
        state = self._talk.state
        if not state.is_bank or state.enough:
            return
        others = {bank: told_of(self._talk.ring(content, "fitted", bank, -1)) for bank in self._other_banks()}
        if self._own_rows is None:
            raise TrainingFailed(f"{self.name}: no columns were hidden yet")
        self._own_rows.begin_with(list(others.values()))
        state.fitted = sum(told.counts[0] for told in (*others.values(), self._own_rows.told))
        everybody = others | {self.name: self._own_rows.told}
        aside, held = (sum(told.counts[of] for told in everybody.values()) for of in (1, 2))
        state.to_judge = aside, held
        counted = frozenset(bank for bank, told in everybody.items() if told.counts[0])
        few = min(everybody[bank].counts[0] for bank in counted) if counted else 0
        if len(counted) > 1 and few < LEAST_OF_A_BANK:
            detail = f"one of {len(counted)} banks fits {few} customers, and sums over them are the others'"
            raise TooFewRows(f"{self.name}: {detail}", least=LEAST_OF_A_BANK)
        state.adding = dict.fromkeys((GRADIENT, BANKS_GRADIENT), counted)
        state.lead = min(counted, key=lambda bank: (-everybody[bank].counts[0], bank))
        state.enough = True

    def _point(self, content: Content) -> Content:
        """Go to a point of the fit, if the lead says another, and begin a step: of a bank, coefficients of the other
        side's columns behind a mask for every peer, and of any node what it deals for that."""
        state, out = self._talk.state, dict[str, NDArray[np.generic]]()
        state.require_enough()
        if not state.is_bank:
            return Content(self._dealing.weighed())
        self._follow(content)
        for peer, side in state.sides.items():
            out[f"weights/{peer}"] = self._talk.sealed(peer, side.weigh(state.weights))
        return Content(out | self._dealing.weighed())

    def _follow(self, content: Content) -> None:
        """Of a bank: go to the point that the lead sealed, if it comes with this message."""
        state = self._talk.state
        if f"point/{state.lead}" not in content.arrays:
            return
        point = self._talk.floats(content, "point", state.lead)
        others = max((side.others for side in state.sides.values()), default=0)
        if not 0 < len(point) - others <= state.columns.shape[1]:
            raise TrainingFailed(f"{self.name}: {state.lead} sent {len(point)} coefficients")
        state.beta, state.weights = point[: len(point) - others], point[len(point) - others :]

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
            state.sums[GRADIENT] = self._lead.hide(both) if state.is_bank else both
        return Content()

    def _clear(self, content: Content) -> Content:
        """Of a bank: the gradient of its columns where the other side says nothing, in numbers, for banks' sum."""
        state = self._talk.state
        if state.parties.theirs:
            state.require_enough()
            own = np.concatenate([state.rows(peer, FIT) for peer in sorted(state.marks)])
        else:
            own = np.flatnonzero(alone(state, content) == FIT)
        state.answer_again(BANKS_GRADIENT, MOST_GRADIENTS)
        state.beta = content.floats("beta")
        state.alike[BANKS_GRADIENT] = digest_of(state.beta)
        labels = self._labels(own)
        if labels is not None and len(own):
            # Coefficients of millions make residuals of a threshold, and two thresholds tell the row between them.
            residual = labels - 1.0 / (1.0 + np.exp(-self._bounded(state.columns[own] @ state.beta)))
            state.sums[BANKS_GRADIENT] = np.asarray(residual @ state.columns[own], dtype=np.float64)
        return Content()


def _widths(content: Content) -> list[int]:
    """How many first columns of each side a dealer deals for, banks' first."""
    return [content.integer(f"width/{role}") for role in ROLES]
