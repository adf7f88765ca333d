"""Which pages an organisation of each kind works with."""

from __future__ import annotations

from dataclasses import dataclass

HOLDERS = ("developer", "buyer", "bank")
KINDS = ("bank", "developer", "buyer", "verifier", "registry", "exchange", "grid")


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the console: its address, the key of its name, and who works with it."""

    path: str
    key: str
    kinds: tuple[str, ...]


LINKS = (
    Link("/console/scores", "nav.scores", ("bank",)),
    Link("/console/desk", "nav.desk", ("bank",)),
    Link("/console/assets", "nav.assets", HOLDERS),
    Link("/console/metering", "nav.metering", ("grid",)),
    Link("/console/verification", "nav.verification", ("verifier",)),
    Link("/console/registry", "nav.registry", ("registry",)),
    Link("/console/market", "nav.market", KINDS),
    Link("/console/models", "nav.models", ("bank", "grid", "registry")),
    Link("/console/ledger", "nav.ledger", KINDS),
)
START = {
    "bank": "/console/desk",
    "developer": "/console/assets",
    "buyer": "/console/assets",
    "verifier": "/console/verification",
    "registry": "/console/registry",
    "exchange": "/console/market",
    "grid": "/console/metering",
}


def links_for(kind: str) -> tuple[Link, ...]:
    return tuple(link for link in LINKS if kind in link.kinds)
