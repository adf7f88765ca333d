"""Who a node is to the others: its long-lived signing key, and the public keys by which it knows them.

How nodes learn each other's public keys is outside a run: in the sandbox from the stores beside each other, between
organisations from a register or certificates that the network's rules name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federated.nodes.store import NodeStore

STATE = "signing_key"
Keys = Mapping[str, Ed25519PrivateKey]


@dataclass(frozen=True, slots=True)
class Identity:
    """`known` are the public keys of all nodes, the own one among them: an operator cannot make nodes up.

    `least` is how few nodes a sum may be over that this node gives a vector to. It is 1 only where there is nobody to
    hide among.
    """

    name: str
    signing: Ed25519PrivateKey
    known: Mapping[str, Ed25519PublicKey]
    least: int = 2


def identities(signing: Keys, least: int = 2) -> dict[str, Identity]:
    """Identities of nodes who know each other, by name."""
    known = {name: key.public_key() for name, key in signing.items()}
    return {name: Identity(name, key, known, least) for name, key in signing.items()}


def fresh_identities(names: Iterable[str]) -> dict[str, Identity]:
    """Identities whose keys are made for one run."""
    return identities({name: Ed25519PrivateKey.generate() for name in names})


def stored_identities(stores: Iterable[NodeStore]) -> dict[str, Identity]:
    """Identities of the nodes behind these stores, whose keys are made at first use and kept.

    A lone bank has no other to hide among in sums over banks, so its vectors may be summed alone. Raises
    `NodeUnavailable` if a store cannot be read or written.
    """
    opened = list(stores)
    banks = sum(store.role == "bank" for store in opened)
    return identities({store.org_id: signing_key(store) for store in opened}, least=min(banks, 2))


def signing_key(store: NodeStore) -> Ed25519PrivateKey:
    """The key of the node behind a store, made at first use and kept. Raises `NodeUnavailable`."""
    kept = store.state(STATE)
    if kept is None:
        kept = Ed25519PrivateKey.generate().private_bytes_raw()
        store.put_state({STATE: kept})
    return Ed25519PrivateKey.from_private_bytes(kept)
