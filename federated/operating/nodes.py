"""Nodes as their operator reaches them: over mutual TLS, each by the keys that are pinned for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from federated.channel.client import Channel
from federated.channel.node_keys import NodeKeys
from federated.errors import ChannelRefused

# A node answers when it has computed: with tens of thousands of customers one message takes many seconds.
COMPUTES_S = 900.0
# Of one answer, in bytes.
MOST = 1 << 28


class NodeSeat:
    """A node's seat in a run (`engines.channel.Seat`), and its register."""

    def __init__(self, channel: Channel) -> None:
        self.name, self._channel = channel.name, channel
        self.bytes = 0

    def begin(self, run: bytes) -> None:
        """See `engines.seat.RunSeat.begin`."""
        self._post_json("/run", {"run": run})

    def answer(self, run: bytes, number: int, message: bytes) -> bytes:
        """See `engines.seat.RunSeat.answer`."""
        told = self._channel.post(f"/run/{run.hex()}/{number}", message, "application/octet-stream", MOST)
        self.bytes += len(message) + len(told)
        return told

    def hand_over(self, manifest: bytes, weights: bytes) -> None:
        """Give it a version for its register. Raises `NotPermitted`, `ModelExists`, `ModelCorrupt`."""
        self._post_json("/version", {"manifest": manifest, "weights": weights})

    def close(self) -> None:
        """Close its connections."""
        self._channel.close()

    def _post_json(self, path: str, told: Mapping[str, bytes]) -> None:
        coded = {name: base64.urlsafe_b64encode(each).decode() for name, each in told.items()}
        self._channel.post(path, json.dumps(coded).encode())


def operator_of(home: Path, at: datetime) -> tuple[NodeKeys, str]:
    """An operator's keys and name. Raises `ChannelRefused` for the home of another party, or without a certificate."""
    keys = NodeKeys(home)
    party = keys.standing(at).party
    if party.kind != "operator":
        raise ChannelRefused(f"{party.name} is a {party.kind}: an operator trains")
    return keys, party.name


def seats_of(keys: NodeKeys, urls: Mapping[str, str]) -> dict[str, NodeSeat]:
    """Seats at these URLs, by name."""
    return {name: NodeSeat(Channel(keys, name, url, COMPUTES_S)) for name, url in sorted(urls.items())}
