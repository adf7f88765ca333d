"""`tanxin node serve|score`: a node in a process of its own, and a bank's own question to its own node."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from credit_api.app.settings import Limits
from credit_api.cli.network import refusals, say
from federated.consent.record import Purpose
from federated.errors import ChannelRefused
from federated.serving.queries import NoFile, ScoreQuery

NodeHome = Annotated[
    Path, typer.Option(help="The node's home: its key and certificate, and a copy of the network's `registry`.")
]
Store = Annotated[Path, typer.Option(help="The node's store, such as <home>/nodes/bank-gusu.db.")]
PeerUrls = Annotated[
    list[str], typer.Option("--peer", help="NAME=URL of another node, such as grid-sip=https://10.0.0.2:8443.")
]


def serve(
    home: NodeHome,
    store: Store,
    peer: PeerUrls,
    host: Annotated[str, typer.Option(help="Address to serve on: one that the certificate has.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8443,
) -> None:
    """Answer other nodes over mutual TLS: queries and consents at a grid company, and deal to pairs of others."""
    from credit_api.nodes.desk import Desk  # noqa: PLC0415 (what serves takes a second to load)

    with refusals():
        desk = Desk.open(home, store, urls_of(peer))
        server = desk.server(host, port, Limits())
    stopped = threading.Event()
    meeting = threading.Thread(target=desk.meet, args=(stopped, say), daemon=True)
    meeting.start()
    say(f"{desk.node.org_id} answers at https://{host}:{port}")
    try:
        server.run()
    finally:
        stopped.set()
        meeting.join(5)
        desk.close()


def score(
    home: NodeHome,
    store: Store,
    peer: PeerUrls,
    subject: Annotated[str, typer.Option(help="The customer.")],
    consent: Annotated[str, typer.Option(help="The consent's id.")],
    purpose: Annotated[Purpose, typer.Option(help="What the score is for.")] = Purpose.CREDIT_APPLICATION,
) -> None:
    """Score one customer of this bank, with the grid company that the consent names; prints JSON."""
    from credit_api.nodes.desk import Desk  # noqa: PLC0415 (as above)

    with refusals():
        desk = Desk.open(home, store, urls_of(peer))
        try:
            network = desk.network()
            try:
                asked = ScoreQuery(desk.node.org_id, subject, consent, purpose, datetime.now(UTC))
                found = network.score(asked)
            finally:
                # What was answered is in the log of scores before the process ends.
                network.close()
        finally:
            desk.close()
    told = {"no_file": isinstance(found, NoFile)} | asdict(found)
    sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n")


def urls_of(peers: list[str]) -> dict[str, str]:
    """Peers' URLs by name. Raises `ChannelRefused` for anything else."""
    found: dict[str, str] = {}
    for each in peers:
        name, _, url = each.partition("=")
        if not url.startswith("https://") or name in found:
            raise ChannelRefused(f"{each} is no NAME=https://HOST:PORT, or is given twice")
        found[name] = url
    return found


COMMANDS: dict[str, Callable[..., None]] = {"serve": serve, "score": score}
