"""A round of secure aggregation over Flower messages: five exchanges, dropouts survived from each of them on.

A sparse graph takes a sixth, in which all show their nonces: who leaves before it is out, who leaves in it ends the
round. A node makes a vector for one round, when the round is opened, so a round that ended is not tried again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from federated.errors import AggregationFailed, FederatedError
from federated.nodes.identity import Identity
from federated.privacy.secure_aggregation.messages import Advertisement, Masked, Plan, Unmasking
from federated.privacy.secure_aggregation.operator import Operator
from federated.privacy.secure_aggregation.party import Party
from federated.privacy.secure_aggregation.ring import BITS, FloatArray, RingArray, decoded
from federated.protocols.core.messages import Content, Switchboard, answering, pack

# A vector beyond this (half a gigabyte) is nobody's model, and would only exhaust the node.
MOST_NUMBERS, RING_BITS = 1 << 26, 64
NUMBERS = ("degree", "threshold", "length", "bits", "colluders")
FIELDS = ("share_key", "mask_key", "commitment", "signature")
Vector = Callable[[Content], FloatArray | RingArray]
Consent = Callable[[Content, frozenset[str]], None]


def add_secure_sum(app: ClientApp, identity: Identity, vector: Vector, consent: Consent | None = None) -> None:
    """Let a node's app take part in rounds; `vector` makes the node's numbers from the request that opened the round.

    Counts and metrics belong inside the vector: whatever else an answer held would be read by the operator. `vector`
    raises where the node has nothing to add: zeros would hide nobody, and yet count as a node in the sum.

    What this node's vector is opened in: a sum over at least the identity's `least` nodes of its kind, each of which,
    if honest, added a vector of its own; for a node that is the only one of its kind this is its own vector. A round
    of fewer, of nodes of another kind, or that stands fewer than the identity's `colluders`, is refused. `consent` may
    decide in place of this who may be in a sum, from the opening request and the names of all that take part; it
    raises to refuse, before anything of the vector leaves.
    """
    name = identity.name
    agreed = consent or (lambda _, names: among_kin(identity, names))
    rounds: dict[bytes, tuple[Party, FloatArray | RingArray, Content]] = {}
    seen: set[bytes] = set()

    def opened(content: Content) -> tuple[Party, FloatArray | RingArray, Content]:
        found = rounds.get(content.points("round"))
        if found is None:
            raise AggregationFailed(f"{name}: no such round is open")
        return found

    def party(content: Content) -> Party:
        return opened(content)[0]

    @app.query("secure_advertise")
    @answering
    def advertise(content: Content, _: Context) -> Content:
        plan = plan_of(content)
        if plan.round_id in seen:
            raise AggregationFailed(f"{name}: a round's id is used once")
        if plan.threshold < identity.least:
            raise AggregationFailed(f"{name}: a sum that may be over {plan.threshold} nodes hides nobody")
        if plan.colluders < identity.colluders:
            detail = f"a round that stands {plan.colluders} colluders, where {identity.colluders} are asked for"
            raise AggregationFailed(f"{name}: {detail}, is refused")
        seen.add(plan.round_id)
        values = vector(content)
        if values.shape != (plan.length,):
            raise AggregationFailed(f"{name}: a vector of {values.shape} where {plan.length} were agreed")
        rounds.clear()
        rounds[plan.round_id] = (Party(name, identity.signing, identity.known, plan), values, content)
        ad = party(content).advertise()
        return Content(config={"share_key": ad.share_key, "mask_key": ad.mask_key, "commitment": ad.commitment,
                               "signature": ad.signature})  # fmt: skip

    def listed(content: Content) -> dict[str, Advertisement]:
        """Who takes part, if this node agrees to it."""
        names = content.texts("names")
        keys = (content.blobs(field) for field in FIELDS)
        agreed(opened(content)[2], frozenset(names))
        return {who: Advertisement(who, *rest) for who, *rest in zip(names, *keys, strict=True)}

    @app.query("secure_reveal")
    @answering
    def reveal(content: Content, _: Context) -> Content:
        return Content(config={"nonce": party(content).reveal(listed(content))})

    @app.query("secure_share")
    @answering
    def share(content: Content, _: Context) -> Content:
        ads = listed(content)
        nonces = dict(zip(ads, content.blobs("nonce"), strict=True)) if "nonce" in content.config else {}
        sealed = party(content).share(ads, nonces)
        return Content(config={"names": list(sealed), "shares": list(sealed.values())})

    @app.query("secure_mask")
    @answering
    def mask(content: Content, _: Context) -> Content:
        inbox = dict(zip(content.texts("names"), content.blobs("shares"), strict=True))
        return Content({"masked": party(content).mask(opened(content)[1], inbox).values})

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


def among_kin(identity: Identity, names: frozenset[str]) -> None:
    """Raise `AggregationFailed` unless a sum over `names` hides a node among enough others of its kind alone.

    Which of several sums over different nodes are opened is for the protocol to limit: their difference is a sum too.
    """
    strangers = sorted(names - identity.kin)
    if strangers:
        detail = f"{', '.join(strangers)} have nothing to add to a sum over nodes of its kind"
        raise AggregationFailed(f"{identity.name}: {detail}")
    if len(names) < identity.least:
        raise AggregationFailed(f"{identity.name}: a sum over {len(names)} nodes hides nobody")


def plan_of(content: Content) -> Plan:
    """The plan in the message that opens a round. Raises `AggregationFailed` for numbers that no round can have."""
    degree, threshold, length, bits, colluders = (content.integer(name) for name in NUMBERS)
    if degree < 0 or threshold < 1 or not 0 < length <= MOST_NUMBERS or not 0 <= bits < RING_BITS:
        raise AggregationFailed(f"no round has degree {degree}, threshold {threshold}, {length} numbers of {bits} bits")
    return Plan(content.points("round"), degree, threshold, length, bits, colluders)


def secure_sum(
    board: Switchboard,
    orgs: Sequence[str],
    length: int,
    degree: int,
    threshold: int,
    request: Content,
    bits: int = BITS,
    colluders: int = 1,
) -> tuple[FloatArray, frozenset[str]]:
    """As `secure_ring_sum`, as numbers."""
    total, survivors = secure_ring_sum(board, orgs, length, degree, threshold, request, bits, colluders)
    return decoded(total, bits), survivors


def secure_ring_sum(
    board: Switchboard,
    orgs: Sequence[str],
    length: int,
    degree: int,
    threshold: int,
    request: Content,
    bits: int = BITS,
    colluders: int = 1,
) -> tuple[RingArray, frozenset[str]]:
    """Sum (length,) modulo 2^64 of the vectors that nodes make of `request`, and whose vectors are in it.

    `bits` stand after the point, also of vectors that nodes give as integers modulo 2^64. A node that fails or refuses
    a step drops out. Nodes refuse a round that does not stand as many `colluders` as it claims, or fewer than they
    insist on. Raises `AggregationFailed` when too few are left.
    """
    refused: dict[str, str] = {}
    try:
        return _played(
            board, orgs, Plan(secrets.token_bytes(16), degree, threshold, length, bits, colluders), request, refused
        )
    except AggregationFailed as error:
        why = "".join(f"; {detail}" for _, detail in sorted(refused.items()))
        raise AggregationFailed(f"{error.detail}{why}", refused=sorted(refused)) from error


def _played(
    board: Switchboard, orgs: Sequence[str], plan: Plan, request: Content, refused: dict[str, str]
) -> tuple[RingArray, frozenset[str]]:
    """One round. Who refuses a step is put into `refused`, with what it said."""
    operator = Operator(plan)
    numbers = {name: getattr(plan, name) for name in NUMBERS}
    opening = Content(request.arrays, {**request.config, **numbers, "round": plan.round_id})
    tag = {"round": plan.round_id}
    cards = _answers(board, "query.secure_advertise", dict.fromkeys(orgs, opening), refused)
    ads = operator.advertised(
        {org: Advertisement(org, *(c.points(field) for field in FIELDS)) for org, c in cards.items()}
    )
    listed = Content(
        config=tag | {"names": list(ads)} | {field: [getattr(ad, field) for ad in ads.values()] for field in FIELDS}
    )
    if operator.sparse:
        shown = _answers(board, "query.secure_reveal", dict.fromkeys(ads, listed), refused)
        nonces = operator.revealed({org: c.points("nonce") for org, c in shown.items()})
        listed = Content(config={**listed.config, "nonce": [nonces[org] for org in ads]})
    sent = _answers(board, "query.secure_share", dict.fromkeys(ads, listed), refused)
    inboxes = operator.shared(
        {org: dict(zip(c.texts("names"), c.blobs("shares"), strict=True)) for org, c in sent.items()}
    )
    requests = {
        org: Content(config=tag | {"names": list(box), "shares": list(box.values())}) for org, box in inboxes.items()
    }
    masked = _answers(board, "query.secure_mask", requests, refused)
    survivors = operator.masked({org: Masked(org, c.arrays["masked"].astype(np.uint64)) for org, c in masked.items()})
    list_of = Content(config=tag | {"names": sorted(survivors)})
    signed = _answers(board, "query.secure_confirm", dict.fromkeys(sorted(survivors), list_of), refused)
    confirmed = Content(
        config=tag | {"names": list(signed), "signatures": [c.points("signature") for c in signed.values()]}
    )
    released = _answers(board, "query.secure_unmask", dict.fromkeys(signed, confirmed), refused)
    shares = {
        org: Unmasking(
            dict(zip(c.texts("stream_names"), c.blobs("streams"), strict=True)),
            dict(zip(c.texts("key_names"), c.blobs("keys"), strict=True)),
        )
        for org, c in released.items()
    }
    return operator.unmasked_ring(shares), survivors


def _answers(
    board: Switchboard, action: str, requests: Mapping[str, Content], refused: dict[str, str]
) -> dict[str, Content]:
    """Answers of those who gave one: whoever fails, refuses or is silent has dropped out."""
    messages = [Message(pack(content), board.node_ids[org], action) for org, content in requests.items()]
    present: dict[str, Content] = {}
    for reply in board.exchange_present(messages):
        org = board.asked(reply)
        try:
            present[org] = board.read(reply, org)
        except FederatedError as error:
            refused[org] = error.detail
    refused |= {org: f"{org} did not answer" for org in requests if org not in present and org not in refused}
    return present
