"""Homes of a local network's parties: an authority, keys and certificates, and a store with its party's own data."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party
from federated.channel.key_file import written
from federated.channel.node_keys import CERTIFICATE, REQUEST, NodeKeys
from federated.nodes.bank import BankNode
from federated.nodes.store import NodeStore
from simulations.local_network.layout import AUTHORITY, HOST, OPERATOR, Layout
from simulations.worlds.credit_nodes import CONSENT_YEARS, CreditTables, build_nodes, let_be_measured, standing_consents
from simulations.worlds.names import BANKS, EXCHANGE
from simulations.worlds.wallet import Wallet

CA, PASSPHRASE = "ca", "ca-passphrase"


def certify_all(layout: Layout, at: datetime) -> None:
    """An authority, and for each party a key of its own, certified, with its peers pinned. Safe to run again."""
    folder, word = layout.home / CA, layout.home / PASSPHRASE
    if not word.exists():
        written(word, secrets.token_hex(24).encode())
    passphrase = word.read_text("utf-8")
    made = (folder / "trust.pem").exists()
    authority = NetworkAuthority(folder) if made else NetworkAuthority.create(folder, "local", passphrase, at)
    kinds = {name: "bank" if name in BANKS else "grid" for name in layout.nodes}
    kinds |= {OPERATOR: "operator", EXCHANGE: "exchange", AUTHORITY: "authority"}
    keys = {name: NodeKeys(layout.of(name)) for name in kinds}
    for name, kind in kinds.items():
        if not (keys[name].folder / REQUEST).exists():
            NodeKeys.create(layout.of(name), Party(kind, name), sorted({HOST, layout.hosts.get(name, HOST)}))
        if not (keys[name].folder / CERTIFICATE).exists():
            request = (keys[name].folder / REQUEST).read_bytes()
            pem = authority.certify(request, passphrase, at).public_bytes(Encoding.PEM)
            keys[name].install(pem, authority.trust_pem, authority.revoked_pem, at)
    # Who attests keys is a member of nobody's: what it publishes is signed.
    members = {name: own for name, own in keys.items() if name != AUTHORITY}
    for name, own in members.items():
        for peer, other in members.items():
            if name != peer and peer not in own.pins():
                own.pin((other.folder / CERTIFICATE).read_bytes())


def hand_out(
    layout: Layout, tables: Callable[[], CreditTables], sets: int, at: datetime, *, least_rows: int | None
) -> None:
    """Each party's own data in its own store, with consents that a sandbox's wallet signed. Safe to run again.

    Banks are told to let so many `sets` of customers be opened. Raises `HomeOccupied`, `CorruptData`, `NotPermitted`.
    """
    if all(layout.store(name).exists() for name in layout.nodes):
        return
    draft, whole = layout.home / ".handing-out", tables()
    shutil.rmtree(draft, ignore_errors=True)
    wallet = Wallet.at(layout.of(AUTHORITY), whole.schema.data_origin, sandbox=True)
    consents = standing_consents(whole, wallet, at, at + timedelta(days=365 * CONSENT_YEARS))
    build_nodes(draft, whole, consents, wallet.authority)
    for name in layout.nodes:
        if name in BANKS:
            store = NodeStore(draft / "nodes" / f"{name}.db")
            let_be_measured(BankNode(store), whole, sets, least_rows)
            store.close()
        _moved(draft / "nodes" / f"{name}.db", layout.store(name))
    shutil.rmtree(draft)


def _moved(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    source.rename(target)
