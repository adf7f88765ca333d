"""The steps of a run in order, with what travels counted. Every arrow between the parties is a variable here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import Party
from federated.privacy.vertical.ring import Ring


@dataclass(frozen=True, slots=True)
class Run:
    """What a run cost, and the largest step of its last round in logits' units of coefficients."""

    rounds: int
    exchanges: int
    bytes: int
    last_step: float


@dataclass
class Wire:
    """Counts what one party hands to the other, or the dealer to either."""

    exchanges: int = 0
    bytes: int = 0

    def carry(self, *arrays: Ring) -> None:
        """Count one message."""
        self.exchanges += 1
        self.bytes += sum(a.nbytes for a in arrays)


def train(bank: Party, grid: Party, rounds: int) -> Run:
    """Alternate steps of the bank and of the grid company. Raises `AggregationFailed` for rows that do not match."""
    if len(bank.columns) != len(grid.columns) or bank.labels is None or grid.labels is not None:
        raise AggregationFailed("one party with labels and one without, over the same rows in the same order")
    dealer, wire, last = Dealer(), Wire(), 0.0
    rate = float(bank.labels.mean())
    if not 0.0 < rate < 1.0:
        raise AggregationFailed("the labels have one class only, so nothing can be learnt")
    curve = Curve.around(rate)
    hidden = {}
    for name, owner in (("bank", bank), ("grid", grid)):
        mask = dealer.columns(name, owner.columns.shape)
        hidden[name] = owner.hidden_columns(mask)
        wire.carry(mask)
        wire.carry(hidden[name])
    for _ in range(rounds):
        for name, owner, other in (("bank", bank, grid), ("grid", grid, bank)):
            of_bank, of_grid = residual_shares(bank, grid, curve, dealer, wire)
            own, others = (of_bank, of_grid) if name == "bank" else (of_grid, of_bank)
            dealt, half = dealer.gradient(name)
            masked = others - half.mask
            owed = other.owed(half, hidden[name])
            wire.carry(dealt, half.mask, half.product)
            wire.carry(masked, owed)
            before = owner.beta
            owner.step(owner.gradient(dealt, masked, owed, own))
            last = float(np.abs(owner.beta - before).max())
    return Run(rounds, wire.exchanges, wire.bytes, last)


def residual_shares(bank: Party, grid: Party, curve: Curve, dealer: Dealer, wire: Wire) -> tuple[Ring, Ring]:
    """Both parties' shares of y − σ(z), rows each."""
    u, w = bank.scaled(curve), grid.scaled(curve)
    cross_b, cross_g = product(u, w, dealer, wire)
    two = np.uint64(2)
    square_b, square_g = u * u + two * cross_b, w * w + two * cross_g
    # (u + w)·(square_b + square_g), of which each party computes the product of what it holds alone.
    first_b, first_g = product(u, square_g, dealer, wire)
    second_b, second_g = product(square_b, w, dealer, wire)
    cube_b, cube_g = u * square_b + first_b + second_b, w * square_g + first_g + second_g
    return bank.residual(curve, u, square_b, cube_b), grid.residual(curve, w, square_g, cube_g)


def product(of_bank: Ring, of_grid: Ring, dealer: Dealer, wire: Wire) -> tuple[Ring, Ring]:
    """Shares of the elementwise product of a vector of the bank and one of the grid company (Beaver's trick)."""
    left, right = dealer.elementwise(len(of_bank))
    wire.carry(left.mask, left.product)
    wire.carry(right.mask, right.product)
    d, e = of_bank - left.mask, of_grid - right.mask
    wire.carry(d)
    wire.carry(e)
    return left.product + left.mask * e + d * e, right.product + d * right.mask
