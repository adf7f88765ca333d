"""`tanxin node meter …`: a grid company's meters at its running node: entered, read, registered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from credit_api.cli.network import read, refusals
from federated.channel.own_socket import ask_own

meter_app = typer.Typer(no_args_is_help=True, help="A grid company's meters, at its running node.")
Served = Annotated[Path, typer.Option("--home", help="The home that the grid company's running node serves.")]
Meter = Annotated[str, typer.Option(help="The meter's id, as the project names it.")]


@meter_app.command("put")
def put(
    home: Served,
    meter: Meter,
    interval: Annotated[int, typer.Option(help="Minutes: a part of a day, 1440 a day, 43200 a calendar month.")],
    capacity_w: Annotated[int, typer.Option(help="Nameplate power behind the meter, in watts.")],
    public_key: Annotated[str, typer.Option(help="The meter's public key, as `tanxin readings key` printed it.")],
    kind: Annotated[Literal["pv", "load"], typer.Option(help="What it measures: generation, or consumption.")] = "pv",
) -> None:
    """Enter a meter; again, to give it another key or power from now on."""
    given = {"meter_id": meter, "interval_minutes": interval, "capacity_w": capacity_w, "kind": kind}
    with refusals():
        _print(ask_own(home, "/meters/put", given | {"public_key": public_key}))


@meter_app.command("load")
def load(
    home: Served,
    meter: Meter,
    file: Annotated[Path, typer.Argument(help="CSV: interval_start, generation_kwh, export_kwh and register_kwh.")],
    signature: Annotated[str, typer.Option(help="The meter's, as `tanxin readings sign` printed it.")],
    correction: Annotated[str, typer.Option(help="Why the readings correct earlier ones.")] = "",
) -> None:
    """Hand a meter's signed file to the node: all of it or nothing; the same file again changes nothing."""
    with refusals():
        given = {"meter_id": meter, "signature": signature, "correction": correction}
        try:
            text = read(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise typer.BadParameter(f"{file} is no text in UTF-8") from error
        _print(ask_own(home, "/meters/load", given | {"csv": text}))


@meter_app.command("list")
def listed(home: Served) -> None:
    """Every meter, and how much of it is read; JSON. Never a reading."""
    with refusals():
        _print(ask_own(home, "/meters/all")["meters"])


@meter_app.command("registration")
def registration(home: Served) -> None:
    """What registers the node's key with a registry (`POST /v1/signing-keys`): its statements are signed with it."""
    with refusals():
        _print(ask_own(home, "/meters/registration"))


def _print(told: Any) -> None:
    sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
