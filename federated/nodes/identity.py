"""Who a node is to the others: its long-lived signing key, and the public keys by which it knows them.

How nodes learn each other's public keys is outside a run: in the sandbox from the stores beside each other, between
organisations from a register or certificates that the network's rules name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.errors import NotPermitted
from federated.nodes.keys import SIGNING, first_key
from federated.nodes.store import NodeStore

LEAST_KIN = 2
SIGNER, NODE_KINDS = "peer signs ", ("bank", "grid")
Keys = Mapping[str, Ed25519PrivateKey]


@dataclass(frozen=True, slots=True)
class Identity:
    """`known` are the public keys of all nodes, the own one among them: an operator cannot make nodes up.

    `kin` are those of them that are of the own kind (banks or grid companies), itself among them: only they have what
    this node can hide among. `colluders` is how many nodes at least a secure sum must stand against, however they
    and the operator act.
    """

    name: str
    signing: Ed25519PrivateKey
    known: Mapping[str, Ed25519PublicKey]
    kin: frozenset[str]
    colluders: int = 1

    @property
    def least(self) -> int:
        """How few nodes of its kind a sum may be over that this node gives a vector to.

        It is 1 only where the register knows no other node of the kind: then there is nobody to hide among, and a sum
        over the kind is this node's own vector.
        """
        return min(LEAST_KIN, len(self.kin))


def identities(signing: Keys, roles: Mapping[str, str] | None = None) -> dict[str, Identity]:
    """Identities of nodes who know each other, by name. Without `roles` all are of one kind."""
    known, kinds = {name: key.public_key() for name, key in signing.items()}, roles or {}
    return {
        name: Identity(name, key, known, frozenset(other for other in known if kinds.get(other) == kinds.get(name)))
        for name, key in signing.items()
    }


def fresh_identities(names: Iterable[str], roles: Mapping[str, str] | None = None) -> dict[str, Identity]:
    """Identities whose keys are made for one run."""
    return identities({name: Ed25519PrivateKey.generate() for name in names}, roles)


def stored_identities(stores: Iterable[NodeStore]) -> dict[str, Identity]:
    """Identities of the nodes behind these stores, whose keys are made at first use and kept.

    Raises `NodeUnavailable` if a store cannot be read or written.
    """
    opened = list(stores)
    roles = {store.org_id: store.role for store in opened}
    return identities({store.org_id: signing_key(store) for store in opened}, roles)


def pin_signer(store: NodeStore, name: str, kind: str, public_key: bytes) -> None:
    """Know another node, a `bank` or a `grid`, by this key (32 bytes) of its signatures from now on.

    Raises `NotPermitted` if it is known by another, or as of another kind, and for who is no node: an operator that
    were one could deal to pairs, and be aligned with.
    """
    if kind not in NODE_KINDS:
        raise NotPermitted(f"{name} is a {kind}: banks and grid companies are nodes", node=store.org_id, peer=name)
    told = kind.encode() + b" " + public_key
    if store.first_state(SIGNER + name, told) != told:
        raise NotPermitted(f"{store.org_id} knows another signing key of {name}", node=store.org_id, peer=name)


def pinned_kinds(store: NodeStore) -> dict[str, str]:
    """Of the nodes that this one has met, whether each is a `bank` or a `grid`, by name."""
    return {name: kind for name, (kind, _) in _pinned(store).items()}


def pinned_identity(store: NodeStore) -> Identity:
    """Who the node behind a store is, among those that it has met. Raises `NodeUnavailable` as `signing_key`."""
    own, others = signing_key(store), _pinned(store)
    known = {name: Ed25519PublicKey.from_public_bytes(key) for name, (_, key) in others.items()}
    kin = {name for name, (kind, _) in others.items() if kind == store.role}
    return Identity(store.org_id, own, known | {store.org_id: own.public_key()}, frozenset(kin | {store.org_id}))


def _pinned(store: NodeStore) -> dict[str, tuple[str, bytes]]:
    told = {name: each.partition(b" ") for name, each in store.states(SIGNER).items()}
    return {name: (kind.decode(), key) for name, (kind, _, key) in told.items() if kind.decode() in NODE_KINDS}


def signing_key(store: NodeStore) -> Ed25519PrivateKey:
    """The key of the node behind a store, made at first use and kept, sealed. Raises `NodeUnavailable`."""
    fresh = Ed25519PrivateKey.generate
    return Ed25519PrivateKey.from_private_bytes(first_key(store, SIGNING, lambda: fresh().private_bytes_raw()))
