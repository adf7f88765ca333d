"""What a node keeps while a protected model is trained, and its sealed talk with the others of a run.

Marks say of each aligned position what it is for: 0 nothing, `FIT`, `HELD_OUT`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed, TrainingFailed
from federated.models.encoding.ramps import Float32Array, FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.nodes.identity import Identity
from federated.privacy.secure_aggregation.ring import encoded, stream
from federated.privacy.vertical.channel import Channel, Introduction
from federated.privacy.vertical.counting import Layout
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import Ring, Tape
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import LEAST_AUDITED, BankRows

FIT, HELD_OUT = 1, 2
# The sum that both sides add shares to; all others are over nodes of one side, which alone have what is summed. Banks
# fit their own columns alone at first.
GRADIENT, BANKS_GRADIENT, HISTOGRAM = "gradient", "banks' gradient", "histogram"
# What a point of the lead's is for: a gradient of banks' columns by banks alone, one of all columns, or scores.
ALONE, TOGETHER, AT_REST = 0, 1, 2
STAGES = {ALONE: "banks alone fit", TOGETHER: "all fit", AT_REST: "a fit has come to rest"}
# How tightly a column of too few customers is held, beside a ramp: at 0.
HELD = 1e12
Marks = NDArray[np.int64]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part in a run: the nodes of this node's side, itself among them, and those of the other side.

    The operator names them, once, when a run begins; `checked` holds them against the register of keys. Guarantee: this
    node's Gram matrix and counts are opened to the operator, and its gradients to the lead, only as sums over at least
    `least` nodes of its side that have something to add, over the same nodes throughout a run, none of which may drop
    out. Nodes of its side that collude with who reads a sum do not count. `least` is 2, or 1 for a side on which the
    register knows this node alone: then there is no other vector to hide in, and its Gram matrix and its counts are
    opened to the operator as they are.

    A third node of the run deals to each pair (`privacy.vertical.dealer`); the operator does so only where the register
    knows no third node, so that no operator can leave it out. All nodes sign the parties with their keys of the run:
    two that were told of different ones do not meet.
    """

    ours: frozenset[str]
    theirs: frozenset[str]
    least: int

    @staticmethod
    def checked(identity: Identity, ours: frozenset[str], theirs: frozenset[str]) -> Parties:
        """The parties. Raises `AggregationFailed` if the register says otherwise, or nobody is left to hide among."""
        strangers = sorted((ours - identity.kin) | (theirs - (identity.known.keys() - identity.kin)))
        if strangers or identity.name not in ours:
            detail = f"{', '.join(strangers) or identity.name} cannot take part on the side that the operator says"
            raise AggregationFailed(f"{identity.name}: {detail}")
        if len(ours) < identity.least:
            raise AggregationFailed(f"{identity.name}: a run with {len(ours)} node of its kind hides nobody")
        if len(ours | theirs) == 2 < len(identity.known) and theirs:
            raise AggregationFailed(f"{identity.name}: a run of two has no node to deal, and the register knows more")
        return Parties(ours, theirs, identity.least)

    def dealer(self, bank: str, grid: str) -> str | None:
        """Who deals to this pair: a third node, or None, the operator, where there is none."""
        return dealer_of(bank, grid, self.ours | self.theirs)

    def dealt_to(self, name: str, *, is_bank: bool) -> list[Pair]:
        """The pairs to which this node deals; `is_bank` says whether its own side are banks."""
        banks, grids = (self.ours, self.theirs) if is_bank else (self.theirs, self.ours)
        return [(b, g) for b in sorted(banks) for g in sorted(grids) if self.dealer(b, g) == name]

    def text(self, run_id: bytes, *, is_bank: bool) -> bytes:
        """A run and its parties: what nodes sign with their keys."""
        sides = [sorted(side) for side in ((self.ours, self.theirs) if is_bank else (self.theirs, self.ours))]
        return hashlib.sha256(json.dumps([run_id.hex(), *sides]).encode()).digest()


def gram_of(role: str) -> str:
    """The sum of Gram matrices of one side's columns."""
    return f"gram {role}"


def digest_of(*told: NDArray[np.generic] | Arrays | int) -> bytes:
    """Of what a node was told: two that were told something else have another one."""
    digest = hashlib.sha256()
    for one in told:
        for name, array in sorted(one.items() if isinstance(one, dict) else [("", np.asarray(one))]):
            digest.update(
                f"{name}\0{array.dtype.str}\0{array.shape}\0".encode() + np.ascontiguousarray(array).tobytes()
            )
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Rows of a pair that are judged, in the bank's `order` (rows,) of its own, which a grid company does not know and
    has as it is; `shares` are the own ones of members of groups of the grid company's columns (`…/rows`) and of their
    defaults (`…/product`)."""

    order: Marks
    shares: dict[str, Ring]


@dataclass(frozen=True, slots=True)
class Prior:
    """Of a side's principal columns: `relative` (width,) as `PrincipalColumns` says, and how many each part has."""

    relative: FloatArray
    parts: tuple[int, ...]

    @property
    def by_part(self) -> list[FloatArray]:
        """`relative` of each part."""
        return np.split(self.relative, np.cumsum(self.parts)[:-1])

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Which columns (width,) are of too few customers: nobody takes a gradient of them."""
        return np.asarray(self.relative >= HELD)


@dataclass
class ProtectedNode:
    """One node's state while a protected model is trained. `peers` hold the pairs it is in."""

    node: SessionNode
    parties: Parties
    marks: dict[str, Marks] = field(default_factory=dict)
    sides: dict[str, PairSide] = field(default_factory=dict)
    owed: Ring = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    sums: dict[str, FloatArray | Ring] = field(default_factory=dict)
    shares: dict[str, dict[str, Ring]] = field(default_factory=dict)
    columns: Float32Array = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    # Coefficients of the own columns, and at a bank those of grid companies' columns, which no grid company is told.
    beta: FloatArray = field(default_factory=lambda: np.zeros(0))
    weights: FloatArray = field(default_factory=lambda: np.zeros(0))
    # What this bank keeps of the function that grid companies' columns have in the end.
    part: bytes = b""
    # And of banks' function, at the lead.
    own_part: bytes = b""
    # Of a bank: who takes the steps of a fit, known once banks have counted; what the last point that it told is for,
    # and whether a gradient is due there.
    lead: str = ""
    stage: int | None = None
    due: bool = False
    # How tightly the own columns are held, and at a bank what grid companies say of theirs.
    prior: Prior | None = None
    others_prior: Prior | None = None
    # Of a bank: whether each column of either side is one of enough customers.
    approved: bool = False
    # The overall rate of default, as the operator says.
    rate: float = 0.5
    # Of a bank: over how many rows of all banks together gradients are opened. A grid company is not told.
    fitted: int = 1 << 24
    # Of a bank: how many rows of all banks together are held out.
    to_judge: int = 0
    told: set[str] = field(default_factory=set)
    shuffled: dict[str, Shuffled] = field(default_factory=dict)
    # Of a bank: whether banks together fit as many rows as it wants gradients to be opened over.
    enough: bool = False
    # Of a bank: the banks that have rows of their own in a shared sum.
    adding: dict[str, frozenset[str]] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    summed: dict[str, frozenset[str]] = field(default_factory=dict)
    # What all nodes of a sum have to be told alike, by sum, and all of this side: what its columns are made of.
    alike: dict[str, bytes] = field(default_factory=dict)
    made_of: bytes = b""
    # The own columns and their directions, and at a bank what grid companies say that theirs are made of.
    basis: RandomLeaves | None = None
    directions: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    others_made_of: bytes = b""
    # Of the lead of banks alone: what it hides counts of logits behind.
    counts_mask: Ring | None = None
    # How many components of banks' and of grid companies' columns are multiplied, and by peer the own shares
    # (rows, products) of products: of rows that are fitted, then of those that are judged.
    multiplied: tuple[int, int] | None = None
    interactions: dict[str, Ring] = field(default_factory=dict)
    # Of counts of what banks hold ("bank") and grid companies hold ("grid"): what is counted, and the key of tags.
    layouts: dict[str, Layout] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)

    @property
    def is_bank(self) -> bool:
        """Whether this node holds labels."""
        return isinstance(self.node.rows, BankRows)

    @property
    def appended(self) -> int:
        """How many products of both sides' components are the last columns of both."""
        return 0 if self.multiplied is None else self.multiplied[0] * self.multiplied[1]

    @property
    def reader(self) -> str:
        """The bank that reads counts: the first by name of the run, which no operator chooses."""
        return min(self.parties.ours if self.is_bank else self.parties.theirs)

    def rows(self, peer: str, *wanted: int) -> Marks:
        """Own rows behind the positions shared with `peer` that are marked so, in order of position."""
        at = np.isin(self.marks[peer], wanted)
        return np.asarray(self.node.rows.peers[peer][at], dtype=np.int64)

    def of_purpose(self, purpose: int) -> Marks:
        """Own rows that a run has for this purpose: those in common with peers, or in a run of banks alone all.
        Raises `TrainingFailed` where this node was not told what its rows are for."""
        if self.marks:
            return np.concatenate([self.rows(peer, purpose) for peer in sorted(self.marks)])
        if self.parties.theirs:
            raise TrainingFailed(f"{self.node.rows.org_id} was not told what its customers are for")
        return np.asarray(np.flatnonzero(self.purposes() == purpose), dtype=np.int64)

    def judged(self, peer: str) -> Marks:
        """Own rows shared with `peer` that are held out."""
        return self.rows(peer, HELD_OUT)

    def judged_with(self) -> list[str]:
        """Peers with whom this node shares rows held out."""
        return [peer for peer in sorted(self.marks) if len(self.judged(peer))]

    def members(self, name: str) -> Ring:
        """Members (rows,) of a group of the own columns, `<segment>/<number>`; of few held-out customers nobody is one.

        Raises `TrainingFailed` for a segment of other columns.
        """
        segment, _, group = name.partition("/")
        codes = self.node.rows.groups.get(segment)
        if codes is None:
            raise TrainingFailed(f"{self.node.rows.org_id} has no groups of {segment}")
        member = codes == int(group)
        held = sum(int(member[self.rows(peer, HELD_OUT)].sum()) for peer in self.marks)
        return np.asarray(member & (held >= LEAST_AUDITED), dtype=np.uint64)

    def purposes(self) -> Marks:
        """Of a bank: what each own row is for."""
        rows = self.node.rows
        if not isinstance(rows, BankRows):
            raise TrainingFailed(f"{rows.org_id} does not say what customers are for")
        return np.asarray(np.where(rows.held_out, HELD_OUT, np.where(rows.training, FIT, 0)), dtype=np.int64)

    def agree(self, of: str, names: frozenset[str]) -> None:
        """Raise `AggregationFailed` unless a sum of `of` over `names` is one that `Parties` allows.

        The first sum of a kind fixes its nodes for the run: the difference of two sums over different nodes would be a
        sum over fewer.
        """
        own, parties = self.node.rows.org_id, self.parties
        idle = sorted(names - (parties.ours | parties.theirs if of == GRADIENT else parties.ours))
        if idle:
            raise AggregationFailed(f"{own}: {', '.join(idle)} have nothing to add to the sum of {of}")
        if len(names & parties.ours) < parties.least:
            raise AggregationFailed(
                f"{own}: a sum of {of} over {len(names & parties.ours)} node of its kind is its own"
            )
        own_pairs = self.sides.keys() if of == GRADIENT else set()
        missing = sorted((own_pairs | self.adding.get(of, frozenset())) - names)
        if missing or own not in names:
            raise AggregationFailed(f"{own}: {', '.join(missing) or own} would be missing from the sum of {of}")
        if self.summed.setdefault(of, names) != names:
            raise AggregationFailed(f"{own}: the sum of {of} was over other nodes before")

    def answer_again(self, what: str, most: int) -> None:
        """Count an answer. Raises `TrainingFailed` for one more than `most` in this run."""
        self.answered[what] += 1
        if self.answered[what] > most:
            raise TrainingFailed(f"{self.node.rows.org_id}: more than {most} of a run's {what}s were asked for")

    def require_enough(self) -> None:
        """Raise `TrainingFailed` at a bank that has not heard yet from all other banks how many rows they fit."""
        if self.is_bank and not self.enough:
            raise TrainingFailed(f"{self.node.rows.org_id}: nothing is opened before banks have counted their rows")

    def go(self, stage: int, beta: FloatArray, weights: FloatArray) -> None:
        """Of a bank: go to a point of the lead's."""
        self.stage, self.due, self.beta, self.weights = stage, stage != AT_REST, beta, weights

    def take_gradient(self, stage: int) -> None:
        """Compute the one gradient that is due at the lead's last point. Raises `TrainingFailed` where none is, or one
        of another stage: no operator chooses where, or how often, a gradient is taken."""
        if not self.approved:
            raise TrainingFailed(f"{self.node.rows.org_id}: no gradient is taken of columns that banks did not approve")
        if not self.due or self.stage != stage:
            raise TrainingFailed(f"{self.node.rows.org_id}: the lead asks for no gradient here where {STAGES[stage]}")
        self.due = False

    @property
    def left_out(self) -> NDArray[np.bool_]:
        """Of a bank: which columns of both sides, banks' first and products last, no gradient is taken of."""
        priors = [prior for prior in (self.prior, self.others_prior) if prior is not None]
        return np.concatenate([*(prior.left_out for prior in priors), self.products_left_out])

    @property
    def left_out_of_shares(self) -> NDArray[np.bool_]:
        """As `left_out`, where products stand behind the columns of either side."""
        assert self.prior is not None
        assert self.others_prior is not None
        products = self.products_left_out
        return np.concatenate([self.prior.left_out, products, self.others_prior.left_out, products])

    @property
    def products_left_out(self) -> NDArray[np.bool_]:
        """Of a bank: which products (products,) are of a component that is left out."""
        if self.multiplied is None or self.prior is None or self.others_prior is None:
            return np.zeros(0, dtype=np.bool_)
        (k, n), ours, theirs = self.multiplied, self.prior.left_out, self.others_prior.left_out
        return np.logical_or.outer(ours[1 : 1 + k], theirs[:n]).ravel()

    def require_rest(self) -> None:
        """Raise `TrainingFailed` at a bank that the lead did not tell where the fit came to rest."""
        if self.is_bank and self.stage != AT_REST:
            raise TrainingFailed(f"{self.node.rows.org_id}: nothing is scored before {STAGES[AT_REST]}")

    def require_alone(self) -> None:
        """Raise `TrainingFailed` in a run with grid companies: nobody counts there what banks open by themselves."""
        if self.parties.theirs:
            raise TrainingFailed(f"{self.node.rows.org_id} trains with grid companies in this run")

    def tell_once(self, what: str) -> None:
        """Raise `TrainingFailed` if `what` was told before in this run: the difference of two answers says too much."""
        if what in self.told:
            raise TrainingFailed(f"{self.node.rows.org_id}: {what} are told once a run")
        self.told.add(what)


class Talk:
    """A node's state and channels, and how it reads what others sealed for it. Nothing outlives a run."""

    def __init__(self, identity: Identity) -> None:
        self.name, self._identity = identity.name, identity
        self._state: ProtectedNode | None = None
        self._met: Introduction | None = None
        self._channels: dict[str, Channel] = {}
        self._dealing: dict[tuple[str, Pair], Channel] = {}
        self._sums: Counter[str] = Counter()

    def end(self) -> None:
        """Forget the run: whatever else is asked of it is refused."""
        self._state, self._met, self._channels, self._dealing, self._sums = None, None, {}, {}, Counter()

    def introduce(self, node: SessionNode, run_id: bytes, banks: list[str], grids: list[str]) -> Introduction:
        """Begin a run between these nodes, with a fresh key and fresh state. Raises `AggregationFailed`."""
        sides, is_bank = (frozenset(banks), frozenset(grids)), isinstance(node.rows, BankRows)
        parties = Parties.checked(self._identity, *(sides if is_bank else sides[::-1]))
        self.end()
        self._state = ProtectedNode(node, parties)
        self._met = Introduction(self._identity, parties.text(run_id, is_bank=is_bank))
        return self._met

    def meet(self, peer: str, key: bytes, signature: bytes) -> None:
        """Take a peer's key. Raises `TrainingFailed` before the introduction, `AggregationFailed` for a forged key, or
        one of a run between other parties."""
        if self._met is None:
            raise TrainingFailed(f"{self.name}: met before it was introduced")
        if peer not in self.state.parties.ours | self.state.parties.theirs:
            raise TrainingFailed(f"{self.name}: {peer} takes no part in this run")
        if peer in self._channels:
            raise TrainingFailed(f"{self.name}: {peer} was met before")
        self._channels[peer] = self._met.channel(peer, key, signature)

    @property
    def state(self) -> ProtectedNode:
        """This node's state. Raises `TrainingFailed` before a run began."""
        if self._state is None:
            raise TrainingFailed(f"{self.name}: no protected run was opened")
        return self._state

    def channel(self, peer: str) -> Channel:
        """The channel to a peer. Raises `TrainingFailed` for one that was not met."""
        if peer not in self._channels:
            raise TrainingFailed(f"{self.name}: {peer} was not met in this run")
        return self._channels[peer]

    def pair(self, peer: str) -> Pair:
        """The pair of this node and a peer of the other side, the bank first."""
        return (self.name, peer) if self.state.is_bank else (peer, self.name)

    def dealing(self, other: str, pair: Pair) -> Channel:
        """The channel to `other` for what is dealt to one pair: its counter is that of this pair alone."""
        if (other, pair) not in self._dealing:
            self._dealing[other, pair] = self.channel(other).apart(f"dealing to {' '.join(pair)}")
        return self._dealing[other, pair]

    def dealer(self, peer: str) -> Channel | None:
        """The channel to who deals to this node and a peer, None where the operator does."""
        pair = self.pair(peer)
        dealer = self.state.parties.dealer(*pair)
        return None if dealer is None else self.dealing(dealer, pair)

    def tapes(self, content: Content, peer: str, purpose: str) -> tuple[Tape, Tape]:
        """The dealer's tape for this node with a peer, and the pair's own that no dealer has; once for one purpose.

        The operator sends its key of the first, where it deals.
        """
        self.state.tell_once(f"masks for {purpose} with {peer}")
        dealer = self.dealer(peer)
        key = content.points(f"tape/{peer}") if dealer is None else dealer.key_for(purpose)
        return Tape(key), Tape(self.channel(peer).key_for(f"order of triples for {purpose}"))

    def dealt(self, content: Content, peer: str) -> Ring:
        """What the dealer sent for this node's pair with a peer. Raises `TrainingFailed` if it is missing,
        `AggregationFailed` if it was changed on the way."""
        numbers, dealer = content.array(f"dealt/{peer}"), self.dealer(peer)
        if dealer is None:
            return np.asarray(numbers, dtype=np.uint64).ravel()
        return np.frombuffer(dealer.open(numbers.tobytes()), dtype="<u8").astype(np.uint64)

    def masked(self, of: str, part: FloatArray | Ring, names: frozenset[str]) -> Ring:
        """This node's part of a sum over `names`, itself among them, in the ring, behind a mask with each other node.

        Numbers get `BITS` after the point, integers modulo 2^64 are added as they are. Guarantee: of parts of the same
        `names` for the same sum all masks cancel, so that their total is known to whoever has all parts; from anything
        less, and from nodes that were told other names, or other things of what is summed (`alike`, `made_of`), nothing
        follows: each mask is uniform to all but its two nodes, and is drawn for one sum. Nobody can drop out, which
        shares of a threshold would be for (Bonawitz et al., CCS 2017, section 4, the first of its protocols).
        """
        total = part if part.dtype == np.uint64 else encoded(np.asarray(part, dtype=np.float64), len(names))
        state, about = self.state, f"{len(total)} {self.state.alike.get(of, b'').hex()}"
        self._sums[of] += 1
        for other in names - {self.name}:
            made_of = state.made_of.hex() if other in state.parties.ours else ""
            purpose = f"sum {self._sums[of]} of {of}: {about} {made_of}"
            mask = stream(self.channel(other).key_for(purpose), len(total))
            total = total + mask if self.name < other else total - mask
        return np.asarray(total, dtype=np.uint64)

    def sealed(self, peer: str, *arrays: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Arrays one after the other, for a peer alone."""
        plain = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)
        return np.frombuffer(self.channel(peer).seal(plain), dtype=np.uint8)

    def floats(self, content: Content, name: str, peer: str) -> FloatArray:
        """Finite numbers that a peer sealed under `name`. Raises `TrainingFailed` for anything else."""
        numbers = np.frombuffer(self.unsealed(content, name, peer), dtype="<f8").astype(np.float64)
        if not np.isfinite(numbers).all():
            raise TrainingFailed(f"{self.name}: {peer} sent numbers that are not finite")
        return numbers

    def unsealed(self, content: Content, name: str, peer: str) -> bytes:
        """What a peer sealed under `name`. Raises `TrainingFailed` if it is missing, `AggregationFailed` if changed."""
        return self.channel(peer).open(content.array(f"{name}/{peer}").tobytes())

    def ring(self, content: Content, name: str, peer: str, *shape: int) -> Ring:
        """What a peer sealed under `name` as ring elements of `shape`, in which one −1 is whatever fits."""
        numbers = np.frombuffer(self.unsealed(content, name, peer), dtype="<u8")
        try:
            return numbers.reshape(shape).astype(np.uint64)
        except ValueError:
            raise TrainingFailed(f"{self.name}: {peer} sent {len(numbers)} numbers where {shape} were agreed") from None
