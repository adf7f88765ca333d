"""Canonical bytes of what is signed: each part with its length before it, so no two different things have the same."""

from __future__ import annotations

from datetime import datetime

from federated.consent.instants import to_micros


def framed(*parts: bytes) -> bytes:
    """The parts, each after its length (4 bytes, big-endian). The first is a domain with its version, by convention."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def instant_bytes(at: datetime) -> bytes:
    """Whole microseconds since 1970 (8 bytes, big-endian, signed). Raises `InvalidTime` for a naive datetime."""
    return to_micros(at).to_bytes(8, "big", signed=True)
