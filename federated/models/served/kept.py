"""A function of banks' columns whose weights banks alone know: what everybody may know of it.

Coefficients where a fit comes to rest are as many numbers about labels as there are columns. Who names the columns
reads labels off them: an operator with other code told 37 of 37 by columns that differ in one customer, and with a grid
company that shifted residuals a customer's row. So a version has the columns of such a function, which are chosen
without labels, and a commitment to its weights; each bank that took part keeps these, under the id of the public part,
and computes its own customers' part of a score with them.

Guarantee: who knows the public part knows nothing of weights, for the commitment is a hash of them with 32 random
bytes; nobody can exchange them for others. Not covered: a bank of the run that hands them on.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.served.functions import Arrays
from federated.models.served.public_columns import basis_arrays, basis_of
from federated.models.served.published import Published
from federated.models.served.scorer import BAND_RANKS, PartyScorer
from federated.models.served.tables import tabulated

SALT_BYTES, HASH_BYTES = 32, 32


@dataclass(frozen=True)
class KeptFunction(Published):
    """`bands` (features, 4) are quantiles of the training rows, `banks` keep the weights that `commitment` is of.

    Raises `ModelCorrupt` for parts that do not fit each other.
    """

    part: ClassVar[str] = "kept"
    called: ClassVar[str] = "a function that banks keep"

    basis: RandomLeaves
    bands: FloatArray
    banks: tuple[str, ...]
    commitment: bytes

    def __post_init__(self) -> None:
        sound = self.bands.shape == (self.n_features, len(BAND_RANKS)) and bool(np.all(np.diff(self.bands) >= 0))
        if not sound or not self.banks or len(self.commitment) != HASH_BYTES:
            raise ModelCorrupt("a function that banks keep does not hold together", part=self.part)

    @staticmethod
    def of(
        basis: RandomLeaves, gamma: FloatArray, bands: FloatArray, banks: Iterable[str]
    ) -> tuple[KeptFunction, bytes]:
        """What is public of weights `gamma` (basis.width,), in logits, and what each bank keeps."""
        kept = secrets.token_bytes(SALT_BYTES) + np.asarray(gamma, dtype="<f8").tobytes()
        return KeptFunction(basis, bands, tuple(sorted(banks)), hashlib.sha256(kept).digest()), kept

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return self.basis.encoder.n_features

    @property
    def exact(self) -> bool:
        """Contributions are closed-form Shapley values."""
        return self.basis.exact

    def opened(self, kept: bytes) -> PartyScorer:
        """The function, by what a bank kept of it. Raises `ModelCorrupt` for what is kept of another."""
        gamma = np.frombuffer(kept[SALT_BYTES:], dtype="<f8") if not len(kept) % 8 else np.zeros(0)
        if hashlib.sha256(kept).digest() != self.commitment or gamma.shape != (self.basis.width,):
            raise ModelCorrupt("a bank's weights are not those of this function", part=self.function_id)
        parts = [(1.0, function) for function in self.basis.functions(gamma.astype(np.float64))]
        return PartyScorer(tabulated(parts, self.basis.binning, self.basis.encoder.reference), self.bands)

    def _public(self, start: str) -> Arrays:
        return basis_arrays(start, self.basis) | {
            f"{start}/reference": self.basis.encoder.reference,
            f"{start}/bands": self.bands,
            f"{start}/banks": np.array(self.banks, dtype=np.str_),
            f"{start}/commitment": np.frombuffer(self.commitment, dtype=np.uint8),
        }

    @classmethod
    def _of_public(cls, arrays: Mapping[str, NDArray[np.generic]]) -> KeptFunction:
        banks = tuple(str(name) for name in np.asarray(arrays["banks"], np.str_).tolist())
        commitment = np.asarray(arrays["commitment"], np.uint8).tobytes()
        return KeptFunction(basis_of("", arrays), np.asarray(arrays["bands"], np.float64), banks, commitment)
