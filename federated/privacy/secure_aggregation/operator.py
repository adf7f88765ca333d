"""The operator's side of one round: pass things on, add masked vectors up, remove what is left of the masks.

It decides nothing about who is in the sum beyond who answered, and it can be given to anyone: all it sees is stated in
the package's guarantee. Below the threshold it raises `AggregationFailed`, and nothing has been unmasked.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.graph import is_sparse, neighbours, seed_of
from federated.privacy.secure_aggregation.messages import Advertisement, Masked, Plan, Unmasking, roster_of
from federated.privacy.secure_aggregation.party import derived, mask_private, pair_key
from federated.privacy.secure_aggregation.ring import FloatArray, RingArray, decoded, stream
from federated.privacy.secure_aggregation.sharing import joined


class Operator:
    """Collects the answers of each step; parties that do not answer a step are left out from there on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._ads: dict[str, Advertisement] = {}
        self._near: dict[str, tuple[str, ...]] = {}
        self._sent: dict[str, Mapping[str, bytes]] = {}
        self._total: RingArray = np.zeros(plan.length, dtype=np.uint64)
        self.survivors: frozenset[str] = frozenset()

    def advertised(self, ads: Mapping[str, Advertisement]) -> dict[str, Advertisement]:
        """After step 1: the list that goes to everybody."""
        self._ads = dict(ads)
        if not self.sparse:
            self.revealed({})
        return self._ads

    @property
    def sparse(self) -> bool:
        """Whether parties have to show their nonces, because not all of them are neighbours."""
        return is_sparse(len(self._ads), self.plan.degree)

    def revealed(self, nonces: Mapping[str, bytes]) -> dict[str, bytes]:
        """After step 2, of a sparse graph only: nonces that go to everybody. Raises `AggregationFailed`."""
        commitments = {name: ad.commitment for name, ad in self._ads.items()}
        seed = seed_of(roster_of(self.plan, self._ads), self.plan.round_id, commitments, nonces, self.plan.degree)
        self._near = neighbours(self._ads, self.plan.degree, seed)
        return dict(nonces)

    def shared(self, sent: Mapping[str, Mapping[str, bytes]]) -> dict[str, dict[str, bytes]]:
        """After step 3: for every party that shared, what its neighbours sent to it."""
        self._sent = dict(sent)
        return {
            name: {other: sent[other][name] for other in self._near[name] if other in sent and name in sent[other]}
            for name in sent
        }

    def masked(self, vectors: Mapping[str, Masked]) -> frozenset[str]:
        """After step 4: add vectors up; the parties behind them are the survivors. Raises `AggregationFailed`."""
        for name, vector in vectors.items():
            if name not in self._sent or vector.name != name or vector.values.shape != (self.plan.length,):
                raise AggregationFailed(f"{name} sent no vector of this round")
            self._total = self._total + vector.values
        if len(vectors) < self.plan.threshold:
            raise AggregationFailed(f"{len(vectors)} parties sent a vector, {self.plan.threshold} are needed")
        self.survivors = frozenset(vectors)
        return self.survivors

    def unmasked(self, released: Mapping[str, Unmasking]) -> FloatArray:
        """After step 6: the sum over all survivors, (length,). Raises `AggregationFailed` if shares are too few."""
        return decoded(self.unmasked_ring(released), self.plan.bits)

    def unmasked_ring(self, released: Mapping[str, Unmasking]) -> RingArray:
        """As `unmasked`, as integers modulo 2^64."""
        dropped = set(self._sent) - self.survivors
        total = self._total
        for name in sorted(self.survivors):
            seed = self._seed(name, {who: r.streams.get(name) for who, r in released.items()})
            total = total - stream(derived(seed, "own stream", self.plan), self.plan.length)
        for name in sorted(dropped):
            near = [other for other in self._near[name] if other in self.survivors]
            if not near:
                continue
            seed = self._seed(name, {who: r.keys.get(name) for who, r in released.items()})
            key = mask_private(seed, self.plan)
            if key.public_key().public_bytes_raw() != self._ads[name].mask_key:
                raise AggregationFailed(f"shares of {name} give another key than it advertised")
            for other in near:
                mask = stream(pair_key(key, self._ads[other].mask_key, self.plan), self.plan.length)
                total = total - mask if other < name else total + mask
        return np.asarray(total, dtype=np.uint64)

    def _seed(self, name: str, shares: Mapping[str, bytes | None]) -> bytes:
        places = {other: place for place, other in enumerate((*self._near[name], name), start=1)}
        placed = {places[who]: share for who, share in shares.items() if share is not None and who in places}
        return joined(placed, self.plan.threshold)
