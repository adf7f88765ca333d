"""`tanxin node serve|score|statement-key`: a node in a process of its own, and what a bank asks its own node."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from credit_api.cli.network import read, refusals, say
from federated.channel import key_file
from federated.channel.client import urls_of
from federated.channel.node_keys import NodeKeys
from federated.channel.own_socket import SOCKET, ask_own, listening
from federated.consent.record import Purpose
from federated.errors import ChannelRefused, DataMissing

NodeHome = Annotated[
    Path, typer.Option(help="The node's home: its key and certificate, and a copy of the network's `registry`.")
]
Store = Annotated[Path, typer.Option(help="The node's store, such as <home>/nodes/bank-gusu.db.")]
PeerUrls = Annotated[
    list[str], typer.Option("--peer", help="NAME=URL of another node, such as grid-sip=https://10.0.0.2:8443.")
]


Served = Annotated[Path, typer.Option("--home", help="The home that a running node serves.")]


def serve(
    home: NodeHome,
    store: Store,
    peer: PeerUrls,
    host: Annotated[str, typer.Option(help="Address to serve on: one that the certificate has.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8443,
    supernode: Annotated[str, typer.Option(help="HOST:PORT of this node's own SuperNode, if it has one.")] = "",
    supernode_secret: Annotated[
        Path | None, typer.Option(help="The file given to it as --superexec-auth-secret-file.")
    ] = None,
    identity: Annotated[
        str, typer.Option(help="URL of the identity authority, which publishes there which subjects' keys it ended.")
    ] = "",
) -> None:
    """Answer other nodes over mutual TLS: queries and consents at a grid company, and deal to pairs of others."""
    from credit_api.app.settings import Limits  # noqa: PLC0415 (as below)
    from credit_api.nodes.desk import Desk  # noqa: PLC0415 (what serves takes a second to load)
    from credit_api.nodes.local import local_server  # noqa: PLC0415 (as above)

    with refusals():
        secret = _secret_of(supernode, supernode_secret)
        desk = Desk.open(home, store, urls_of(peer), identity=identity)
        network = desk.network() if desk.node.role == "bank" else None
        own, server, local = listening(home), desk.server(host, port, Limits()), local_server(desk, network)
    stopped = threading.Event()
    beside = [
        threading.Thread(target=desk.rounds, args=(stopped, say), daemon=True),
        threading.Thread(target=local.run, args=([own],), daemon=True),
    ]
    if secret:
        beside.append(threading.Thread(target=desk.attend, args=(supernode, secret, stopped, say), daemon=True))
    for thread in beside:
        thread.start()
    say(f"{desk.node.org_id} answers at https://{host}:{port}")
    try:
        server.run()
    finally:
        stopped.set()
        local.should_exit = True
        for thread in beside:
            thread.join(5)
        if network is not None:
            # What was answered is in the log of scores before the process ends.
            network.close()
        desk.close()
        own.close()
        (home / SOCKET).unlink(missing_ok=True)


def _secret_of(supernode: str, path: Path | None) -> bytes:
    """What a SuperNode's tasks are taken with. Raises `ChannelRefused` for one without, or without a SuperNode."""
    if bool(supernode) != (path is not None):
        raise ChannelRefused("--supernode and --supernode-secret belong together")
    return b"" if path is None else read(path)


def score(
    home: Served,
    subject: Annotated[str, typer.Option(help="The customer.")],
    consent: Annotated[str, typer.Option(help="The consent's id.")],
    purpose: Annotated[Purpose, typer.Option(help="What the score is for.")] = Purpose.CREDIT_APPLICATION,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the signed statement alone: what a loan decision takes, no reasons.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the signed statement to this file (mode 0600).")] = None,
) -> None:
    """Have the bank's own node score one of its customers, with the grid company that the consent names; prints JSON:
    the score, its reasons, and the statement that the node signed."""
    with refusals():
        told = ask_own(home, "/score", {"subject": subject, "consent": consent, "purpose": purpose})
        if told["no_file"] and (as_json or out is not None):
            # Nobody states what is not known: to print the answer in its place would pass for a statement.
            raise DataMissing(f"{subject} has no file here: there is nothing to state")
        if out is not None:
            key_file.written(out, json.dumps(told["statement"], indent=1).encode() + b"\n")
    _print(told["statement"] if as_json else told)


def statement_key(
    home: Served,
    new: Annotated[
        bool, typer.Option("--new", help="Sign with a new key from now on; what the one before signed stays good.")
    ] = False,
) -> None:
    """Print the public half of the key that the bank's own node signs statements with, as a JWK: what the bank
    registers at the exchange, with a machine for the work of statements."""
    with refusals():
        told = ask_own(home, "/statement-key", {"new": new})
    sys.stdout.write(json.dumps(told) + "\n")


def decide(
    home: Served,
    act: Annotated[
        Literal["approve", "reject", "appoint", "retire", "roll_back"], typer.Argument(help="What is decided.")
    ],
    version: Annotated[str, typer.Argument(help="Such as v0001.")],
    note: Annotated[str, typer.Option(help="Why; it stays on record at every node.")],
) -> None:
    """Have the bank's own node decide about a version, in its own register, and tell the other nodes."""
    with refusals():
        told = ask_own(home, "/decide", {"version": version, "act": act, "note": note})
    role = f" {told['role']}" if told["role"] else ""
    say(f"event {told['number']}: {told['version']} {told['kind']}{role} by {told['by']}")
    for name, why in told["not_told"].items():
        say(f"{name} was not told, and asks for it once it is back: {why}", style="yellow", err=True)


def decisions(
    home: NodeHome,
    register: Annotated[
        Path | None, typer.Option(help="Where its `registry` lies: the home, or an exchange's `network`.")
    ] = None,
) -> None:
    """Print decisions about versions in a party's own register, each with whether its bank's signature proves it; JSON.

    Nothing is asked of anybody: the network's roots are enough. Ends with 1 where a signature proves another thing.
    """
    from credit_api.nodes.proof import CERTIFICATE, SIGNATURE, proven  # noqa: PLC0415 (as above)
    from federated.governance.lifecycle import Kind  # noqa: PLC0415 (as above)
    from federated.governance.model_registry import ModelRegistry  # noqa: PLC0415 (as above)
    from federated.governance.versions import Governance  # noqa: PLC0415 (as above)

    found = []
    with refusals():
        roots = NodeKeys(home).roots()
        governance = Governance(register or home, ModelRegistry(register or home))
        for event in governance.lifecycle().events:
            if event.kind is Kind.REGISTERED:
                continue
            named = event.details.get("left", event.version)
            proof = proven(event, governance.manifest_sha256(named), roots)
            what = {"number": event.number, "version": event.version, "kind": event.kind, "by": event.by}
            signature = {name: event.details.get(name) for name in (CERTIFICATE, SIGNATURE)}
            found.append(what | {"at": event.at.isoformat(), "note": event.note, "proven": proof} | signature)
    _print(found)
    if any(each["proven"] is False for each in found):
        raise typer.Exit(1)


def standing(home: Served) -> None:
    """How the node that serves this home stands: peers, versions, certificate; JSON."""
    with refusals():
        told = ask_own(home, "/standing")
    _print(told)


def _print(told: object) -> None:
    sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve,
    "decisions": decisions,
    "score": score,
    "decide": decide,
    "standing": standing,
    "statement-key": statement_key,
}
