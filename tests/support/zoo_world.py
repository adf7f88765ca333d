"""Small generated networks for the zoo's tests: banks and grid companies over one pooled table."""

import numpy as np

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.categories import RawTable
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.open.apps import zoo_app


def pooled(rows=900, seed=1):
    """Bank columns (3), grid columns (3) and labels of `rows` customers."""
    rng = np.random.default_rng(seed)
    bank, grid = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))
    raw = bank[:, 0] + grid[:, 0] * np.sign(grid[:, 1]) - 1.0
    return bank, grid, (rng.random(rows) < 1 / (1 + np.exp(-raw))).astype(np.int64)


def raw(values, prefix):
    return RawTable(tuple(f"{prefix}{j}" for j in range(values.shape[1])), values, {})


def network(bank, grid, labels, held_out, bank_of, grid_of):
    """`bank_of` (rows,) and `grid_of` (rows,) number each customer's bank and grid company, −1 = none."""
    seats, own = {}, {}
    for g in range(grid_of.max() + 1):
        own[g] = np.random.default_rng(g).permutation(np.flatnonzero(grid_of == g))
    place = {(b, g): np.flatnonzero((bank_of == b) & (grid_of == g)) for b in range(bank_of.max() + 1) for g in own}
    for b in range(bank_of.max() + 1):
        rows = np.flatnonzero(bank_of == b)
        peers = {f"grid-{g}": np.searchsorted(rows, place[b, g]) for g in own}
        side = BankRows(f"bank-{b}", raw(bank[rows], "b"), labels[rows], ~held_out[rows], held_out[rows], peers)
        seats[2 + b] = Seat(zoo_app(side), {})
    for g, rows in own.items():
        where = np.argsort(rows)
        back = {int(r): int(i) for r, i in zip(rows[where], where, strict=True)}
        peers = {
            f"bank-{b}": np.array([back[int(r)] for r in place[b, g]], dtype=np.int64) for b in range(bank_of.max() + 1)
        }
        seats[50 + g] = Seat(zoo_app(GridRows(f"grid-{g}", raw(grid[rows], "g"), peers)), {})
    return InProcessGrid(seats)
