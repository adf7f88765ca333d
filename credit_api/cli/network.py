"""`tanxin network ca …`: the certificate authority of a network, in a folder of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives import serialization
from rich.console import Console

from credit_api.cli.options import REFUSED
from federated.channel.authority import NODE_LIFE, REASONS, Issued, NetworkAuthority, asked_for
from federated.channel.certificates import pin_of
from federated.errors import ChannelRefused, FederatedError

network_app = typer.Typer(no_args_is_help=True, help="A network of banks, grid companies and who runs it.")
ca_app = typer.Typer(no_args_is_help=True, help="The network's certificate authority: it sees no node's private key.")
network_app.add_typer(ca_app, name="ca")

Folder = Annotated[Path, typer.Option(help="The authority's folder: with the passphrase it is the authority.")]
Passphrase = Annotated[
    str,
    typer.Option(
        envvar="TANXIN_AUTHORITY_PASSPHRASE", prompt=True, hide_input=True, help="What seals the authority's keys."
    ),
]


@ca_app.command("init")
def init(
    folder: Folder,
    network: Annotated[str, typer.Option(help="The network's name, which certificates say.")],
    passphrase: Annotated[
        str,
        typer.Option(
            envvar="TANXIN_AUTHORITY_PASSPHRASE", prompt=True, confirmation_prompt=True, hide_input=True,
            help="What seals the authority's keys: at least 12 letters.",
        ),
    ],
) -> None:  # fmt: skip
    """Begin a network: a key and a root, which nodes trust from then on."""
    with refusals():
        made = NetworkAuthority.create(folder, network, passphrase, datetime.now(UTC))
    (root,) = made.roots
    say(f"{network}: trusted until {root.not_valid_after_utc:%Y-%m-%d}, root {pin_of(root.public_key())}")
    say(f"give nodes {folder / 'trust.pem'} and {folder / 'revoked.pem'}")


@ca_app.command("certify")
def certify(
    folder: Folder,
    request: Annotated[Path, typer.Option(help="A node's `tls/request.pem`.")],
    out: Annotated[Path, typer.Option(help="Where to write the certificate.")],
    passphrase: Passphrase,
    pin: Annotated[
        str, typer.Option(help="The key that the node's people say is theirs, as `tanxin node init` printed it.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=90, help="How long it holds.")] = NODE_LIFE.days,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="The name is certified for another key now, and this is meant.")
    ] = False,
) -> None:
    """Certify a node's key, once somebody has compared it with what the node's people say: by --pin, or when asked."""
    with refusals():
        authority, pem = NetworkAuthority(folder), read(request)
        party, addresses, asked = asked_for(pem)
        where = ", ".join(addresses) or "no address"
        if pin and pin.lower() != asked:
            raise ChannelRefused(f"{request.name} is of the key {asked}, not of {pin.lower()}")
        if not pin:
            typer.confirm(f"Certify {party.kind} {party.name} at {where} for the key {asked}?", abort=True)
        made = authority.certify(pem, passphrase, datetime.now(UTC), timedelta(days=days), new_key=new_key)
        out.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    say(f"{party.kind} {party.name} at {where} until {made.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: {out}")


@ca_app.command("revoke")
def revoke(
    folder: Folder,
    name: Annotated[str, typer.Option(help="Whose certificates, all that hold.")],
    passphrase: Passphrase,
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(REASONS)}.")] = REASONS[0],
) -> None:
    """Revoke a node's certificates. Nodes refuse it once they have the new `revoked.pem`."""
    with refusals():
        ended = NetworkAuthority(folder).revoke(name, reason, passphrase, datetime.now(UTC))
    say(f"{name}: {len(ended)} revoked; give nodes {folder / 'revoked.pem'}")


@ca_app.command("lists")
def lists(folder: Folder, passphrase: Passphrase) -> None:
    """Sign the lists of revoked certificates anew: a node whose list is a week old refuses everybody."""
    with refusals():
        NetworkAuthority(folder).list_anew(passphrase, datetime.now(UTC))
    say(f"give nodes {folder / 'revoked.pem'}")


@ca_app.command("follow")
def follow(folder: Folder, passphrase: Passphrase) -> None:
    """Be followed by an authority with a new key. Who takes the new `trust.pem` trusts both, until this one ends."""
    with refusals():
        root = NetworkAuthority(folder).follow(passphrase, datetime.now(UTC))
    say(f"root {pin_of(root.public_key())}; give nodes {folder / 'trust.pem'} and {folder / 'revoked.pem'}")


@ca_app.command("show")
def show(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list on stdout and nothing else.")] = False,
) -> None:
    """All certificates, and until when they hold. The exit code is 1 if one of them, or the lists, ends within a third
    of its life, and the node has no later one."""
    at = datetime.now(UTC)
    with refusals():
        authority = NetworkAuthority(folder)
        every, ending = authority.issued(), authority.ending(at)
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in every], indent=1, ensure_ascii=False) + "\n")
    else:
        for each in every:
            say(_line(each, at))
    for line in ending:
        say(line, style="yellow", err=True)
    if ending:
        raise typer.Exit(1)


def _line(each: Issued, at: datetime) -> str:
    standing = f"revoked {each.revoked}: {each.reason}" if each.revoked else f"until {each.until}"
    over = "" if each.holds(at) or each.revoked else " (over)"
    return f"{each.kind} {each.name} at {', '.join(each.addresses) or '-'}: {standing}{over}, key {each.pin[:16]}…"


@contextmanager
def refusals() -> Iterator[None]:
    """Say what was refused, and end."""
    try:
        yield
    except FederatedError as error:
        say(f"error {error.code}: {error.detail}", style="red", err=True)
        raise typer.Exit(REFUSED) from error


def read(path: Path) -> bytes:
    """A file. Raises `ChannelRefused` for one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ChannelRefused(f"{path} cannot be read: {error.strerror}") from error


def say(line: str, style: str = "", *, err: bool = False) -> None:
    """A line for people."""
    Console(stderr=err, soft_wrap=True, highlight=False, markup=False).print(line, style=style)
