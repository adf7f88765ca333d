"""What is read of a pair's rows where who deals, or who passes messages on, does more than that.

Runs of nodes as they ship: of two banks and a grid company, where a third node deals to each pair, and of one bank and
a grid company, where the operator deals as it once did everywhere. The operator keeps what it handles, and the node
that colludes hands it every key that it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.engines.in_process import InProcessGrid, Seat
from federated.nodes.identity import fresh_identities
from federated.privacy.attacks.dealing import Trusting, row_by_wrong_correction, unmasked
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import PairSide
from federated.privacy.vertical.ring import COLUMN_BITS, Ring, Tape
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.core.rows import BankRows
from federated.protocols.core.session import Session
from federated.protocols.core.session_app import session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.dealing import FITTING
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from simulations.benchmarks.named_sets import FEW, made_up_nodes

BANK, OTHER, GRID = "bank-a", "bank-b", "grid-x"
ROWS, WIDTH, ERROR = 200, 6, 1 << 40


@dataclass(frozen=True, slots=True)
class ReadTogether:
    """Shares (0 … 1): of a grid company's entries that the operator and the bank of the pair read, and that they read
    with the dealer as a third; and of the bank's labels that the operator and one dealer of its counts read."""

    columns: float
    columns_by_three: float
    labels: float


class _Telling(ProtectedApp):
    """A node as it ships, of which the bench knows what it hides, and that tells the operator what it holds."""

    own: Ring
    theirs: Ring

    def _hide(self, content: Content) -> Content:
        answer = super()._hide(content)
        side = self._talk.state.sides.get(GRID if self.name == BANK else BANK)
        if side is not None and content.under("hidden"):
            self.own = np.rint(side.seen_columns() * (1 << COLUMN_BITS)).astype(np.int64).astype(np.uint64)
            self.theirs = side._others
        return answer

    def keys(self, other: str) -> list[bytes]:
        """What it can derive of masks: its own with its dealer, and those in common with `other`."""
        talk, pair = self._talk, (BANK, GRID)
        channels = [talk.channel(other), talk.channel(other).apart(f"dealing to {BANK} {GRID}")]
        dealer = talk.dealer(other) if self.name in pair else None
        channels += [dealer] if dealer else []
        return [
            *(channel.key_for(FITTING) for channel in channels),
            *(channel.key_for(f"order of triples for {FITTING}") for channel in channels),
            talk.channel(other).apart(f"counts of {BANK} {GRID} that the bank holds").key_for("mask"),
        ]

    def labels(self, peer: str) -> Ring:
        """Those that are counted, in order."""
        state, source = self._talk.state, self._talk.state.node.rows
        rows = state.judged(peer)[state.shuffled[peer].order]
        assert isinstance(source, BankRows)
        return source.labels[rows].astype(np.uint64)


class _Keeping(ProtectedTraining):
    """The operator, who keeps its keys and what the bank says when it is counted."""

    opened: Ring
    own: list[bytes]

    def ask(self, action: str, requests: dict[str, Content]) -> dict[str, Content]:
        answers = super().ask(action, requests)
        if action == "hide":
            told = self.dealing.keys(FITTING).values()
            self.own = [key for keys in told for key in keys.values() if isinstance(key, bytes)]
        if action == "count" and BANK in answers:
            self.opened = np.asarray(answers[BANK].arrays[f"opened/{GRID}"], dtype=np.uint64)
        return answers


def read_together(banks: tuple[str, ...]) -> ReadTogether:
    """By the operator and one node, each of those that might, in a run of these banks and one grid company."""
    rows, apps = made_up_nodes(banks, (GRID,)), {}
    known = fresh_identities(rows, {name: name.split("-")[0] for name in rows})
    for name, own in rows.items():
        app, opened = session_app(own)
        apps[name] = (app, _Telling(known[name], opened))
        apps[name][1].add_to(app)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, (app, _) in enumerate(apps.values(), start=2)}))
    run = _Keeping(Session(board, SessionSettings(bins=16, ramps=FEW.ramps), lambda *_: None), FEW)
    run.fit()
    judged(run, (), 0.0)
    bank, grid = apps[BANK][1], apps[GRID][1]
    dealers = [node for name, (_, node) in apps.items() if name != BANK]
    known_to_two = [*run.own, *bank.keys(GRID)]
    known_to_three = known_to_two + [key for node in dealers if node is not grid for key in node.keys(GRID)]
    columns, by_three = (
        unmasked(bank.theirs, keys, grid.own.shape[1], 1 << COLUMN_BITS) for keys in (known_to_two, known_to_three)
    )
    labels = bank.labels(GRID)
    # Of what is counted the first two are 1 for everybody, and the label.
    counted = [unmasked(run.opened, node.keys(BANK), 2, 1) for node in dealers]
    return ReadTogether(
        columns=0.0 if columns is None else float((columns == grid.own).mean()),
        columns_by_three=0.0 if by_three is None else float((by_three == grid.own).mean()),
        labels=max(0.0 if found is None else float((found[:, 1] == labels).mean()) for found in counted),
    )


def row_read(*, checked: bool) -> float:
    """Whether (1 or 0) a dealer that makes one correction wrong by 2^40 reads a customer's row on both sides."""
    rng = np.random.default_rng(6)
    values = {"bank": rng.random((ROWS, WIDTH)), "grid": rng.random((ROWS, WIDTH))}
    dealer, labels, common = Dealer(ROWS), rng.integers(0, 2, ROWS).astype(np.float64), rng.bytes(32)
    kind = PairSide if checked else Trusting
    sides = {
        role: kind(own, Tape(dealer.keys[role]), Tape(common), Curve.around(0.2), labels if role == "bank" else None)
        for role, own in values.items()
    }
    found = row_by_wrong_correction(sides, dealer, (rng.normal(size=ROWS), rng.normal(size=WIDTH)), ERROR, rng)
    rows = np.hstack([sides[role].seen_columns() for role in ("bank", "grid")])
    return float(found is not None and np.all(rows == found, axis=1).any())
