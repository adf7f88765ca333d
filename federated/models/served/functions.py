"""One party's function of each learner, as plain arrays: what is sent, registered and evaluated with numpy alone.

A function has members (fitted on different inner folds); the party's logit is their mean, and parties' logits are
summed. All kinds have the same three methods, so whoever sums logits need not know how they were learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.learners.boosting import Trees
from federated.models.learners.convex import Basis
from federated.models.learners.members import Weights, forward
from federated.models.learners.scorecard import EvidenceBasis

Arrays = dict[str, NDArray[np.generic]]
Given = Mapping[str, NDArray[np.generic]]


class PartyFunction(Protocol):
    """A party's share of the logit of default."""

    def member_logits(self, values: FloatArray) -> FloatArray:
        """Logits (members, rows) of raw numeric `values` (rows, features), NaN = missing."""
        ...

    def to_arrays(self) -> Arrays:
        """Flat arrays that `function_of` reads back."""
        ...


@dataclass(frozen=True, slots=True)
class TreeFunction:
    """Boosted trees: `member` (trees,) says whose tree it is, `base` is a constant of every member."""

    binning: Binning
    trees: Trees
    member: IntArray
    members: int
    base: float

    def member_logits(self, values: FloatArray) -> FloatArray:
        """Logits (members, rows)."""
        codes = self.binning.codes(values)
        out = np.full((self.members, len(values)), self.base)
        for m in range(self.members):
            own = self.member == m
            trees = Trees(*(a[own] for a in self._parts()))
            out[m] += trees.predict(codes, self.binning.size - 1)
        return out

    def _parts(self) -> tuple[IntArray, IntArray, NDArray[np.bool_], FloatArray]:
        return self.trees.feature, self.trees.cut, self.trees.missing_left, self.trees.value

    def to_arrays(self) -> Arrays:
        """Arrays of kind `trees`."""
        numbered = {f"cuts/{j:04d}": c for j, c in enumerate(self.binning.cuts)}
        scalars = np.array([self.members, self.base])
        trees = {f"trees/{name}": a for name, a in self.trees.to_arrays().items()}
        return {"kind": np.array([0]), "scalars": scalars, "member": self.member, **numbered, **trees}

    @staticmethod
    def from_arrays(arrays: Given) -> TreeFunction:
        """Read back `to_arrays`."""
        scalars = np.asarray(arrays["scalars"], dtype=np.float64)
        trees = Trees.from_arrays(_under("trees", arrays))
        member = np.asarray(arrays["member"], dtype=np.int64)
        return TreeFunction(Binning(_numbered("cuts", arrays)), trees, member, int(scalars[0]), float(scalars[1]))


@dataclass(frozen=True, slots=True)
class ConvexFunction:
    """A linear function `beta` (members, width) of a basis: the additive model and the scorecard."""

    basis: Basis | EvidenceBasis
    beta: FloatArray

    def member_logits(self, values: FloatArray) -> FloatArray:
        """Logits (members, rows)."""
        return np.asarray(self.beta @ self.basis.columns(values).T.astype(np.float64), dtype=np.float64)

    def to_arrays(self) -> Arrays:
        """Arrays of kind `ramps` or `evidence`."""
        if isinstance(self.basis, EvidenceBasis):
            cuts = {f"cuts/{j:04d}": c for j, c in enumerate(self.basis.binning.cuts)}
            return {"kind": np.array([2]), "beta": self.beta, "evidence": self.basis.evidence, **cuts}
        basis = self.basis
        arrays: Arrays = {f"edges/{j:04d}": e for j, e in enumerate(basis.encoder.edges)}
        arrays |= {f"cuts/{j:04d}": c for j, c in enumerate(basis.coarse.cuts)}
        pairs = np.array(basis.pairs, dtype=np.int64).reshape(-1, 2)
        reference = basis.encoder.reference
        return arrays | {"kind": np.array([1]), "beta": self.beta, "pairs": pairs, "reference": reference}

    @staticmethod
    def from_arrays(arrays: Given) -> ConvexFunction:
        """Read back `to_arrays`."""
        beta = np.asarray(arrays["beta"], dtype=np.float64)
        cuts = Binning(_numbered("cuts", arrays))
        if "evidence" in arrays:
            return ConvexFunction(EvidenceBasis(cuts, np.asarray(arrays["evidence"], dtype=np.float64)), beta)
        encoder = RampEncoder(_numbered("edges", arrays), np.asarray(arrays["reference"], dtype=np.float64))
        pairs = tuple((int(a), int(b)) for a, b in np.asarray(arrays["pairs"], dtype=np.int64))
        return ConvexFunction(Basis(encoder, cuts, pairs), beta)


@dataclass(frozen=True, slots=True)
class NetworkFunction:
    """Small networks on quantile ramps, evaluated by `models.learners.members.forward`."""

    encoder: RampEncoder
    weights: Weights

    def member_logits(self, values: FloatArray) -> FloatArray:
        """Logits (members, rows)."""
        return np.asarray(forward(self.weights, self.encoder.encode(values)).T, dtype=np.float64)

    def to_arrays(self) -> Arrays:
        """Arrays of kind `network`."""
        arrays: Arrays = {f"edges/{j:04d}": e for j, e in enumerate(self.encoder.edges)}
        arrays |= {f"w/{name}": w for name, w in self.weights.items()}
        return arrays | {"kind": np.array([3]), "reference": self.encoder.reference}

    @staticmethod
    def from_arrays(arrays: Given) -> NetworkFunction:
        """Read back `to_arrays`."""
        encoder = RampEncoder(_numbered("edges", arrays), np.asarray(arrays["reference"], dtype=np.float64))
        return NetworkFunction(encoder, {n: np.asarray(w, dtype=np.float32) for n, w in _under("w", arrays).items()})


KINDS = (TreeFunction, ConvexFunction, ConvexFunction, NetworkFunction)


def function_of(arrays: Given) -> PartyFunction:
    """The function behind `to_arrays`. Raises `ModelCorrupt` if arrays are missing or a number is not finite."""
    try:
        if not all(bool(np.isfinite(a).all()) for a in arrays.values() if a.dtype.kind == "f"):
            raise ModelCorrupt("a number of a party's function is not finite")
        function: PartyFunction = KINDS[int(np.asarray(arrays["kind"], dtype=np.int64)[0])].from_arrays(arrays)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelCorrupt(f"a party's function cannot be read: {error}") from error
    return function


def _under(prefix: str, arrays: Given) -> Arrays:
    return {name[len(prefix) + 1 :]: a for name, a in arrays.items() if name.startswith(f"{prefix}/")}


def _numbered(prefix: str, arrays: Given) -> tuple[FloatArray, ...]:
    numbered = _under(prefix, arrays)
    return tuple(np.asarray(numbered[name], dtype=np.float64) for name in sorted(numbered))
