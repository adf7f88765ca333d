"""A node's secrets of hidden functions, in its own store, sealed at rest as its keys are (`nodes.keys`).

A bank keeps the weights and the key of their masks, a grid company its masked weights, and a node that deals to others'
pairs the keys of masks that it deals for. A secret that is kept under a function's id is never exchanged for another:
what it has to be follows from the id (`models.served.hidden`). Training leaves secrets of functions that nobody
registers, such as those of folds: of functions of no version in use the latest `UNUSED_MAX` are kept, others forgotten.
Guarantee and threat model: as of `nodes.keys`; a secret that was forgotten may stay in a backup.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping

from federated.errors import NodeUnavailable, NotPermitted
from federated.nodes.keys import dealing_key, first_key, function_secret, kept_key
from federated.nodes.store import NodeStore

UNUSED_MAX = 24
# Functions that something is kept of, from the one that was first to the one that was last.
KEPT = "kept functions"


def keep_secret(store: NodeStore, function_id: str, secret: bytes) -> None:
    """Keep this node's secret of a function. Raises `NotPermitted` if another is kept, `NodeUnavailable`."""
    _note(store, function_id, function_secret(function_id))
    _keep(store, function_secret(function_id), secret)


def keep_dealing(store: NodeStore, function_id: str, grid_id: str, key: bytes) -> None:
    """Keep the key of the mask that a dealer deals to a grid company for. Raises as `keep_secret`."""
    _note(store, function_id, dealing_key(function_id, grid_id))
    _keep(store, dealing_key(function_id, grid_id), key)


def kept_secret(store: NodeStore, function_id: str) -> bytes:
    """This node's secret of a function. Raises `NodeUnavailable` if it has none."""
    return _kept(store, function_secret(function_id), "was given no part of this version's hidden function")


def kept_dealing(store: NodeStore, function_id: str, grid_id: str) -> bytes:
    """The key of a grid company's mask. Raises `NodeUnavailable` if it has none."""
    return _kept(store, dealing_key(function_id, grid_id), f"was not told to deal to {grid_id} for this version")


def forget_unused(store: NodeStore, in_use: Callable[[], Collection[str]]) -> None:
    """Forget what is kept of functions that are not `in_use`, which is asked where it matters, but of the latest."""
    kept = _listed(store.state(KEPT))
    if len(kept) <= UNUSED_MAX:
        return
    used = in_use()
    unused = [function_id for function_id in kept if function_id not in used]
    forgotten = unused[: max(0, len(unused) - UNUSED_MAX)]
    if not forgotten:
        return
    store.drop_state([name for function_id in forgotten for name in kept[function_id]])

    def change(rows: Mapping[str, bytes]) -> Mapping[str, bytes]:
        left = {of: names for of, names in _listed(rows.get(KEPT)).items() if of not in forgotten}
        return {KEPT: json.dumps(left).encode()}

    store.change_state(change)


def _note(store: NodeStore, function_id: str, name: str) -> None:
    """List a function as the latest, before anything is kept of it."""

    def change(rows: Mapping[str, bytes]) -> Mapping[str, bytes]:
        listed = _listed(rows.get(KEPT))
        names = sorted({*listed.pop(function_id, ()), name})
        return {KEPT: json.dumps(listed | {function_id: names}).encode()}

    store.change_state(change)


def _listed(raw: bytes | None) -> dict[str, list[str]]:
    return {} if raw is None else {str(of): [str(name) for name in names] for of, names in json.loads(raw).items()}


def _keep(store: NodeStore, name: str, secret: bytes) -> None:
    if first_key(store, name, lambda: secret) != secret:
        raise NotPermitted(f"{store.org_id} keeps another {name}", node=store.org_id)


def _kept(store: NodeStore, name: str, why: str) -> bytes:
    kept = kept_key(store, name)
    if kept is None:
        raise NodeUnavailable(f"{store.org_id} {why}", node=store.org_id)
    return kept
