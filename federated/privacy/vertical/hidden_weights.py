"""Weights of a grid company's columns, split so that banks know them and the grid company serves them unseen.

The weights in the ring are M, one an entry of an `ExplanatoryRow`. For each grid company banks draw a mask V from a key
of theirs, and it is given D = M − V, which is uniform to it. The third node that deals to a pair is given the key of V,
and no D. What was given is committed to in the public `HiddenFunction`, which is approved as a whole: a grid company
answers with the D that was approved and no other, a dealer deals for that V, a bank finds out before it asks if they
are not those that its own weights say. So D + V is what was approved, and a bank with other weights reads nothing.

Guarantee: a grid company, with the operator where a third node deals, learns nothing of the weights from what it holds,
whatever it knows of customers. Not covered: a grid company and its dealer together, who have M, and who approves
weights that read a column. The key of masks is mixed with the weights, so that no two functions have one mask.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from federated.errors import AggregationFailed, ModelCorrupt
from federated.models.encoding.interactions import FARTHEST, GAIN
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.served.explanatory import ExplanatoryRow
from federated.models.served.hidden import Committed, HiddenFunction
from federated.models.served.interacting import Interactions
from federated.models.served.reasons import POINT
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.hidden_function import MOST_POINTS, WEIGHT_BITS
from federated.privacy.vertical.ring import Ring, Tape, fixed

KEY_BYTES = 32
# Beyond this many points a weight is no model's.
MOST_WEIGHT = 2.0**20
# A value of more points would be told as another: it is opened modulo 2^16.
MOST_TOGETHER = 2.0**14


def in_ring(gamma: FloatArray, row: ExplanatoryRow, theirs: FloatArray | None = None) -> Ring:
    """Weights `gamma` (columns,), in logits, and those of grid companies' components by factor (factors, components) as
    M (entries,): points with `WEIGHT_BITS` after the point."""
    weights = [fixed(gamma / POINT, WEIGHT_BITS, MOST_WEIGHT)[row.column]]
    if theirs is not None:
        weights.append(fixed(GAIN * theirs.ravel() / POINT, WEIGHT_BITS, MOST_WEIGHT))
    return np.concatenate(weights)


@dataclass(frozen=True, slots=True)
class Factors:
    """Of interactions: `ours` (factors, components) of banks' columns and `theirs` of grid companies'."""

    ours: FloatArray
    theirs: FloatArray

    @property
    def largest(self) -> float:
        """How many logits products may make at the most."""
        bank, grid = (np.abs(side).sum(axis=1) for side in (self.ours, self.theirs))
        return float(GAIN * FARTHEST**2 * (bank @ grid))

    def between(self, bank: FloatArray, grid: FloatArray) -> float:
        """What components (components,) of a bank's columns and of a grid company's make together, in logits."""
        return float(GAIN * (self.ours @ bank) @ (self.theirs @ grid))


@dataclass(frozen=True)
class BankWeights:
    """What a bank knows of a function: the masks' `key` (32 bytes) and all `numbers`, in logits: weights of columns
    (basis.width,), then of components in factors, grid companies' and banks'."""

    key: bytes
    numbers: FloatArray

    @staticmethod
    def of(key: bytes, gamma: FloatArray, factors: Factors | None) -> BankWeights:
        """Of weights `gamma` (basis.width,) and factors of interactions, if there are any."""
        parts = [gamma] if factors is None else [gamma, factors.theirs.ravel(), factors.ours.ravel()]
        return BankWeights(key, np.concatenate([np.asarray(part, dtype=np.float64) for part in parts]))

    def parted(self, function: HiddenFunction) -> tuple[FloatArray, Factors | None]:
        """Weights (basis.width,), and factors. Raises `ModelCorrupt` where they do not fit the function."""
        width, between = function.basis.width, function.interactions
        components = 0 if between is None else between.grid.count + between.bank.count
        if self.numbers.shape != (width + function.factors * components,):
            raise ModelCorrupt("a bank's weights do not fit this function", part=function.function_id)
        if between is None:
            return self.numbers, None
        gamma, theirs, ours = np.split(self.numbers, [width, width + between.factors * between.grid.count])
        return gamma, Factors(ours.reshape(between.factors, -1), theirs.reshape(between.factors, -1))

    def to_bytes(self) -> bytes:
        """As a node keeps it."""
        return self.key + self.numbers.astype("<f8").tobytes()

    @staticmethod
    def from_bytes(secret: bytes) -> BankWeights:
        """The reverse of `to_bytes`."""
        return BankWeights(secret[:KEY_BYTES], np.frombuffer(secret[KEY_BYTES:], dtype="<f8").astype(np.float64))

    def mask_key(self, grid: str) -> bytes:
        """The key (32 bytes) that this grid company's mask is drawn from, for its dealers."""
        return hmac.digest(self._own, b"mask of weights for " + grid.encode(), hashlib.sha256)

    @cached_property
    def _own(self) -> bytes:
        """The key of these weights: one that is used again for others makes other masks."""
        return hmac.digest(self.key, b"tanxin hidden weights\0" + self.numbers.astype("<f8").tobytes(), hashlib.sha256)


def mask_of_weights(key: bytes, entries: int) -> Ring:
    """V (entries,), from its key."""
    return Tape(key).draw(entries)


def hash_of_weights(masked: Ring) -> bytes:
    """What a function commits to of D (entries,): its SHA-256."""
    return hashlib.sha256(masked.astype("<u8").tobytes()).digest()


def hash_of_key(key: bytes) -> bytes:
    """What a function commits to of a mask's key: its SHA-256."""
    return hashlib.sha256(key).digest()


def require_weights(function: HiddenFunction, grid: str, masked: Ring) -> Ring:
    """D (entries,) as the function commits to it. Raises `ModelCorrupt` for another, or for none of this grid."""
    committed = function.committed.get(grid)
    if committed is None or hash_of_weights(masked) != committed.weights or masked.shape != function.shape[:1]:
        raise ModelCorrupt(f"the masked weights of {grid} are not those of this function", part=function.function_id)
    return masked


def require_key(function: HiddenFunction, grid: str, key: bytes) -> bytes:
    """The key of V as the function commits to it. Raises `ModelCorrupt` as `require_weights`."""
    committed = function.committed.get(grid)
    if committed is None or hash_of_key(key) != committed.key:
        raise ModelCorrupt(f"the key of {grid}'s mask is not that of this function", part=function.function_id)
    return key


@dataclass(frozen=True)
class Split:
    """A function in parts: `function` is public, `secret` is each bank's, `masked` and `keys` are by grid company.

    A grid company gets its own D of `masked`, a third node that deals to it the key of its mask.
    """

    function: HiddenFunction
    secret: bytes
    masked: Mapping[str, Ring]
    keys: Mapping[str, bytes]

    def dealing(self) -> dict[tuple[str, str], bytes]:
        """What dealers are given: by dealer and grid company, the key of its mask. None in a network of two."""
        parts = self.function
        dealers = {(dealer_of(bank, grid, parts.parties), grid) for bank in parts.banks for grid in parts.committed}
        return {(dealer, grid): self.keys[grid] for dealer, grid in sorted(dealers, key=str) if dealer is not None}


def split(
    basis: RandomLeaves,
    gamma: FloatArray,
    reference: FloatArray,
    bands: FloatArray,
    banks: Iterable[str],
    grids: Iterable[str],
    key: bytes | None = None,
    interactions: tuple[Interactions, Factors] | None = None,
) -> Split:
    """Split weights `gamma` (basis.width,), in logits. Banks that have `key` (32 bytes) in common come to the same.

    Raises `ModelCorrupt` for columns without exact reasons, and `AggregationFailed` for weights that are not finite, or
    with which one feature could shift a score by `MOST_POINTS` points: contributions are opened modulo twice that; or
    products by `MOST_TOGETHER`.
    """
    between, factors = (None, None) if interactions is None else interactions
    held = BankWeights.of(secrets.token_bytes(KEY_BYTES) if key is None else key, gamma, factors)
    if not basis.exact:
        raise ModelCorrupt(f"leaves of {basis.trees.depth} levels have no exact reasons and cannot be hidden")
    row, names = ExplanatoryRow(basis, reference), tuple(sorted(grids))
    weights = in_ring(gamma, row, None if factors is None else factors.theirs)
    if np.any(_largest(basis, gamma, row) >= MOST_POINTS * POINT):
        raise AggregationFailed(f"by these weights one feature could shift a score by {MOST_POINTS} points")
    if factors is not None and factors.largest >= MOST_TOGETHER * POINT:
        raise AggregationFailed(f"by these weights products could shift a score by {MOST_TOGETHER:g} points")
    keys = {grid: held.mask_key(grid) for grid in names}
    masked = {grid: np.asarray(weights - mask_of_weights(own, len(weights))) for grid, own in keys.items()}
    committed = {grid: Committed(hash_of_weights(masked[grid]), hash_of_key(keys[grid])) for grid in names}
    function = HiddenFunction(basis, reference, bands, tuple(sorted(banks)), committed, between)
    return Split(function, held.to_bytes(), masked, keys)


def _largest(basis: RandomLeaves, gamma: FloatArray, row: ExplanatoryRow) -> FloatArray:
    """How many logits each feature (features,) may contribute at most: its ramps, and the spread of its trees."""
    first = 1 + basis.encoder.width
    single = row.column < first
    largest = np.bincount(row.feature[single], np.abs(gamma[row.column[single]]), len(row.starts))
    trees = basis.trees.feature
    leaves = np.hstack([gamma[first:].reshape(len(trees), -1), np.zeros((len(trees), 1))])
    for of, spread in zip(trees, np.ptp(leaves, axis=1), strict=True):
        largest[np.unique(of[of >= 0])] += spread
    return np.asarray(largest, dtype=np.float64)


@dataclass(frozen=True)
class ServedWeights:
    """A bank's weights of one function for one grid company: M, V (entries,), f(reference) in logits, and factors of
    interactions, if it has any, with what the typical customers of both sides make together, in logits."""

    weights: Ring
    mask: Ring
    at_reference: float
    factors: Factors | None = None
    together_at_reference: float = 0.0

    @staticmethod
    def of(function: HiddenFunction, secret: bytes, grid: str) -> ServedWeights:
        """From what a bank's node keeps. Raises `ModelCorrupt` unless the function commits to just these weights."""
        held, row = BankWeights.from_bytes(secret), function.row
        gamma, factors = held.parted(function)
        weights = in_ring(gamma, row, None if factors is None else factors.theirs)
        mask = mask_of_weights(require_key(function, grid, held.mask_key(grid)), len(weights))
        require_weights(function, grid, np.asarray(weights - mask))
        together = 0.0
        if factors is not None and function.interactions is not None:
            both = (function.interactions.bank, function.interactions.grid)
            together = factors.between(*(each.of(each.basis.encoder.reference) for each in both))
        return ServedWeights(weights, mask, float(row.at_reference @ gamma), factors, together)
