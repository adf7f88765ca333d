"""Made-up customers of two banks and two grid companies, whose nodes train on shares while somebody listens."""

import numpy as np

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.categories import RawTable
from federated.nodes.identity import fresh_identities
from federated.protocols.core.messages import Switchboard, unpack
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.core.session import Session
from federated.protocols.core.session_app import session_app
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import HELD_OUT

FEW = ProtectedSettings(ramps=4, trees=12, cells=8, components=(20, 8), interactions=2)

BANKS, GRIDS = ("bank-a", "bank-b"), ("grid-x", "grid-y")


SEGMENTS = [("young", "0", "bank"), ("young", "1", "bank"), ("solar", "0", "grid"), ("solar", "1", "grid")]


class World:
    """1,600 made-up customers of two banks and two grid companies; `crossed` is all that the operator handles.

    `made` makes the node of each name from its identity.
    """

    def __init__(self, rows=1_600, seed=4, banks=BANKS, grids=GRIDS, made=ProtectedApp):
        rng = np.random.default_rng(seed)
        self.banks, self.grids, self.made = banks, grids, made
        self.bank, self.grid = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 4))
        raw = self.bank[:, 0] + self.grid[:, 0] * self.grid[:, 1] - self.grid[:, 2] - 1.2
        self.labels = (rng.random(rows) < 1 / (1 + np.exp(-raw))).astype(np.int64)
        self.of_bank, self.of_grid = rng.integers(0, len(banks), rows), rng.integers(0, len(grids), rows)
        self.held_out = rng.random(rows) < 0.25
        self.group = (self.grid[:, 3] > 0).astype(np.int64)
        self.crossed, self.nodes = [], {}
        self.apps = self._apps()

    def _apps(self):
        rows = {}
        for i, bank in enumerate(self.banks):
            own = np.flatnonzero(self.of_bank == i)
            peers = {g: np.flatnonzero(self.of_grid[own] == j) for j, g in enumerate(self.grids)}
            table = RawTable(("p", "q", "r"), self.bank[own], {})
            held = self.held_out[own]
            groups = {"young": (self.bank[own, 1] > 0).astype(np.int64)}
            rows[bank] = BankRows(bank, table, self.labels[own], ~held, held, peers, groups)
        for j, grid in enumerate(self.grids):
            own = np.flatnonzero(self.of_grid == j)
            peers = {b: np.flatnonzero(self.of_bank[own] == i) for i, b in enumerate(self.banks)}
            table = RawTable(("s", "t", "u", "v"), self.grid[own], {})
            rows[grid] = GridRows(grid, table, peers, {"solar": self.group[own]})
        known = fresh_identities(rows, {name: name.split("-")[0] for name in rows})
        apps = {}
        for name, own in rows.items():
            apps[name], opened = session_app(own)
            self.nodes[name] = self.made(known[name], opened)
            self.nodes[name].add_to(apps[name])
        return apps

    def training(self, settings=FEW, absent=None, **opening):
        seats = {}
        for i, (name, app) in enumerate(self.apps.items(), start=2):
            seats[i] = Seat(app if name != absent else Absent(app), {})
        board = Listening(InProcessGrid(seats), self.crossed)
        session = Session(board, SessionSettings(bins=16, ramps=settings.ramps), lambda *_: None, opening)
        return ProtectedTraining(session, settings)

    def betas(self, training):
        """Coefficients of both sides, which the lead knows and no operator is told."""
        node = self.nodes[training.lead]
        return [node.beta, *([node.weights] if training.joint else [])]

    def logits(self, training):
        return self.columns(training) @ np.concatenate(self.betas(training))

    def columns(self, training):
        """All columns (rows, width) of everybody, banks' first and products of both sides' last."""
        columns = [b.columns(v) for b, v in zip(training.bases, (self.bank, self.grid), strict=False)]
        return np.hstack([*columns, training.together(*columns)] if training.joint else columns)


class Listening(Switchboard):
    """A switchboard that remembers the contents of all replies."""

    def __init__(self, grid, crossed):
        super().__init__(grid)
        self._crossed = crossed

    def exchange_present(self, messages):
        replies = super().exchange_present(messages)
        asked = {m.metadata.message_id: m.metadata.message_type for m in messages}
        for reply in replies:
            if not reply.has_error():
                self._crossed.append((asked[reply.metadata.reply_to_message_id], unpack(reply.content)))
        return replies


class Absent:
    """An app whose node is gone when masked vectors are asked for."""

    def __init__(self, app):
        self._app = app

    def __call__(self, message, context):
        if message.metadata.message_type == "query.protected_sum":
            raise ConnectionError("gone")
        return self._app(message, context)


def marked(world, training, purpose):
    """Customers whom pairs mark so."""
    rows = np.zeros(len(world.labels), dtype=bool)
    for (bank, grid), marks in training.marks.items():
        shared = np.flatnonzero((world.of_bank == BANKS.index(bank)) & (world.of_grid == GRIDS.index(grid)))
        rows[shared[marks == purpose]] = True
    return rows


def held_rows(world, training):
    """Held-out rows of the world, in the order of the operator's: after `judged`, that of their banks."""
    found = []
    for (bank, grid), marks in training.marks.items():
        shared = np.flatnonzero((world.of_bank == BANKS.index(bank)) & (world.of_grid == GRIDS.index(grid)))
        found.append(shared[marks == HELD_OUT][world.nodes[bank]._talk.state.shuffled[grid].order])
    return np.concatenate(found)
