"""A round of secure aggregation over Flower messages: five exchanges, dropouts survived from each of them on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from federated.errors import AggregationFailed
from federated.nodes.identity import Identity
from federated.privacy.secure_aggregation.messages import Advertisement, Masked, Plan, Unmasking
from federated.privacy.secure_aggregation.operator import Operator
from federated.privacy.secure_aggregation.party import Party
from federated.privacy.secure_aggregation.ring import BITS, FloatArray, RingArray, decoded
from federated.protocols.core.messages import Content, Switchboard, answering, pack

# A vector beyond this (half a gigabyte) is nobody's model, and would only exhaust the node.
MOST_NUMBERS, RING_BITS = 1 << 26, 64
Vector = Callable[[Content], FloatArray | RingArray]


def add_secure_sum(app: ClientApp, identity: Identity, vector: Vector) -> None:
    """Let a node's app take part in rounds; `vector` makes the node's numbers from the request that opened the round.

    Counts and metrics belong inside the vector: whatever else an answer held would be read by the operator. A round
    whose sum might be over fewer nodes than the identity's `least` is refused before a vector is made.
    """
    name = identity.name
    rounds: dict[bytes, tuple[Party, FloatArray | RingArray]] = {}
    seen: set[bytes] = set()

    def party(content: Content) -> Party:
        opened = rounds.get(content.points("round"))
        if opened is None:
            raise AggregationFailed(f"{name}: no such round is open")
        return opened[0]

    @app.query("secure_advertise")
    @answering
    def advertise(content: Content, _: Context) -> Content:
        plan = plan_of(content)
        if plan.round_id in seen:
            raise AggregationFailed(f"{name}: a round's id is used once")
        if plan.threshold < identity.least:
            raise AggregationFailed(f"{name}: a sum that may be over {plan.threshold} nodes hides nobody")
        seen.add(plan.round_id)
        values = vector(content)
        if values.shape != (plan.length,):
            raise AggregationFailed(f"{name}: a vector of {values.shape} where {plan.length} were agreed")
        rounds.clear()
        rounds[plan.round_id] = (Party(name, identity.signing, identity.known, plan), values)
        ad = party(content).advertise()
        return Content(config={"share_key": ad.share_key, "mask_key": ad.mask_key, "signature": ad.signature})

    @app.query("secure_share")
    @answering
    def share(content: Content, _: Context) -> Content:
        names = content.texts("names")
        keys = (content.blobs(field) for field in ("share_key", "mask_key", "signature"))
        ads = {who: Advertisement(who, *rest) for who, *rest in zip(names, *keys, strict=True)}
        sealed = party(content).share(ads)
        return Content(config={"names": list(sealed), "shares": list(sealed.values())})

    @app.query("secure_mask")
    @answering
    def mask(content: Content, _: Context) -> Content:
        inbox = dict(zip(content.texts("names"), content.blobs("shares"), strict=True))
        values = rounds[content.points("round")][1] if content.points("round") in rounds else np.zeros(0)
        return Content({"masked": party(content).mask(values, inbox).values})

    @app.query("secure_confirm")
    @answering
    def confirm(content: Content, _: Context) -> Content:
        return Content(config={"signature": party(content).confirm(frozenset(content.texts("names")))})

    @app.query("secure_unmask")
    @answering
    def unmask(content: Content, _: Context) -> Content:
        signatures = dict(zip(content.texts("names"), content.blobs("signatures"), strict=True))
        released = party(content).unmask(signatures)
        rounds.clear()
        return Content(
            config={
                "stream_names": list(released.streams), "streams": list(released.streams.values()),
                "key_names": list(released.keys), "keys": list(released.keys.values()),
            }
        )  # fmt: skip


def plan_of(content: Content) -> Plan:
    """The plan in the message that opens a round. Raises `AggregationFailed` for numbers that no round can have."""
    degree, threshold, length, bits = (content.integer(name) for name in ("degree", "threshold", "length", "bits"))
    if degree < 0 or threshold < 1 or not 0 < length <= MOST_NUMBERS or not 0 <= bits < RING_BITS:
        raise AggregationFailed(f"no round has degree {degree}, threshold {threshold}, {length} numbers of {bits} bits")
    return Plan(content.points("round"), degree, threshold, length, bits)


def secure_sum(
    board: Switchboard,
    orgs: Sequence[str],
    length: int,
    degree: int,
    threshold: int,
    request: Content,
    bits: int = BITS,
) -> tuple[FloatArray, frozenset[str]]:
    """As `secure_ring_sum`, as numbers."""
    total, survivors = secure_ring_sum(board, orgs, length, degree, threshold, request, bits)
    return decoded(total, bits), survivors


def secure_ring_sum(
    board: Switchboard,
    orgs: Sequence[str],
    length: int,
    degree: int,
    threshold: int,
    request: Content,
    bits: int = BITS,
) -> tuple[RingArray, frozenset[str]]:
    """Sum (length,) modulo 2^64 of the vectors that nodes make of `request`, and whose vectors are in it.

    `bits` stand after the point, also of vectors that nodes give as integers modulo 2^64. A node that fails or refuses
    a step drops out. Raises `AggregationFailed` when too few are left.
    """
    plan = Plan(secrets.token_bytes(16), degree, threshold, length, bits)
    operator = Operator(plan)
    numbers = {"degree": degree, "threshold": threshold, "length": length, "bits": bits}
    opening = Content(request.arrays, {**request.config, **numbers, "round": plan.round_id})
    tag = {"round": plan.round_id}
    cards = _answers(board, "query.secure_advertise", dict.fromkeys(orgs, opening))
    ads = operator.advertised(
        {
            org: Advertisement(org, c.points("share_key"), c.points("mask_key"), c.points("signature"))
            for org, c in cards.items()
        }
    )
    listed = Content(
        config=tag
        | {"names": list(ads)}
        | {field: [getattr(ad, field) for ad in ads.values()] for field in ("share_key", "mask_key", "signature")}
    )
    sent = _answers(board, "query.secure_share", dict.fromkeys(ads, listed))
    inboxes = operator.shared(
        {org: dict(zip(c.texts("names"), c.blobs("shares"), strict=True)) for org, c in sent.items()}
    )
    requests = {
        org: Content(config=tag | {"names": list(box), "shares": list(box.values())}) for org, box in inboxes.items()
    }
    masked = _answers(board, "query.secure_mask", requests)
    survivors = operator.masked({org: Masked(org, c.arrays["masked"].astype(np.uint64)) for org, c in masked.items()})
    list_of = Content(config=tag | {"names": sorted(survivors)})
    signed = _answers(board, "query.secure_confirm", dict.fromkeys(sorted(survivors), list_of))
    confirmed = Content(
        config=tag | {"names": list(signed), "signatures": [c.points("signature") for c in signed.values()]}
    )
    released = _answers(board, "query.secure_unmask", dict.fromkeys(signed, confirmed))
    shares = {
        org: Unmasking(
            dict(zip(c.texts("stream_names"), c.blobs("streams"), strict=True)),
            dict(zip(c.texts("key_names"), c.blobs("keys"), strict=True)),
        )
        for org, c in released.items()
    }
    return operator.unmasked_ring(shares), survivors


def _answers(board: Switchboard, action: str, requests: Mapping[str, Content]) -> dict[str, Content]:
    """Answers of those who gave one: whoever fails or refuses has dropped out."""
    messages = [Message(pack(content), board.node_ids[org], action) for org, content in requests.items()]
    return board.read_present(board.exchange_present(messages))
