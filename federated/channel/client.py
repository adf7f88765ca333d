"""One other party, asked over HTTP on mutual TLS: its answers, and its refusals as what it raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from urllib3 import HTTPSConnectionPool, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import client_context
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable, error_codes

# To a peer: how long until a connection stands, and how many are kept.
CONNECT_S, CONNECTIONS = 2.0, 32


class Channel:
    """`name` is reached at `url`, by the keys pinned for it in `keys`; it may be silent for `read_s` seconds."""

    def __init__(self, keys: NodeKeys, name: str, url: str, read_s: float = 10.0) -> None:
        self.name = name
        self._party: Party | None = None
        where = parse_url(url)
        self._pool = HTTPSConnectionPool(
            where.host or "", where.port, ssl_context=client_context(keys, name, self._met), retries=False,
            timeout=Timeout(connect=CONNECT_S, read=read_s), maxsize=CONNECTIONS,
        )  # fmt: skip

    def _met(self, party: Party) -> None:
        self._party = party

    @property
    def party(self) -> Party:
        """Who answered last. Raises `NodeUnavailable` before anybody did."""
        if self._party is None:
            raise NodeUnavailable(f"{self.name} was not reached yet", node=self.name)
        return self._party

    def post(self, path: str, content: bytes, kind: str = "application/json") -> bytes:
        """What it answers. Raises what it raised, and `NodeUnavailable` where no answer came."""
        try:
            response = self._pool.urlopen("POST", path, body=content, headers={"content-type": kind}, redirect=False)
        except (HTTPError, OSError) as error:
            raise NodeUnavailable(f"{self.name} does not answer: {error}", node=self.name) from error
        if response.status != HTTPStatus.OK:
            raise told_refusal(self.name, response.data)
        return bytes(response.data)

    def close(self) -> None:
        """Close its connections."""
        self._pool.close()


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
