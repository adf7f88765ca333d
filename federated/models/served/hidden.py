"""A function of a grid company's columns whose weights banks alone know: what everybody may know of it.

Public are the columns (`RandomLeaves`: chosen without labels), the components of both sides that are multiplied, the
reference customer and the bands of reasons, who takes part, and for each grid company a commitment to its masked
weights and one to the dealer's key (`Committed`). Banks hold the weights and the key of all masks, a grid company its
masked weights, which are uniform numbers, and the third node its key of the mask (`privacy.vertical.hidden_weights`);
how a score comes about is in `privacy.vertical.hidden_function`. `function_id` is the hash of all that is public, so
whoever keeps a secret under it uses it with these columns and commitments and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.served.explanatory import ExplanatoryRow
from federated.models.served.functions import Arrays
from federated.models.served.interacting import Components, Interactions
from federated.models.served.public_columns import basis_arrays, basis_of, require_sound_basis
from federated.models.served.published import Published
from federated.models.served.scorer import BAND_RANKS, PartyScorer, band_of
from federated.models.served.tables import AdditiveTables

HASH_BYTES = 32
INTERACTIONS = "interactions"


@dataclass(frozen=True, slots=True)
class Committed:
    """SHA-256 of a grid company's masked weights, and of the key that its dealers draw the mask from."""

    weights: bytes
    key: bytes


@dataclass(frozen=True)
class HiddenFunction(Published):
    """`reference` (features,) is the typical customer, `bands` (features, 4) are quantiles of the training rows.

    `banks` know the weights; `committed` is by grid company. Of `interactions` with banks' columns the function has a
    few factors, sums of grid companies' components. Raises `ModelCorrupt` for parts that do not fit each other.
    """

    part: ClassVar[str] = "hidden"
    called: ClassVar[str] = "a hidden function"

    basis: RandomLeaves
    reference: FloatArray
    bands: FloatArray
    banks: tuple[str, ...]
    committed: Mapping[str, Committed]
    interactions: Interactions | None = None

    def __post_init__(self) -> None:
        try:
            _require_sound(self)
            len(self.row)
        except (ValueError, IndexError, TypeError) as error:
            raise ModelCorrupt(f"a hidden function does not hold together: {error}", part=self.part) from None

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return self.basis.encoder.n_features

    @property
    def exact(self) -> bool:
        """Contributions are closed-form Shapley values."""
        return True

    @property
    def parties(self) -> tuple[str, ...]:
        """All that deal to one another's pairs."""
        return (*self.banks, *self.committed)

    @cached_property
    def row(self) -> ExplanatoryRow:
        """What a customer's score and reasons are but for the weights."""
        return ExplanatoryRow(self.basis, self.reference)

    @property
    def factors(self) -> int:
        """How many sums of components are multiplied with a bank's."""
        return 0 if self.interactions is None else self.interactions.factors

    @cached_property
    def shape(self) -> tuple[int, IntArray]:
        """How many entries there are, and where those of each feature, then of each factor, begin (starts,)."""
        if self.interactions is None:
            return len(self.row), self.row.starts
        each = self.interactions.grid.count
        starts = len(self.row) + each * np.arange(self.factors)
        return len(self.row) + each * self.factors, np.concatenate([self.row.starts, starts])

    def entries(self, values: FloatArray) -> FloatArray:
        """Entries in [−1, 1] of one customer's raw `values` (features,): those of reasons, then those of factors."""
        if self.interactions is None:
            return self.row.of(values)
        own, columns = self.row.with_columns(values)
        return np.concatenate([own, np.tile(self.interactions.grid.of_columns(columns), self.factors)])

    def band(self, feature: int, value: float) -> tuple[int, int]:
        """As `PartyScorer.band`."""
        return band_of(self.bands[feature], value)

    def silent(self) -> PartyScorer:
        """A scorer of the same features, with nothing hidden, that says the same of everybody: a logit of 0."""
        p = self.n_features
        none = np.zeros((0, 2), dtype=np.int64)
        tables = AdditiveTables(
            0.0, np.full((p, 0), np.inf), np.zeros((p, 2)), np.zeros((p, 2)), np.zeros((p, 2), dtype=np.int64),
            none, np.zeros((0, 1, 1)), self.reference,
        )  # fmt: skip
        return PartyScorer(tables, self.bands)

    def _public(self, start: str) -> Arrays:
        arrays = basis_arrays(start, self.basis) | {f"{start}/reference": self.reference, f"{start}/bands": self.bands}
        arrays[f"{start}/banks"] = np.array(self.banks, dtype=np.str_)
        for grid, committed in self.committed.items():
            both = np.frombuffer(committed.weights + committed.key, dtype=np.uint8)
            arrays[f"{start}/committed/{grid}"] = both
        if self.interactions is not None:
            bank, between = self.interactions.bank, f"{start}/{INTERACTIONS}"
            arrays |= basis_arrays(f"{between}/bank", bank.basis)
            arrays |= {
                f"{between}/bank/reference": bank.basis.encoder.reference,
                f"{between}/bank/directions": bank.directions,
                f"{between}/directions": self.interactions.grid.directions,
                f"{between}/factors": np.array([self.interactions.factors]),
            }
        return arrays

    @classmethod
    def _of_public(cls, arrays: Mapping[str, NDArray[np.generic]]) -> HiddenFunction:
        basis = basis_of("", arrays)
        committed = {
            name.removeprefix("committed/"): _committed(np.asarray(array, np.uint8).tobytes())
            for name, array in sorted(arrays.items())
            if name.startswith("committed/")
        }
        banks = tuple(str(name) for name in np.asarray(arrays["banks"], np.str_).tolist())
        bands, between = np.asarray(arrays["bands"], np.float64), _interactions_of(arrays, basis)
        return HiddenFunction(basis, basis.encoder.reference, bands, banks, committed, between)


def _interactions_of(arrays: Mapping[str, NDArray[np.generic]], basis: RandomLeaves) -> Interactions | None:
    if f"{INTERACTIONS}/factors" not in arrays:
        return None
    ours = np.asarray(arrays[f"{INTERACTIONS}/bank/directions"], np.float64)
    theirs = np.asarray(arrays[f"{INTERACTIONS}/directions"], np.float64)
    bank = Components(basis_of(f"{INTERACTIONS}/bank/", arrays), ours)
    (factors,) = np.asarray(arrays[f"{INTERACTIONS}/factors"], np.int64).tolist()
    return Interactions(bank, Components(basis, theirs), factors)


def _committed(both: bytes) -> Committed:
    if len(both) != 2 * HASH_BYTES:
        raise ValueError(f"a commitment of {len(both)} bytes")
    return Committed(both[:HASH_BYTES], both[HASH_BYTES:])


def _require_sound(function: HiddenFunction) -> None:
    """Raise `ValueError` unless all parts fit each other and are finite."""
    basis, p = function.basis, function.basis.encoder.n_features
    require_sound_basis(basis, function.reference)
    bands = function.bands
    if bands.shape != (p, len(BAND_RANKS)) or not np.all(np.diff(bands) >= 0):
        raise ValueError("bands do not fit")
    if not function.banks or not function.committed or len(set(function.parties)) != len(function.parties):
        raise ValueError("a party is missing or named twice")
