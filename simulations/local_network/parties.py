"""Which parties a local network has: what each is, what it holds, what it never sees."""

from __future__ import annotations

from dataclasses import dataclass

from simulations.local_network.flower import supernode
from simulations.local_network.layout import AUTHORITY, OPERATOR, SUPERLINK, Layout
from simulations.worlds.names import BANKS, EXCHANGE

CERTIFIES = "certificate-authority"


@dataclass(frozen=True, slots=True)
class Role:
    """What all parties of a kind are alike in; `without` says why there is no process of it."""

    kind: str
    runs: str
    holds: str
    never_sees: str
    without: str = "it does not run"


BANK = Role(
    "bank",
    "tanxin node serve",
    "its customers, their columns and outcomes, consents, log of uses, privacy ledger, its keys",
    "another party's rows and keys, a grid company's function, values behind its reasons",
)
GRID = Role(
    "grid company",
    "tanxin node serve",
    "meters' readings, columns of electricity, consents that name it, masked weights, its keys",
    "outcomes, scores, another party's rows and keys",
)
OPERATES = Role(
    "operator",
    "tanxin operator train, or a SuperLink and its ServerApp",
    "plans, sealed messages, sums, the register of versions",
    "rows, shares, reasons, scores",
    "it runs while it trains",
)
LINK = Role(
    "SuperLink of the operator",
    "flower-superlink",
    "SuperNodes' public keys, that a run begins",
    "rows, sums, messages of training",
)
SUPERNODE = Role("SuperNode", "flower-supernode", "its key to the SuperLink", "rows, the keys of the node beside it")
EXCHANGES = Role(
    "exchange and registry",
    "tanxin serve",
    "the books, others' public keys, signed statements and totals, versions",
    "anybody's private key or node store, readings, reasons of a score",
)
ATTESTS = Role(
    "identity authority",
    "tanxin identity serve",
    "its key, on what it attested subjects' keys, which it ended; here also a sandbox's wallet, which signs for all",
    "consents, scores, who is asked about",
)
CERTIFICATES = Role(
    "certificate authority",
    "tanxin network ca",
    "its key, under a passphrase",
    "nodes' private keys",
    "off-line: it runs while it certifies",
)


def roles(layout: Layout) -> dict[str, Role]:
    """All parties of a network by name, those with a process of their own first."""
    flower = {SUPERLINK: LINK} | {supernode(node): SUPERNODE for node in layout.nodes}
    return {
        **{name: BANK if name in BANKS else GRID for name in layout.nodes},
        AUTHORITY: ATTESTS,
        EXCHANGE: EXCHANGES,
        OPERATOR: OPERATES,
        **(flower if (layout.of(OPERATOR) / SUPERLINK).exists() else {}),
        CERTIFIES: CERTIFICATES,
    }
