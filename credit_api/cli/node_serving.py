"""`tanxin node serve|score|statement-key`: a node in a process of its own, and what a bank asks its own node."""

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
from federated.channel import key_file
from federated.consent.record import Purpose
from federated.errors import ChannelRefused, DataMissing, NotPermitted
from federated.nodes import statements
from federated.nodes.statements import as_document
from federated.nodes.store import NodeStore
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the signed statement alone: what a loan decision takes, no reasons.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the signed statement to this file (mode 0600).")] = None,
) -> None:
    """Score one customer of this bank, with the grid company that the consent names; prints JSON: the score, its
    reasons, and the statement that this node signed."""
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
    if not isinstance(found, NoFile):
        told["statement"] = as_document(found.statement)
        if out is not None:
            with refusals():
                key_file.written(out, json.dumps(told["statement"], indent=1).encode() + b"\n")
    elif as_json or out is not None:
        # Nobody states what is not known: to print the answer in its place would pass for a statement.
        with refusals():
            raise DataMissing(f"{found.subject_id} has no file here: there is nothing to state")
    shown = told["statement"] if as_json else told
    sys.stdout.write(json.dumps(shown, indent=1, ensure_ascii=False, default=str) + "\n")


def statement_key(
    store: Store,
    new: Annotated[
        bool, typer.Option("--new", help="Sign with a new key from now on; what the one before signed stays good.")
    ] = False,
) -> None:
    """Print the public half of the key that this bank's node signs statements with, as a JWK: what the bank registers
    at the exchange, with a machine for the work of statements."""
    with refusals():
        opened = NodeStore(store)
        try:
            if opened.role != "bank":
                raise NotPermitted(f"{opened.org_id} is no bank: it states no scores")
            public = statements.renew_key(opened) if new else statements.public_key(opened)
        finally:
            opened.close()
    sys.stdout.write(json.dumps(statements.jwk_of(public)) + "\n")


def urls_of(peers: list[str]) -> dict[str, str]:
    """Peers' URLs by name. Raises `ChannelRefused` for anything else."""
    found: dict[str, str] = {}
    for each in peers:
        name, _, url = each.partition("=")
        if not url.startswith("https://") or name in found:
            raise ChannelRefused(f"{each} is no NAME=https://HOST:PORT, or is given twice")
        found[name] = url
    return found


COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve,
    "score": score,
    "statement-key": statement_key,
}
