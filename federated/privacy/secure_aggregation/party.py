"""One party's side of one round: advertise → reveal → share → mask → confirm → unmask, each once and in this order.

Where all are neighbours of each other there is no graph to draw, and `share` may follow on `advertise`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import numpy as np
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.graph import NONCE_BYTES, committed, is_sparse, neighbours, seed_of
from federated.privacy.secure_aggregation.messages import (
    Advertisement,
    Masked,
    Plan,
    Unmasking,
    roster_of,
    survivors_text,
)
from federated.privacy.secure_aggregation.ring import FloatArray, RingArray, encoded, stream
from federated.privacy.secure_aggregation.sharing import SEED_BYTES, SHARE_BYTES, split

STEPS = ("advertise", "reveal", "share", "mask", "confirm", "unmask", "done")
NONCE = bytes(12)


def derived(secret: bytes, purpose: str, plan: Plan) -> bytes:
    """A 32-byte key for one purpose in one round."""
    return HKDF(SHA256(), 32, plan.round_id, f"tanxin secure aggregation {purpose}".encode()).derive(secret)


def mask_private(seed: bytes, plan: Plan) -> X25519PrivateKey:
    """The private mask key that a seed stands for: what the operator rebuilds for a party that dropped out."""
    return X25519PrivateKey.from_private_bytes(derived(seed, "mask key", plan))


def pair_key(own: X25519PrivateKey, other: bytes, plan: Plan) -> bytes:
    """The key of a pair's stream, the same from either side. Raises `AggregationFailed` for a malformed key."""
    try:
        agreed = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise AggregationFailed(f"a public key is malformed: {error}") from error
    return derived(agreed, "pair stream", plan)


class Party:
    """`signing` is the party's own long-lived key, `known` the public signing keys of all parties, by name.

    Every method raises `AggregationFailed` if it is called out of order or what it is given does not hold together.
    """

    def __init__(
        self, name: str, signing: Ed25519PrivateKey, known: Mapping[str, Ed25519PublicKey], plan: Plan
    ) -> None:
        self.name, self._signing, self._known, self._plan = name, signing, known, plan
        self._at = 0
        self._mask_seed, self._own_seed = secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES)
        self._mask_key = mask_private(self._mask_seed, plan)
        self._share_key = X25519PrivateKey.generate()
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._ads: dict[str, Advertisement] = {}
        self._near: tuple[str, ...] = ()
        self._roster = self._graph = b""
        self._held: dict[str, tuple[bytes, bytes]] = {}
        self._survivors: frozenset[str] = frozenset()

    def _step(self, name: str) -> None:
        if STEPS[self._at] != name:
            raise AggregationFailed(f"{self.name}: {name} came when {STEPS[self._at]} was due")
        self._at += 1

    def advertise(self) -> Advertisement:
        """Step 1: two fresh public keys and a commitment to a nonce, signed."""
        self._step("advertise")
        content = self._content()
        text = Advertisement(self.name, *content, b"").signed_text(self._plan)
        return Advertisement(self.name, *content, self._signing.sign(text))

    def _content(self) -> tuple[bytes, bytes, bytes]:
        share_key, mask_key = (k.public_key().public_bytes_raw() for k in (self._share_key, self._mask_key))
        return share_key, mask_key, committed(self._plan.round_id, self.name, self._nonce)

    def reveal(self, ads: Mapping[str, Advertisement]) -> bytes:
        """Step 2, of a sparse graph: once all have committed themselves, show the own nonce."""
        self._step("reveal")
        self._take(ads)
        return self._nonce

    def _take(self, ads: Mapping[str, Advertisement]) -> None:
        """Take the list of who takes part. Signatures of neighbours are checked once it is known who they are."""
        mine = ads.get(self.name)
        if mine is None or mine.content != b"".join(self._content()):
            raise AggregationFailed(f"{self.name}: the list of keys lacks the own one")
        strangers = sorted(name for name, ad in ads.items() if name not in self._known or ad.name != name)
        if strangers:
            raise AggregationFailed(f"{self.name}: {', '.join(strangers)} are not known here and sign nothing")
        self._ads, self._roster = dict(ads), roster_of(self._plan, ads)

    def share(self, ads: Mapping[str, Advertisement], nonces: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        """Step 3: check the graph and the neighbours' keys; return encrypted shares of both seeds for each of them.

        `nonces` of all parties are needed where the graph is sparse.
        """
        if STEPS[self._at] == "reveal" and not is_sparse(len(ads), self._plan.degree):
            self.reveal(ads)
        self._step("share")
        if roster_of(self._plan, ads) != self._roster:
            raise AggregationFailed(f"{self.name}: the list of keys changed after the own nonce was shown")
        commitments = {name: ad.commitment for name, ad in self._ads.items()}
        self._graph = seed_of(self._roster, self._plan.round_id, commitments, nonces or {}, self._plan.degree)
        self._near = neighbours(self._ads, self._plan.degree, self._graph)[self.name]
        for name in self._near:
            ad = self._ads[name]
            self._check(name, ad.signature, ad.signed_text(self._plan))
        holders = len(self._near) + 1
        if holders < self._plan.threshold:
            raise AggregationFailed(f"{holders} shares do not fit a threshold of {self._plan.threshold}")
        stood = 2 * self._plan.threshold - holders - 1 - is_sparse(len(ads), self._plan.degree)
        # Of the holders one is the party itself, which colludes with nobody.
        if stood < min(self._plan.colluders, holders - 1):
            detail = f"a threshold of {self._plan.threshold} among {holders} stands {max(stood, 0)} colluders"
            raise AggregationFailed(f"{self.name}: {detail}, not {self._plan.colluders}")
        own, mask = (split(s, holders, self._plan.threshold) for s in (self._own_seed, self._mask_seed))
        # The last share of the own stream stays here: a survivor can always give that one.
        self._held[self.name] = (own[-1], b"")
        return {
            other: self._cipher(self.name, other).encrypt(NONCE, own[i] + mask[i], self._graph)
            for i, other in enumerate(self._near)
        }

    def _check(self, name: str, signature: bytes, text: bytes) -> None:
        try:
            self._known[name].verify(signature, text)
        except InvalidSignature:
            raise AggregationFailed(f"{self.name}: what {name} is said to have signed was not signed by it") from None

    def _cipher(self, sender: str, receiver: str) -> ChaCha20Poly1305:
        """A key for one direction of one pair in one round: it encrypts one message, so the nonce may be constant."""
        other = receiver if sender == self.name else sender
        agreed = self._share_key.exchange(X25519PublicKey.from_public_bytes(self._ads[other].share_key))
        return ChaCha20Poly1305(derived(agreed, f"shares {sender} {receiver}", self._plan))

    def mask(self, values: FloatArray | RingArray, shares: Mapping[str, bytes]) -> Masked:
        """Step 4: keep the neighbours' shares; return the vector masked towards all neighbours who sent theirs.

        Integers modulo 2^64 are summed as they are, numbers in fixed point.
        """
        self._step("mask")
        if values.shape != (self._plan.length,):
            raise AggregationFailed(f"{self.name}: a vector of {values.shape} where {self._plan.length} were agreed")
        for other, sealed in shares.items():
            if other not in self._near:
                raise AggregationFailed(f"{self.name}: {other} is no neighbour and has no shares to give")
            try:
                opened = self._cipher(other, self.name).decrypt(NONCE, sealed, self._graph)
            except InvalidTag:
                raise AggregationFailed(f"{self.name}: shares of {other} are of another round or changed") from None
            self._held[other] = (opened[:SHARE_BYTES], opened[SHARE_BYTES:])
        if len(self._held) < self._plan.threshold:
            raise AggregationFailed(f"{self.name}: with itself only {len(self._held)} parties hold shares")
        if values.dtype == np.uint64:
            total = np.asarray(values, dtype=np.uint64)
        else:
            total = encoded(np.asarray(values, dtype=np.float64), len(self._ads), self._plan.bits)
        total = total + stream(derived(self._own_seed, "own stream", self._plan), self._plan.length)
        for other in self._held.keys() - {self.name}:
            mask = stream(pair_key(self._mask_key, self._ads[other].mask_key, self._plan), self._plan.length)
            total = total + mask if self.name < other else total - mask
        return Masked(self.name, np.asarray(total, dtype=np.uint64))

    def confirm(self, survivors: frozenset[str]) -> bytes:
        """Step 5: sign who is in the sum. One signature a round: a second list would unmask a second sum."""
        self._step("confirm")
        if self.name not in survivors or not survivors <= set(self._ads):
            raise AggregationFailed(f"{self.name}: the list of survivors does not fit this round")
        if sum(other in survivors for other in self._held) < self._plan.threshold:
            raise AggregationFailed(f"{self.name}: too few neighbours survive")
        self._survivors = survivors
        return self._signing.sign(survivors_text(self._graph, survivors))

    def unmask(self, signatures: Mapping[str, bytes]) -> Unmasking:
        """Step 6: once enough neighbours have signed the same survivors, release one share of each neighbour."""
        self._step("unmask")
        text = survivors_text(self._graph, self._survivors)
        agreeing = {other for other in signatures if other in self._held and other in self._survivors}
        agreeing.add(self.name)
        for other in sorted(agreeing - {self.name}):
            self._check(other, signatures[other], text)
        if len(agreeing) < self._plan.threshold:
            raise AggregationFailed(f"{self.name}: with itself only {len(agreeing)} parties confirmed the survivors")
        held = self._held
        self._held = {}
        return Unmasking(
            streams={other: own for other, (own, _) in held.items() if other in self._survivors},
            keys={other: mask for other, (_, mask) in held.items() if other not in self._survivors},
        )
