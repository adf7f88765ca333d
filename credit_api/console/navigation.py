"""Which pages an organisation of each kind works with."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.authority import HOLDERS

KINDS = ("bank", "developer", "buyer", "verifier", "registry", "exchange", "grid", "regulator")


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the console: address, key of its name, who works with it, and what lies `below` it."""

    path: str
    key: str
    kinds: tuple[str, ...]
    below: tuple[str, ...] = ()

    def leads_to(self, path: str) -> bool:
        """Whether `path` is this page or one that is reached from it."""
        return path.startswith((self.path, *self.below))


LINKS = (
    Link("/console/scores", "nav.scores", ("bank",), ("/console/inquiries",)),
    Link("/console/desk", "nav.desk", ("bank",), ("/console/loans", "/console/decisions")),
    Link("/console/business-days", "nav.days", ("bank",)),
    Link("/console/products", "nav.products", ("bank",)),
    Link("/console/assets", "nav.assets", ("bank",)),
    Link(
        "/console/assets",
        "nav.assets",
        ("developer", "buyer"),
        (
            "/console/loans",
            "/console/decisions",
            "/console/projects",
            "/console/claims",
            "/console/register",
        ),
    ),
    Link("/console/record", "nav.record", ("developer", "buyer")),
    Link("/console/metering", "nav.metering", ("grid",)),
    Link("/console/verification", "nav.verification", ("verifier",), ("/console/claims", "/console/projects")),
    Link("/console/registry", "nav.registry", ("registry",), ("/console/claims", "/console/projects")),
    Link("/console/market", "nav.market", KINDS),
    Link("/console/book", "nav.book", KINDS),
    Link("/console/trade", "nav.trade", KINDS),
    Link("/console/neutrality", "nav.neutrality", (*HOLDERS, "verifier", "registry")),
    Link("/console/models", "nav.models", ("bank", "grid", "registry", "regulator")),
    Link("/console/privacy", "nav.privacy", ("bank", "grid", "registry", "regulator")),
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
    "regulator": "/console/ledger",
}


def links_for(kind: str) -> tuple[Link, ...]:
    return tuple(link for link in LINKS if kind in link.kinds)
