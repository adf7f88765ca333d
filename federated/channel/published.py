"""What a party publishes for everybody, signed: fetched from its address by whoever has the key to look at it with."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from pathlib import Path

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from federated.channel.client import CONNECT_S, READ_BYTES, TimelyAnswer
from federated.errors import ChannelRefused, NodeUnavailable

READ_S = 10.0


class _Plain(HTTPConnection):  # type: ignore[misc]  # urllib3 is not read by mypy here
    response_class = TimelyAnswer


class _Sealed(HTTPSConnection):  # type: ignore[misc]
    response_class = TimelyAnswer


def published(url: str, most: int, roots: Path | None = None) -> bytes:
    """The content at a URL, `most` bytes at the most; over TLS by the `roots` of a file, the system's without one.

    It has to be signed: over plain HTTP anybody may change it. Raises `NodeUnavailable` where there is none.
    """
    try:
        with _pool(url, roots) as pool:
            response = pool.urlopen("GET", parse_url(url).request_uri, preload_content=False, redirect=False)
            told = bytearray()
            while part := response.read1(READ_BYTES):
                told += part
                if len(told) > most:
                    raise NodeUnavailable(f"{url} has more than {most:,} bytes")
    except (HTTPError, OSError) as error:
        raise NodeUnavailable(f"{url} does not answer: {error}") from error
    if response.status != HTTPStatus.OK:
        raise NodeUnavailable(f"{url} answers {response.status}")
    return bytes(told)


def _pool(url: str, roots: Path | None) -> HTTPConnectionPool:
    where = parse_url(url)
    if where.scheme not in ("http", "https") or not where.host:
        raise ChannelRefused(f"{url} is no address of http or https")
    timeout = Timeout(connect=CONNECT_S, read=READ_S)
    if where.scheme == "http":
        plain = HTTPConnectionPool(where.host, where.port, timeout=timeout, retries=False)
        plain.ConnectionCls = _Plain
        return plain
    context = ssl.create_default_context(cafile=None if roots is None else str(roots))
    sealed = HTTPSConnectionPool(where.host, where.port, ssl_context=context, timeout=timeout, retries=False)
    sealed.ConnectionCls = _Sealed
    return sealed
