"""An operator that names one bank and one grid company as the nodes of a sum that only banks have numbers for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AggregationFailed
from federated.models.encoding.categories import RawTable
from federated.nodes.identity import fresh_identities
from federated.privacy.secure_aggregation.ring import BITS, RingArray, decoded
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.core.session import Session
from federated.protocols.core.session_app import session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings

BANKS, GRIDS, ROWS = ("bank-a", "bank-b"), ("grid-x", "grid-y"), 400
VICTIM, IDLE = BANKS[0], GRIDS[0]
FEW = ProtectedSettings(ramps=4, trees=6, cells=4, components=(9, 3), interactions=1)


class _Watched(ProtectedApp):
    """A node as it ships, of which the bench knows the Gram matrix (its upper triangle)."""

    gram: NDArray[np.float64] = np.zeros(0)

    def _columns(self, content: Content) -> Content:
        answer = super()._columns(content)
        self.gram = np.concatenate([np.asarray(kept, dtype=np.float64) for kept in self._talk.state.sums.values()])
        return answer


class _Obliging(_Watched):
    """A node that gives zeros where it has nothing to add, and looks at no names."""

    def _part(self, of: str, length: int) -> NDArray[np.float64] | RingArray:
        with suppress(AggregationFailed):
            return super()._part(of, length)
        return np.zeros(length, dtype=np.uint64)

    def _agree(self, of: str, names: frozenset[str]) -> None:
        del of, names


class _Naming(ProtectedTraining):
    """The operator: of the first sum it wants the victim's part alone."""

    found: NDArray[np.float64] = np.zeros(0)

    def ring_summed(self, of: str, over: Iterable[str], length: int) -> RingArray:
        del over
        self.found = decoded(super().ring_summed(of, (VICTIM, IDLE), length), BITS)
        raise AggregationFailed("the operator has what it wanted")


def opened_by_naming(obliging: Collection[str]) -> float:
    """The share of a bank's Gram matrix that the operator reads: 0 … 1.

    Nodes that are `obliging` add zeros if they have nothing and sum with anybody: colluders, or all nodes of before.
    """
    apps, nodes = {}, made_up_nodes(BANKS, GRIDS)
    known = fresh_identities(nodes, {name: name.split("-")[0] for name in nodes})
    for name, own in nodes.items():
        app, opened = session_app(own)
        apps[name] = (app, (_Obliging if name in obliging else _Watched)(known[name], opened))
        apps[name][1].add_to(app)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, (app, _) in enumerate(apps.values(), start=2)}))
    operator = _Naming(Session(board, SessionSettings(bins=16, ramps=FEW.ramps), lambda *_: None), FEW)
    with suppress(AggregationFailed):
        operator.fit()
    gram = apps[VICTIM][1].gram
    return float(np.isclose(operator.found, gram, atol=1e-4).mean()) if operator.found.shape == gram.shape else 0.0


def made_up_nodes(banks: Sequence[str], grids: Sequence[str]) -> dict[str, BankRows | GridRows]:
    """Nodes over made-up customers, of whom each has one bank and one grid company."""
    rng = np.random.default_rng(4)
    of_bank, of_grid = rng.integers(0, len(banks), ROWS), rng.integers(0, len(grids), ROWS)
    values, labels, held = rng.normal(size=(ROWS, 4)), rng.integers(0, 2, ROWS), rng.random(ROWS) < 0.2
    found: dict[str, BankRows | GridRows] = {}
    for i, bank in enumerate(banks):
        own = np.flatnonzero(of_bank == i)
        peers = {grid: np.flatnonzero(of_grid[own] == j) for j, grid in enumerate(grids)}
        table = RawTable(("p", "q"), values[own, :2], {})
        found[bank] = BankRows(bank, table, labels[own], ~held[own], held[own], peers)
    for j, grid in enumerate(grids):
        own = np.flatnonzero(of_grid == j)
        peers = {bank: np.flatnonzero(of_bank[own] == i) for i, bank in enumerate(banks)}
        found[grid] = GridRows(grid, RawTable(("s", "t"), values[own, 2:], {}), peers)
    return found
