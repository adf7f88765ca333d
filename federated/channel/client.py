"""One other party, asked over HTTP on mutual TLS: its answers, and its refusals as what it raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import client_context, peer_of
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable, error_codes

CONNECT_S = 2.0


class Channel:
    """`name` is reached at `url`, by the keys pinned for it in `keys`; it may be silent for `read_s` seconds."""

    def __init__(self, keys: NodeKeys, name: str, url: str, read_s: float = 10.0) -> None:
        self.name, self._keys = name, keys
        timeout = httpx.Timeout(read_s, connect=CONNECT_S)
        self._client = httpx.Client(base_url=url, verify=client_context(keys, name), timeout=timeout, trust_env=False)

    def post(self, path: str, content: bytes, kind: str = "application/json") -> tuple[bytes, Party]:
        """What it answers, and who that is. Raises what it raised, and `NodeUnavailable` where no answer came."""
        try:
            response = self._client.post(path, content=content, headers={"content-type": kind})
            party = peer_of(response.extensions["network_stream"].get_extra_info("ssl_object"), self._keys.pins())
        except httpx.HTTPError as error:
            raise NodeUnavailable(f"{self.name} does not answer: {error}", node=self.name) from error
        if not response.is_success:
            raise told_refusal(self.name, response.content)
        return response.content, party

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def told_refusal(name: str, content: bytes) -> FederatedError:
    """What a party refused with, as it raised it; `NodeUnavailable` for what is no refusal."""
    try:
        told: Mapping[str, Any] = json.loads(content)
        kind, detail = error_codes()[told["code"]], str(told["detail"])
        return kind(detail, **{str(k): v for k, v in dict(told["context"]).items() if k != "detail"})
    except (ValueError, KeyError, TypeError):
        return NodeUnavailable(f"{name} does not answer as nodes do", node=name)


def urls_of(given: Sequence[str]) -> dict[str, str]:
    """URLs of parties by name. Raises `ChannelRefused` for anything else."""
    found: dict[str, str] = {}
    for each in given:
        name, _, url = each.partition("=")
        if not url.startswith("https://") or name in found:
            raise ChannelRefused(f"{each} is no NAME=https://HOST:PORT, or is given twice")
        found[name] = url
    return found
