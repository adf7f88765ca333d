"""`tanxin node consent|withdraw|revoked-keys`: consents of a running bank's node, and the authority's list by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from credit_api.cli.network import refusals, say
from federated.channel.own_socket import OwnNode, ask_own
from federated.errors import CorruptData, DataMissing

Served = Annotated[Path, typer.Option("--home", help="The home that a running node serves.")]
Given = Annotated[Path, typer.Argument(help="What the subject signed, JSON; - for stdin.")]


def consent(home: Served, file: Given) -> None:
    """Have the bank's own node record a consent that its subject signed, here and at the grid company it names."""
    with refusals():
        told = ask_own(home, "/consents/record", _read(file))
    say(f"{told['consent_id']} of {told['subject_id']} is recorded, until {told['valid_until']}")


def withdraw(home: Served, file: Given) -> None:
    """Have the bank's own node withdraw a consent everywhere: {"consent_id": …} on the bank's word, with "signature" on
    the subject's."""
    with refusals():
        told = ask_own(home, "/consents/withdraw", _read(file))
    say(f"{told['consent_id']} is withdrawn since {told['withdrawn_at']}, by {told['withdrawn_by']}")


def revoked_keys(home: Served, file: Annotated[Path, typer.Argument(help="The identity authority's list.")]) -> None:
    """Hand a node the identity authority's list of ended keys, where it does not fetch it itself."""
    with refusals():
        told = OwnNode(home).send("/revoked-keys", file)
    say(f"list {told['number']}: {told['keys']} keys ended; it holds until {told['next_at']}")


def _read(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except FileNotFoundError:
        raise DataMissing(f"{file} does not exist") from None
    except (OSError, ValueError) as error:
        raise CorruptData(f"{file} is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise CorruptData(f"{file} holds no JSON object")
    return told


COMMANDS = {"consent": consent, "withdraw": withdraw, "revoked-keys": revoked_keys}
