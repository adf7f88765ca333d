"""A node's long-lived signing key: made once, kept in its own store, and known to the others by its public half.

How nodes learn each other's public keys is outside a run: in the sandbox from the stores beside each other, between
organisations from a register or certificates that the network's rules name.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federated.nodes.store import NodeStore

STATE = "signing_key"


def signing_key(store: NodeStore) -> Ed25519PrivateKey:
    """The node's key, made at first use. Raises `NodeUnavailable` if the store cannot be read or written."""
    kept = store.state(STATE)
    if kept is None:
        kept = Ed25519PrivateKey.generate().private_bytes_raw()
        store.put_state({STATE: kept})
    return Ed25519PrivateKey.from_private_bytes(kept)
