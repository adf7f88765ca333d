"""A bank's messages of real queries, each sent twice at once and again afterwards: what a thief of its key could do.

The bank's side runs here, with a copy of the bank's store, keys and certificate; grid companies and dealers are
processes of a network that is up.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.channel.client import Channel
from federated.channel.node_keys import NodeKeys
from federated.consent.record import Purpose
from federated.errors import FederatedError
from federated.governance.model_registry import ModelRegistry
from federated.governance.served import ApprovedModels
from federated.governance.versions import Governance
from federated.nodes.bank import BankNode
from federated.nodes.node import PartialRequest
from federated.nodes.store import NodeStore
from federated.serving.hidden.bank import HiddenBank
from federated.serving.hidden.conversation import Conversations
from federated.serving.hidden.dealer import Dealt
from simulations.local_network.layout import Layout

Sent = tuple[str, str, bytes]


@dataclass(slots=True)
class Replayed:
    """Scores that came about by messages that were all sent twice at once, and how many messages were answered again:
    the second of two, those sent anew, and those that another bank sent."""

    scores: dict[str, int] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    answered_again: int = 0
    refusals: set[str] = field(default_factory=set)


def replay_queries(layout: Layout, bank: str, other: str, subjects: Sequence[str]) -> Replayed:
    """Score customers of a `bank` so, and send their messages again: as the bank, and as the `other` bank."""
    found = Replayed()
    with _beside(layout, bank) as (node, models, version):
        nodes = {name: _Doubling(found, NodeKeys(layout.of(bank)), name, layout.url(name))
                 for name in layout.nodes if name != bank}  # fmt: skip
        sides = {bank: HiddenBank(node, models)}
        conversations = Conversations(sides, nodes, {**nodes})
        try:
            for subject in subjects:
                consent, at = f"CONS-{subject}", datetime.now(UTC)
                request = PartialRequest(bank, subject, consent, Purpose.CREDIT_APPLICATION, at, version)
                grid = node.own_consent(consent).grid_id
                answer = conversations.score(request, models.approved(version, at), grid, explained=True)
                if answer is not None:
                    found.scores[subject] = answer.score
        finally:
            conversations.close()
            for each in nodes.values():
                each.close()
    for thief in (bank, other):
        _send_again(found, layout, thief)
    return found


def _send_again(found: Replayed, layout: Layout, thief: str) -> None:
    keys = NodeKeys(layout.of(thief))
    channels = {name: Channel(keys, name, layout.url(name)) for name, *_ in found.sent}
    for name, path, content in found.sent:
        try:
            channels[name].post(path, content)
        except FederatedError as error:
            found.refusals.add(error.code)
        else:
            found.answered_again += 1
    for each in channels.values():
        each.close()


class _Doubling:
    """A node elsewhere, as `HiddenGrid` and as `NodeDealer`: what a query says to it is sent twice at once."""

    def __init__(self, found: Replayed, keys: NodeKeys, name: str, url: str) -> None:
        self.name, self._found, self._channel = name, found, Channel(keys, name, url)
        self._pool = ThreadPoolExecutor(2)

    def begin(self, bank: str, count: int = 1) -> list[bytes]:
        """As `HiddenGrid.begin`; the asking bank is whom the connection is with."""
        del bank
        return [_bytes(each) for each in self._once("/begin", {"count": count})["nonces"]]

    def deal(self, version: str, bank: str, grid: str, queries: Sequence[bytes], *, explained: bool) -> list[Dealt]:
        """As `NodeDealer.deal`."""
        del bank
        asked = {"version": version, "grid": grid, "queries": list(queries), "explained": explained}
        return [Dealt(_bytes(each["grid"]), _bytes(each["bank"])) for each in self._once("/deal", asked)["dealt"]]

    def first(
        self,
        request: PartialRequest,
        nonce: bytes,
        bank_nonce: bytes,
        dealt: bytes,
        factors: bytes | None = None,
        operator: bytes | None = None,
        *,
        explained: bool = True,
    ) -> bytes | None:
        """As `HiddenGrid.first`."""
        del operator
        told = self._twice(
            "/first",
            {"query": request, "explained": explained, "nonce": nonce, "bank_nonce": bank_nonce, "dealt": dealt,
             "factors": factors},
        )["sealed"]  # fmt: skip
        return None if told is None else _bytes(told)

    def shuffled(self, nonce: bytes, told: bytes) -> bytes:
        """As `HiddenGrid.shuffled`."""
        return _bytes(self._twice("/shuffled", {"nonce": nonce, "sealed": told})["sealed"])

    def answered(self, nonce: bytes, asked: bytes) -> bytes:
        """As `HiddenGrid.answered`."""
        return _bytes(self._twice("/answered", {"nonce": nonce, "sealed": asked})["sealed"])

    def close(self) -> None:
        """Close connections."""
        self._pool.shutdown()
        self._channel.close()

    def _once(self, path: str, message: Mapping[str, Any]) -> Any:
        return json.loads(self._channel.post(path, json.dumps(message, default=_coded).encode()))

    def _twice(self, path: str, message: Mapping[str, Any]) -> Any:
        content = json.dumps(message, default=_coded).encode()
        self._found.sent.append((self.name, path, content))
        both = [self._pool.submit(self._channel.post, path, content) for _ in range(2)]
        refused = [error for each in both if (error := each.exception()) is not None]
        if len(refused) == len(both):
            raise refused[0]
        self._found.refusals |= {error.code for error in refused if isinstance(error, FederatedError)}
        answers = [each.result() for each in both if each.exception() is None]
        self._found.answered_again += len(answers) - 1
        return json.loads(answers[0])


@contextmanager
def _beside(layout: Layout, bank: str) -> Iterator[tuple[BankNode, ApprovedModels, str]]:
    """A bank's node in this process, by copies of what its home has."""
    with tempfile.TemporaryDirectory(prefix="tanxin-copy-") as folder:
        home = Path(folder)
        for each in ("nodes", "node-keys", "registry"):
            shutil.copytree(layout.of(bank) / each, home / each)
        registry = ModelRegistry(home)
        models = ApprovedModels(registry, Governance(home, registry))
        store = NodeStore(home / "nodes" / f"{bank}.db")
        try:
            yield BankNode(store, models=models), models, registry.manifests()[-1].version
        finally:
            store.close()


def _coded(value: object) -> object:
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).decode()
    if isinstance(value, PartialRequest):
        return asdict(value) | {"at": value.at.isoformat()}
    raise TypeError(f"{type(value).__name__} stands in no message")


def _bytes(told: str) -> bytes:
    return base64.urlsafe_b64decode(told)
