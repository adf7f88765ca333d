"""The dealer of one pair: random factors whose products the pair shares. It sees no data.

Each party draws its own masks from a key that it has in common with the dealer; the dealer draws the same ones, and
what it has to send is one correction a product, to one of the two: as many numbers as the product has, whatever the
size of its factors.

Who knows the dealer's keys and what the pair says to each other reads all that the pair hides. So the dealer is a third
node wherever a run has one (`dealer_of`): it does not see what is said, and the operator, who passes it on sealed, does
not see keys. In a run of one bank and one grid company the operator deals, and with either of them reads the other.

A dealer may send wrong corrections. Those of `products` are checked (`privacy.vertical.triples`), because a wrong one
is multiplied by what a row holds. Those of `gradients` are not: each is added once to a sum, after all multiplications,
so that a correction that is wrong by δ makes the opened sum wrong by δ, a number that whoever chose it knew without the
sum. It learns nothing by it; what it can do is spoil the model, as an operator can that opens the sum. Products of
masks and coefficients are multiplied by more, and are checked (`privacy.vertical.weighing`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape
from federated.privacy.vertical.shuffle import deal
from federated.privacy.vertical.triples import PURPOSE, dealt
from federated.privacy.vertical.weighing import STOCK
from federated.privacy.vertical.weighing import deal as deal_stock

KEY_BYTES = 32
# What masks of residuals, and shares of gradients, are drawn for.
RESIDUAL, GRADIENT = "residual", "gradient"


def dealer_of(bank: str, grid: str, parties: Iterable[str]) -> str | None:
    """The node that deals to this pair, None in a run of these two alone.

    It follows from the names of all `parties`, so that every node can tell and no operator chooses; pairs are spread
    over all nodes.
    """
    names = sorted(parties)
    others = [name for name in names if name not in (bank, grid)]
    return others[(names.index(bank) + names.index(grid)) % len(others)] if others else None


@dataclass
class Dealer:
    """Deals to one bank and one grid company over `rows` common rows, for one run. Draws in the parties' order."""

    rows: int
    keys: dict[str, bytes] = field(
        default_factory=lambda: {role: secrets.token_bytes(KEY_BYTES) for role in ("bank", "grid")}
    )

    def __post_init__(self) -> None:
        self._tapes = {role: Tape(key) for role, key in self.keys.items()}
        self._masks: dict[str, Ring] = {}
        self._weighed = 0

    def columns(self, widths: dict[str, int]) -> None:
        """Masks of both parties' columns, drawn once: the same columns enter every step."""
        for role, width in widths.items():
            self._masks[role] = np.asfortranarray(self._tapes[role].draw(self.rows, width))

    def products(self, count: int) -> Ring:
        """The grid company's corrections of the triples that `count` products of a vector of each side take."""
        total = dealt(count * self.rows)
        bank, grid = (self._tapes[role].apart(PURPOSE) for role in ("bank", "grid"))
        a, share = (bank.draw(total) for _ in range(2))
        return np.asarray(a * grid.draw(total) - share)

    def weighed(self) -> Ring | None:
        """A stock of products for the grid company (`weighing`): its columns' mask times vectors of the bank's, in a
        row. None as long as it has some."""
        self._weighed += 1
        if (self._weighed - 1) % STOCK:
            return None
        return deal_stock(self._masks["grid"], self._tapes["bank"]).ravel()

    def shuffled(self, columns: int, vectors: int) -> dict[str, Ring]:
        """What the pair needs for scores in the bank's order, by party (`privacy.vertical.shuffle`)."""
        return deal(self._tapes["bank"], self._tapes["grid"], (self.rows, columns, vectors))

    def gradients(self, widths: dict[str, int]) -> dict[str, Ring]:
        """By owner of a gradient, the other party's correction (width,): of (the owner's first columns)ᵀ · (a vector of
        the other party's). Raises `AggregationFailed` for more columns than it masked."""
        for role, masks in self._masks.items():
            if not 0 < widths[role] <= masks.shape[1]:
                raise AggregationFailed(f"nobody deals for {widths[role]} of {masks.shape[1]} columns of a {role}")
        vectors = {role: tape.apart(RESIDUAL).draw(self.rows) for role, tape in self._tapes.items()}
        shares = {role: tape.apart(GRADIENT).draw(widths[role]) for role, tape in self._tapes.items()}
        return {
            owner: np.asarray(vectors[other] @ self._masks[owner][:, : widths[owner]] - shares[owner])
            for owner, other in (("bank", "grid"), ("grid", "bank"))
        }
