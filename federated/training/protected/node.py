"""What a bank and a grid company answer in protected training; what goes to the other side is sealed on the way.

Marks say of each aligned position what it is for: 0 nothing, `FIT`, `SET_ASIDE` for calibration, `HELD_OUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import TrainingFailed
from federated.models.boosting import Trees
from federated.models.encoding import FloatArray
from federated.models.random_leaves import RandomLeaves
from federated.privacy.vertical.channel import Channel, Introduction
from federated.privacy.vertical.counting import answer, deal
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.dealer import KEY_BYTES
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import Ring, Tape, fixed
from federated.training.messages import Arrays, Content, answering, prefixed
from federated.training.secure_sum import add_secure_sum
from federated.training.zoo.finished import LEAST_AUDITED
from federated.training.zoo.node import ZooNode
from federated.training.zoo.rows import BankRows, inner_folds

FIT, SET_ASIDE, HELD_OUT = 1, 2, 3
# Cells of a histogram that a bank counts by itself, where it holds whole logits: secure sums hide whose they are.
CELLS, REACH = 480, 6.0
# The sum of a row's two logits, as the operator gets it.
SUM_BITS, MOST_LOGIT = 32, 1_000.0
Marks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's long-lived signing key, and the public ones of all nodes, which it knows from outside the run."""

    signing: Ed25519PrivateKey
    known: Mapping[str, Ed25519PublicKey]


@dataclass
class ProtectedNode:
    """One node's state while a protected model is trained. `peers` hold the pairs it is in."""

    node: ZooNode
    marks: dict[str, Marks] = field(default_factory=dict)
    sides: dict[str, PairSide] = field(default_factory=dict)
    sums: dict[str, FloatArray | Ring] = field(default_factory=dict)
    products: dict[str, Products] = field(default_factory=dict)
    shares: dict[str, dict[str, Ring]] = field(default_factory=dict)
    columns: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    beta: FloatArray = field(default_factory=lambda: np.zeros(0))
    told_logits: bool = False

    @property
    def is_bank(self) -> bool:
        """Whether this node holds labels."""
        return isinstance(self.node.rows, BankRows)

    def rows(self, peer: str, *wanted: int) -> Marks:
        """Own rows behind the positions shared with `peer` that are marked so, in order of position."""
        at = np.isin(self.marks[peer], wanted)
        return np.asarray(self.node.rows.peers[peer][at], dtype=np.int64)

    def purposes(self, share: float, seed: int) -> Marks:
        """What each own row is for: `share` of the training rows of either class are set aside."""
        rows = self.node.rows
        if not isinstance(rows, BankRows):
            raise TrainingFailed(f"{rows.org_id} has no labels to set aside by")
        parts = max(2, round(1.0 / share))
        drawn = inner_folds(rows.labels, rows.training, parts, 1, seed)[0]
        marks = np.where(rows.training, np.where(drawn == 0, SET_ASIDE, FIT), 0)
        return np.asarray(np.where(rows.held_out, HELD_OUT, marks), dtype=np.int64)


class ProtectedApp:
    """The handlers of one node. `opened` gives the session's node; nothing outlives a run."""

    def __init__(self, name: str, identity: Identity, opened: Callable[[], ZooNode]) -> None:
        self.name, self._identity, self._opened = name, identity, opened
        self._state: ProtectedNode | None = None
        self._met: Introduction | None = None
        self._channels: dict[str, Channel] = {}

    def add_to(self, app: ClientApp) -> None:
        """Let the app answer protected training's messages, and take part in secure sums."""
        for action, handler in {
            "introduce": self._introduce, "meet": self._meet, "available": self._available, "mark": self._mark,
            "columns": self._columns, "hide": self._hide, "keep": self._keep, "open": self._open, "cross": self._cross,
            "residual": self._residual, "gradient": self._gradient, "clear": self._clear, "logits": self._logits,
            "multiply": self._multiply, "deal": self._deal, "count": self._count, "histogram": self._histogram,
        }.items():  # fmt: skip
            app.query(f"protected_{action}")(answering(_handled(handler)))
        add_secure_sum(app, self.name, self._identity.signing, self._identity.known, self._summed)

    @property
    def state(self) -> ProtectedNode:
        """This node's state. Raises `TrainingFailed` before a run began."""
        if self._state is None:
            raise TrainingFailed(f"{self.name}: no protected run was opened")
        return self._state

    def _summed(self, content: Content) -> FloatArray | Ring:
        """What this node adds to a secure sum: what it computed for it, or nothing. Each is given once."""
        length = content.integer("length")
        found = self.state.sums.pop(content.text("of"), None)
        return np.zeros(length, dtype=np.uint64) if found is None else found

    def _introduce(self, content: Content) -> Content:
        self._state = ProtectedNode(self._opened())
        identity = self._identity
        self._met = Introduction(self.name, identity.signing, dict(identity.known), content.points("run"))
        return Content(config={"key": self._met.public, "signature": self._met.signature})

    def _meet(self, content: Content) -> Content:
        if self._met is None:
            raise TrainingFailed(f"{self.name}: met before it was introduced")
        self._channels = {
            peer: self._met.channel(peer, content.points(f"key/{peer}"), content.points(f"signature/{peer}"))
            for peer in sorted(name.split("/", 1)[1] for name in content.config if name.startswith("key/"))
        }
        return Content()

    def _sealed(self, peer: str, *arrays: NDArray[np.generic]) -> NDArray[np.uint8]:
        plain = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
        return np.frombuffer(self._channels[peer].seal(plain), dtype=np.uint8)

    def _unsealed(self, content: Content, name: str, peer: str) -> bytes:
        return self._channels[peer].open(content.arrays[f"{name}/{peer}"].tobytes())

    def _ring(self, content: Content, name: str, peer: str, *shape: int) -> Ring:
        numbers = np.frombuffer(self._unsealed(content, name, peer), dtype="<u8")
        if len(numbers) % max(int(np.prod([n for n in shape if n > 0])), 1):
            raise TrainingFailed(f"{self.name}: {peer} sent {len(numbers)} numbers where {shape} were agreed")
        return numbers.reshape(shape).astype(np.uint64)

    def _available(self, _: Content) -> Content:
        """Of a grid company: which positions it may use."""
        peers = self.state.node.rows.peers
        return Content(prefixed("available", {bank: (rows >= 0).astype(np.uint8) for bank, rows in peers.items()}))

    def _mark(self, content: Content) -> Content:
        """Of a bank: what each position is for, where both sides may use it. Of a grid company: take what banks say."""
        state, told = self.state, content.under("marks")
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
        state, node = self.state, self.state.node
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
        gram = np.asarray(part.T @ part, dtype=np.float64)
        state.sums[f"gram {'bank' if state.is_bank else 'grid'}"] = gram[np.triu_indices(len(gram))]
        state.beta = np.zeros(columns.shape[1])
        return Content(config={"rows": len(rows)})

    def _hide(self, content: Content) -> Content:
        """Begin every pair with its dealer's key: own columns behind masks for the peer; then take the peer's."""
        state, node = self.state, self.state.node
        if content.under("hidden"):
            for peer, side in state.sides.items():
                side.take_hidden(self._ring(content, "hidden", peer, len(side.columns), -1))
            return Content()
        curve = Curve.around(content.number("rate"))
        out: Arrays = {}
        for peer in sorted(state.marks):
            rows = state.rows(peer, FIT)
            if not len(rows):
                continue
            labels = node.rows.labels[rows].astype(np.float64) if isinstance(node.rows, BankRows) else None
            tape = Tape(content.points(f"tape/{peer}"))
            state.sides[peer] = PairSide(state.columns[rows].astype(np.float64), tape, curve, labels)
            out[f"hidden/{peer}"] = self._sealed(peer, state.sides[peer].hidden_columns())
        return Content(out)

    def _keep(self, content: Content) -> Content:
        """Go on with fewer columns: `own` are this side's, `others` the other side's."""
        state, kept = self.state, {n: np.asarray(content.arrays[n], dtype=np.int64) for n in ("own", "others")}
        state.columns = state.columns[:, kept["own"]]
        for side in state.sides.values():
            side.keep(kept["own"], kept["others"])
        return Content()

    def _open(self, content: Content) -> Content:
        state = self.state
        state.beta = np.asarray(content.arrays["beta"], dtype=np.float64)
        opened = {p: self._sealed(p, side.open(side.seen_columns @ state.beta)) for p, side in state.sides.items()}
        return Content(prefixed("opened", opened))

    def _cross(self, content: Content) -> Content:
        out: Arrays = {}
        for peer, side in self.state.sides.items():
            opened = self._ring(content, "opened", peer, 1, -1)
            out[f"opened/{peer}"] = self._sealed(peer, side.cross(opened, _given(content, "corrections", peer)))
        return Content(out)

    def _residual(self, content: Content) -> Content:
        """Shares of the residual; who does not own the gradient hands its share over masked, and keeps what it owes."""
        state, out, owed = self.state, dict[str, NDArray[np.generic]](), []
        for peer, side in state.sides.items():
            side.cube(self._ring(content, "opened", peer, 2, -1), _given(content, "corrections", peer))
            correction = _given(content, "gradient", peer)
            if correction is not None:
                masked_share, share = side.hand_over(correction)
                out[f"masked/{peer}"] = self._sealed(peer, masked_share)
                owed.append(share)
        if owed:
            state.sums["gradient"] = np.asarray(np.sum(owed, axis=0, dtype=np.uint64))
        return Content(out)

    def _gradient(self, content: Content) -> Content:
        state = self.state
        shares = [side.receive(self._ring(content, "masked", peer, -1)) for peer, side in state.sides.items()]
        if shares:
            state.sums["gradient"] = np.asarray(np.sum(shares, axis=0, dtype=np.uint64))
        return Content()

    def _clear(self, content: Content) -> Content:
        """Of a bank that trains with banks only: its gradient in numbers, for the secure sum."""
        state, rows = self.state, self.state.node.rows
        assert isinstance(rows, BankRows)
        state.beta = np.asarray(content.arrays["beta"], dtype=np.float64)
        purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
        fitted = np.flatnonzero(purposes == FIT)
        part = state.columns[fitted]
        p = 1.0 / (1.0 + np.exp(-(part @ state.beta)))
        state.sums["gradient"] = np.asarray((rows.labels[fitted] - p) @ part, dtype=np.float64)
        return Content()

    def _logits(self, content: Content) -> Content:
        """The own part of the logits of rows set aside and held out, behind the pair's masks, once a run.

        A second answer under the same masks would give the operator the difference of two logits of one side.
        """
        state = self.state
        if state.told_logits:
            raise TrainingFailed(f"{self.name}: logits are told once a run")
        state.told_logits = True
        state.beta = np.asarray(content.arrays["beta"], dtype=np.float64)
        out: Arrays = {}
        for peer in sorted(state.marks):
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            if not len(rows):
                continue
            logits = state.columns[rows] @ state.beta
            mask = Tape(self._channels[peer].key_for("logits")).draw(len(rows))
            plain = fixed(logits, SUM_BITS, MOST_LOGIT)
            out[f"logits/{peer}"] = plain + mask if state.is_bank else plain - mask
        return Content(out)

    def _multiply(self, content: Content) -> Content:
        """Defaults by groups of grid companies' columns, on shares: a bank's labels times a grid company's members.

        First factors behind masks go across; when the other's come, shares of the products are kept.
        """
        state, names = self.state, content.texts("groups")
        if content.under("opened"):
            for peer, products in state.products.items():
                opened = self._ring(content, "opened", peer, len(names), -1)
                found = products.shares(opened, _given(content, "corrections", peer))
                state.shares[peer] = dict(zip(names, found, strict=True))
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
            out[f"opened/{peer}"] = self._sealed(peer, state.products[peer].opened)
        return Content(out)

    def _evaluated(self) -> list[str]:
        """Peers with whom this node shares rows set aside or held out."""
        return [peer for peer in sorted(self.state.marks) if len(self.state.rows(peer, SET_ASIDE, HELD_OUT))]

    def _deal(self, content: Content) -> Content:
        """Deal for counts between the operator and the other side of each pair."""
        out: Arrays = {}
        cells, vectors = content.integer("cells"), content.integer("vectors")
        for peer in self._evaluated():
            dealt = deal(len(self.state.rows(peer, SET_ASIDE, HELD_OUT)), cells, vectors)
            out[f"key/{peer}"] = np.frombuffer(dealt.operator_key, dtype=np.uint8)
            out[f"dealt/{peer}"] = self._sealed(peer, np.frombuffer(dealt.holder_key, dtype=np.uint8), dealt.correction)
        return Content(out)

    def _count(self, content: Content) -> Content:
        """The own vectors behind masks, and the own share of the counts for the secure sum."""
        state, names, out, owed = self.state, content.texts("vectors"), dict[str, NDArray[np.generic]](), []
        for peer in self._evaluated():
            rows = state.rows(peer, SET_ASIDE, HELD_OUT)
            blob = self._unsealed(content, "dealt", peer)
            hidden = np.asarray(content.arrays[f"hidden/{peer}"], dtype=np.uint64)
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
        source = self.state.node.rows
        labels = source.labels[rows] if isinstance(source, BankRows) else np.zeros(len(rows), dtype=np.int64)
        if name == "defaults":
            return np.asarray(labels, dtype=np.uint64)
        segment, group, what = name.split("/")
        if what == "product":
            return self.state.shares[peer][f"{segment}/{group}"]
        member = self._members(segment, group)
        if self._held_out(member) < LEAST_AUDITED:
            return np.zeros(len(rows), dtype=np.uint64)
        return np.asarray(member[rows] & ((labels > 0) | (what == "rows")), dtype=np.uint64)

    def _members(self, segment: str, group: str) -> NDArray[np.bool_]:
        source = self.state.node.rows
        if segment == "bank":
            return np.full(self.state.node.count, source.org_id == group)
        codes = source.groups.get(segment)
        if codes is None:
            return np.zeros(self.state.node.count, dtype=np.bool_)
        return np.asarray(codes == int(group), dtype=np.bool_)

    def _held_out(self, member: NDArray[np.bool_]) -> int:
        return sum(int(member[self.state.rows(peer, HELD_OUT)].sum()) for peer in self.state.marks)

    def _histogram(self, content: Content) -> Content:
        """Of a bank that trains with banks only: (2, CELLS) counts of logits set aside and held out, for the sum."""
        state, rows = self.state, self.state.node.rows
        assert isinstance(rows, BankRows)
        state.beta = np.asarray(content.arrays["beta"], dtype=np.float64)
        purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
        found = []
        for wanted in (SET_ASIDE, HELD_OUT):
            own = np.flatnonzero(purposes == wanted)
            logits = state.columns[own] @ state.beta
            cell = np.clip((logits + REACH) / (2 * REACH) * CELLS, 0, CELLS - 1).astype(np.int64)
            found += [np.bincount(cell[rows.labels[own] == label], minlength=CELLS) for label in (0, 1)]
        state.sums["histogram"] = np.concatenate(found).astype(np.uint64)
        return Content()


def _handled(handler: Callable[[Content], Content]) -> Callable[[Content, Context], Content]:
    return lambda content, _: handler(content)


def _given(content: Content, name: str, peer: str) -> Ring | None:
    found = content.arrays.get(f"{name}/{peer}")
    return None if found is None else np.asarray(found, dtype=np.uint64)
