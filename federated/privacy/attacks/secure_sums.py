"""What does an operator with colluders get from secure aggregation besides the sum, if it does not follow the protocol?

Two attacks on a round among parties whose own code is the one that ships. Colluders run it too, and hand the operator
whatever they hold; they sign what it likes. Sources: section 6.2 of Bonawitz et al. (CCS 2017) for two lists of
survivors, Bell et al. (CCS 2020) for graphs that somebody chose.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.graph import NONCE_BYTES, committed, neighbours, seed_of
from federated.privacy.secure_aggregation.messages import Advertisement, Plan, roster_of, survivors_text
from federated.privacy.secure_aggregation.operator import Operator
from federated.privacy.secure_aggregation.party import Party, derived, mask_private, pair_key
from federated.privacy.secure_aggregation.ring import FloatArray, decoded, stream
from federated.privacy.secure_aggregation.sharing import joined


class Colluder(Party):
    """A party that signs any list of survivors, and shows the operator both shares that it holds of a neighbour."""

    def sign(self, survivors: Iterable[str]) -> bytes:
        """A signature under a list, whatever was signed before."""
        return self._signing.sign(survivors_text(self._graph, survivors))

    def held(self, other: str) -> tuple[bytes, bytes]:
        """Its shares of the other's own stream and of its mask key."""
        return self._held[other]


def _parties(
    names: Sequence[str], colluders: frozenset[str], plan: Plan
) -> tuple[dict[str, Party], dict[str, Colluder]]:
    keys = {name: Ed25519PrivateKey.generate() for name in names}
    known: Mapping[str, Ed25519PublicKey] = {name: key.public_key() for name, key in keys.items()}
    bad = {name: Colluder(name, keys[name], known, plan) for name in names if name in colluders}
    return {name: bad.get(name) or Party(name, keys[name], known, plan) for name in names}, bad


def by_two_lists(vectors: Mapping[str, FloatArray], threshold: int, claimed: int, colluding: int) -> FloatArray | None:
    """The first party's vector, from a round of all in which half of the honest are told that this one dropped out.

    `colluding` parties, the last ones, sign both lists of survivors; the plan says that it stands `claimed`. None if
    the parties refuse, or release too little.
    """
    names = list(vectors)
    victim, bad_names = names[0], frozenset(names[len(names) - colluding :])
    length = len(vectors[victim])
    plan = Plan(secrets.token_bytes(16), len(names) - 1, threshold, length, 24, claimed)
    parties, bad = _parties(names, bad_names, plan)
    operator = Operator(plan)
    try:
        ads = operator.advertised({name: party.advertise() for name, party in parties.items()})
        inboxes = operator.shared({name: party.share(ads) for name, party in parties.items()})
        masked = {name: party.mask(vectors[name], inboxes[name]) for name, party in parties.items()}
    except AggregationFailed:
        return None
    honest = [name for name in names if name not in bad]
    half = -(-len(honest) // 2)
    lists = [(honest[:half], frozenset(names)), (honest[half:], frozenset(names) - {victim})]
    streams = {name: party.held(victim)[0] for name, party in bad.items()}
    keys = {name: party.held(victim)[1] for name, party in bad.items()}
    for told, survivors in lists:
        for name, released in _released(parties, bad, told, survivors).items():
            streams |= {name: released[0]} if released[0] else {}
            keys |= {name: released[1]} if released[1] else {}
    near = neighbours(
        names, plan.degree, seed_of(roster_of(plan, ads), plan.round_id, _committed(ads), {}, plan.degree)
    )
    places = {other: place for place, other in enumerate((*near[victim], victim), start=1)}
    try:
        own, key = (joined({places[name]: s for name, s in found.items()}, threshold) for found in (streams, keys))
    except AggregationFailed:
        return None
    values = masked[victim].values - stream(derived(own, "own stream", plan), length)
    for other in near[victim]:
        mask = stream(pair_key(mask_private(key, plan), ads[other].mask_key, plan), length)
        values = values - mask if victim < other else values + mask
    return decoded(np.asarray(values), plan.bits)


def _released(
    parties: Mapping[str, Party], bad: Mapping[str, Colluder], told: Sequence[str], survivors: frozenset[str]
) -> dict[str, tuple[bytes | None, bytes | None]]:
    """What those who were `told` of these survivors release of the first party: its stream's or its key's share."""
    victim = next(iter(parties))
    try:
        signed = {name: parties[name].confirm(survivors) for name in told}
        signed |= {name: party.sign(survivors) for name, party in bad.items()}
        unmaskings = {name: parties[name].unmask(signed) for name in told}
    except AggregationFailed:
        return {}
    return {name: (u.streams.get(victim), u.keys.get(victim)) for name, u in unmaskings.items()}


def _committed(ads: Mapping[str, Advertisement]) -> dict[str, bytes]:
    return {name: ad.commitment for name, ad in ads.items()}


def ground_by_choice(names: Sequence[str], colluders: frozenset[str], degree: int, tries: int) -> int:
    """Colluders among the first party's neighbours, if the operator may choose the seed: the most in `tries`."""
    seeds = (number.to_bytes(16, "big") for number in range(tries))
    return max(len(colluders & set(neighbours(names, degree, seed)[names[0]])) for seed in seeds)


def ground_by_nonce(names: Sequence[str], colluders: frozenset[str], plan: Plan, tries: int) -> int:
    """The same where all parties draw the seed: the last colluder sees all nonces and looks for a better one.

    It hands the victim the best of `tries`; if the victim refuses, it is left with what it had committed to.
    """
    parties, bad = _parties(names, colluders, plan)
    ads = {name: party.advertise() for name, party in parties.items()}
    nonces = {name: party.reveal(ads) for name, party in parties.items()}
    victim, last = names[0], sorted(bad)[-1]
    roster, best = roster_of(plan, ads), (-1, b"")
    for number in range(tries):
        nonce = number.to_bytes(NONCE_BYTES, "big")
        tried = nonces | {last: nonce}
        # Its commitment would have to fit, so that of the trial is put in its place here.
        free = seed_of(
            roster, plan.round_id, _committed(ads) | {last: committed(plan.round_id, last, nonce)}, tried, plan.degree
        )
        best = max(best, (len(colluders & set(neighbours(names, plan.degree, free)[victim])), nonce))
    try:
        sealed = parties[victim].share(ads, nonces | {last: best[1]})
    except AggregationFailed:
        drawn = seed_of(roster, plan.round_id, _committed(ads), nonces, plan.degree)
        return len(colluders & set(neighbours(names, plan.degree, drawn)[victim]))
    return len(colluders & set(sealed))
