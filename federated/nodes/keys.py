"""A node's private keys at rest: they lie in its store sealed, under a key that lies outside it.

Sealed are the keys that a node signs messages and statements with, its key for masks, its secret of an alignment that
is under way, and what it keeps of hidden functions (`nodes.functions`). The sealing key (ChaCha20-Poly1305; the node's
name and the key's are bound in) is derived with scrypt from a passphrase, which is set or which a token answers
(`channel.passphrase`), or without one lies in a file (mode 0600) in `node-keys/`, beside the folder of the stores.

Guarantee: whoever has a copy of a store, or of the whole folder of stores with `-wal` and `-shm`, has no private key of
a node, and can put none of its choosing into a store. Threat model: stolen copies and backups of stores. Whoever reads
the node's memory, its environment or the key file beside the stores has the keys; so has whoever guesses the
passphrase, at a scrypt derivation a guess. A copy that was made before the keys were sealed holds them for good.

All keys of a store are sealed in the same way, in one transaction: the row `SEALED_BY` says how, and proves the sealing
key before anything is opened or written with it. No sealing key is made for a store that has sealed keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from federated.channel.key_file import KEY_BYTES, made
from federated.channel.passphrase import PASSPHRASE, passphrase
from federated.errors import ChannelRefused, NodeUnavailable
from federated.nodes.store import NodeStore

FOLDER = "node-keys"
SIGNING, MASK, STATING = "signing_key", "mask key", "statement key"
SEALED_BY, TO_SCRUB = "keys sealed by", "keys to scrub"
MARK = b"sealed1 "
BY_FILE, BY_PASSPHRASE = b"file", b"word"
NONCE_BYTES, SALT_BYTES = 12, 16
# OWASP's parameters for scrypt: 128 MiB and about a second, once for each store that a process opens.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 17, 8, 1


def alignment_secret(peer: str) -> str:
    """What a node's secret of an alignment with a peer is called in its store."""
    return f"psi/{peer}/secret"


def function_secret(function_id: str) -> str:
    """What a node's secret of a hidden function is called in its store."""
    return f"function/{function_id}/secret"


def dealing_key(function_id: str, grid_id: str) -> str:
    """What the key of a grid company's mask in a hidden function is called in its dealer's store."""
    return f"function/{function_id}/deals to {grid_id}"


def first_key(store: NodeStore, name: str, fresh: Callable[[], bytes]) -> bytes:
    """The key that a store keeps under a name, made with `fresh` at first use. Raises `NodeUnavailable`."""
    kept = kept_key(store, name)
    if kept is None:
        _put(store, name, fresh(), replacing=False)
        kept = kept_key(store, name)
    if kept is None:
        raise NodeUnavailable(f"{store.org_id} cannot keep a key in its store", node=store.org_id)
    return kept


def kept_key(store: NodeStore, name: str) -> bytes | None:
    """The key that a store keeps under a name, or None. Raises `NodeUnavailable` if it cannot be opened.

    A store of before, or one whose keys lie under a file where there is a passphrase now, is sealed anew first.
    """
    _settle(store)
    kept, sealed_by = store.state(name), store.state(SEALED_BY) or b""
    return None if kept is None else _opened(store, _sealing_key(store, sealed_by), name, kept)


def put_key(store: NodeStore, name: str, key: bytes) -> None:
    """Keep a key under a name, in place of one that was kept there. Raises `NodeUnavailable`."""
    _settle(store)
    _put(store, name, key, replacing=True)


def key_file(store: NodeStore) -> Path:
    """Where the key lies that seals a store's keys, unless a passphrase does: never in the folder of the stores."""
    folder = store.path.parent
    return (folder.parent if folder.name == "nodes" else folder) / FOLDER / f"{store.org_id}.key"


def _put(store: NodeStore, name: str, key: bytes, *, replacing: bool) -> None:
    def change(rows: Mapping[str, bytes]) -> dict[str, bytes]:
        if name in rows and not replacing:
            return {}
        return {name: _sealed(store, _sealing_key(store, rows[SEALED_BY]), name, key)}

    store.change_state(change)


def _settle(store: NodeStore) -> None:
    """Have all keys of a store sealed in the way that is asked for, and no other form of them left in its file."""
    sealed_by = store.state(SEALED_BY)
    if sealed_by is None or (sealed_by.startswith(BY_FILE) and _word(store)):
        store.change_state(lambda rows: _sealed_anew(store, rows))
    if store.state(TO_SCRUB) is not None and store.scrub():
        store.drop_state([TO_SCRUB])


def _sealed_anew(store: NodeStore, rows: Mapping[str, bytes]) -> dict[str, bytes]:
    sealed_by = rows.get(SEALED_BY)
    by_passphrase = bool(_word(store))
    if sealed_by is not None and not (sealed_by.startswith(BY_FILE) and by_passphrase):
        return {}  # another process was quicker
    held = {name: value for name, value in rows.items() if _is_key(name)}
    if sealed_by is not None:
        before = _sealing_key(store, sealed_by)
        held = {name: _opened(store, before, name, value) for name, value in held.items()}
    elif any(value.startswith(MARK) for value in held.values()):
        raise _unavailable(store, "its store does not say any more what its keys are sealed by")
    salt = secrets.token_bytes(SALT_BYTES)
    way = BY_PASSPHRASE + salt if by_passphrase else BY_FILE
    key = _derived(store, salt) if by_passphrase else _key_in_file(store, make=True)
    changed = {name: _sealed(store, key, name, value) for name, value in held.items()}
    # A kill after this transaction leaves what says that old pages are still to be cleared.
    return changed | {SEALED_BY: way + _sealed(store, key, SEALED_BY, b"")} | ({TO_SCRUB: b"1"} if held else {})


def _is_key(name: str) -> bool:
    if name in {SIGNING, MASK, STATING} or name.startswith("function/"):
        return True
    return name.startswith("psi/") and name == alignment_secret(name.split("/")[1])


def _sealing_key(store: NodeStore, sealed_by: bytes) -> bytes:
    """The key that a store's keys are sealed with, proven by the row that names it."""
    if sealed_by.startswith(BY_PASSPHRASE):
        rest = sealed_by[len(BY_PASSPHRASE) :]
        key, proof = _derived(store, rest[:SALT_BYTES]), rest[SALT_BYTES:]
        wrong = f"the passphrase in {PASSPHRASE} is not the one that they are sealed by"
    else:
        key, proof = _key_in_file(store, make=False), sealed_by[len(BY_FILE) :]
        wrong = f"{FOLDER}/{key_file(store).name} is not the key that they are sealed by"
    _opened(store, key, SEALED_BY, proof, wrong)
    return key


def _derived(store: NodeStore, salt: bytes) -> bytes:
    word = _word(store)
    if not word:
        raise _unavailable(store, f"they are sealed by a passphrase, and {PASSPHRASE} is not set")
    return _scrypt(word, salt)


def _word(store: NodeStore) -> str:
    try:
        return passphrase()
    except ChannelRefused as error:
        raise _unavailable(store, error.detail) from error


@lru_cache(maxsize=64)
def _scrypt(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt, KEY_BYTES, SCRYPT_N, SCRYPT_R, SCRYPT_P).derive(passphrase.encode())


def _key_in_file(store: NodeStore, *, make: bool) -> bytes:
    """The key in a store's key file. It is made while the store's write lock is held, so by one process only."""
    path = key_file(store)
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        if not make:
            raise _unavailable(store, f"{FOLDER}/{path.name}, which they are sealed by, is missing") from None
        return made(path)
    except OSError as error:
        raise _unavailable(store, f"{FOLDER}/{path.name} cannot be read") from error
    if len(key) != KEY_BYTES:
        raise _unavailable(store, f"{FOLDER}/{path.name} holds no key")
    return key


def _bound(store: NodeStore, name: str) -> bytes:
    return f"{store.org_id}\0{name}".encode()


def _sealed(store: NodeStore, key: bytes, name: str, value: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return MARK + nonce + ChaCha20Poly1305(key).encrypt(nonce, value, _bound(store, name))


def _opened(store: NodeStore, key: bytes, name: str, value: bytes, wrong: str = "") -> bytes:
    nonce, text = value[len(MARK) : len(MARK) + NONCE_BYTES], value[len(MARK) + NONCE_BYTES :]
    try:
        if not value.startswith(MARK):
            raise _unavailable(store, wrong or f"its {name} is not sealed, as its other keys are")
        return ChaCha20Poly1305(key).decrypt(nonce, text, _bound(store, name))
    except (InvalidTag, ValueError) as error:
        raise _unavailable(store, wrong or f"its {name} is not what was sealed there") from error


def _unavailable(store: NodeStore, why: str) -> NodeUnavailable:
    return NodeUnavailable(f"{store.org_id} cannot open its keys: {why}", node=store.org_id)
