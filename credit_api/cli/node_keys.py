"""`tanxin node init|renew|install|trust|pin|unpin|certificate`: a node's own key and certificate, and whom it knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from credit_api.cli.network import read, refusals, say
from credit_api.cli.options import REFUSED
from federated.channel.authority import asked_for
from federated.channel.certificates import KINDS, Party
from federated.channel.node_keys import FOLDER, REQUEST, NodeKeys, Standing
from federated.channel.passphrase import PIN, TOKEN, make_secret

NodeHome = Annotated[Path, typer.Option(help="The node's home: its key and certificate lie under `tls`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Trust = Annotated[Path, typer.Option(help="The authority's `trust.pem`.")]
Revoked = Annotated[Path, typer.Option(help="The authority's `revoked.pem`.")]


def init(
    home: NodeHome,
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")],
    name: Annotated[str, typer.Option(help="The node's name in the network, such as bank-gusu.")],
    address: Annotated[
        list[str], typer.Option(help="Host name or IP address that others reach it at; may be given several times.")
    ],
) -> None:
    """Make a node's home and key, and a request for its certificate. The key never leaves the home."""
    with refusals():
        NodeKeys.create(home, Party(kind, name), address)
    _say_request(home)


def renew(
    home: NodeHome,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="With a new key, which is used once its certificate is installed.")
    ] = False,
) -> None:
    """Ask for the next certificate, of the same key or of a new one, which peers have to pin before."""
    with refusals():
        NodeKeys(home).renew(new_key=new_key)
    _say_request(home)


def install(
    home: NodeHome,
    certificate: Annotated[Path, typer.Option(help="What the authority made of the request.")],
    trust: Trust,
    revoked: Revoked,
) -> None:
    """Take a certificate, and whom the authority trusts and revoked."""
    at = datetime.now(UTC)
    with refusals():
        standing = NodeKeys(home).install(read(certificate), read(trust), read(revoked), at)
    _say_standing(standing)


def trust_anew(home: NodeHome, trust: Trust, revoked: Revoked) -> None:
    """Take what the authority trusts and revoked since: at least once a week."""
    with refusals():
        keys = NodeKeys(home)
        keys.take_trust(read(trust), read(revoked))
        standing = keys.standing(datetime.now(UTC))
    _say_standing(standing)


def pin(
    home: NodeHome, certificate: Annotated[Path, typer.Option(help="The peer's certificate, from its people.")]
) -> None:
    """Know a peer by the key of its certificate. No other key is taken for its name, whoever certifies it."""
    with refusals():
        party = NodeKeys(home).pin(read(certificate))
    say(f"{party.kind} {party.name} is known")


def unpin(home: NodeHome, name: Annotated[str, typer.Option(help="The peer.")]) -> None:
    """Know a peer no more."""
    with refusals():
        NodeKeys(home).unpin(name)
    say(f"{name} is not known any more")


def certificate(home: NodeHome, as_json: AsJson = False) -> None:
    """Whom the node's certificate names, until when it holds, and who is known. For a daily check: the exit code is 1
    if it ends soon, 2 if it has ended."""
    with refusals():
        keys = NodeKeys(home)
        standing, pins = keys.standing(datetime.now(UTC)), keys.pins()
    if as_json:
        told = asdict(standing) | {"peers": {name: sorted(of) for name, of in pins.items()}}
        sys.stdout.write(json.dumps(told, indent=1, default=str) + "\n")
    else:
        _say_standing(standing)
        for name, of in pins.items():
            say(f"known: {name} by {', '.join(of)}")
    if standing.ended:
        raise typer.Exit(REFUSED)
    if standing.ends_soon:
        raise typer.Exit(1)


def token_secret(
    uri: Annotated[str, typer.Option(envvar=TOKEN, help="pkcs11:token=…;object=…?module-path=… (RFC 7512).")],
    pin: Annotated[str, typer.Option(envvar=PIN, prompt=True, hide_input=True, help="The token's PIN.")],
) -> None:
    """Have a token (PKCS #11) make the secret that seals a party's keys from then on, and never shows."""
    with refusals():
        make_secret(uri, pin)
    say(f"the token has the secret: start the party with {TOKEN} and {PIN}")


COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "renew": renew,
    "install": install,
    "trust": trust_anew,
    "pin": pin,
    "unpin": unpin,
    "certificate": certificate,
    "token-secret": token_secret,
}


def _say_request(home: Path) -> None:
    path = home / FOLDER / REQUEST
    with refusals():
        party, addresses, key = asked_for(read(path))
    say(f"{party.kind} {party.name} at {', '.join(addresses)}: have {path} certified")
    say(f"tell the authority's people the key: {key}")


def _say_standing(standing: Standing) -> None:
    party = standing.party
    until = f"until {standing.until:%Y-%m-%d %H:%M} UTC, list of revoked until {standing.list_until:%Y-%m-%d %H:%M} UTC"
    say(f"{party.kind} {party.name} at {', '.join(standing.addresses)}, key {standing.pin}: {until}")
    if standing.ended or standing.ends_soon:
        why = "is over, and nobody talks to this node" if standing.ended else "ends soon"
        say(f"its certificate, or its list of revoked certificates, {why}", style="yellow", err=True)
