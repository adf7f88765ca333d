"""`tanxin readings …`: make a meter's key, sign its files, and load them into its grid company's node."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from credit_api.app.settings import Settings
from credit_api.app.wiring import Parts, assemble
from credit_api.cli.options import REFUSED, Database, Home
from financing.base.context import Actor, Context
from financing.base.errors import CorruptData, FinancingError
from financing.base.signing import message_of, sign_with
from financing.lending.unit import UnitOfWork
from financing.registry.metering.commands import KEY_DOMAIN, load_readings, meter_key_document
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch

readings_app = typer.Typer(no_args_is_help=True, help="Sign meter readings and load them into a grid node.")
ROWS = 100_000
Meter = Annotated[str, typer.Option(help="The meter that read the file.")]
Interval = Annotated[int, typer.Option(help="Minutes: a part of a day, 1440 a day, 43200 a calendar month.")]
Key = Annotated[Path, typer.Option(help="The meter's private key, as `tanxin readings key` made it.")]
Correction = Annotated[str, typer.Option(help="Why the readings correct earlier ones.")]


@readings_app.command("key")
def make_key(path: Annotated[Path, typer.Argument(help="Where the private key goes; nothing is overwritten.")]) -> None:
    """Make a meter's key; prints the public key that the project registers."""
    key = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _refuse("already_exists", f"{path} is there already")
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes_raw())
    sys.stdout.write(key.public_key().public_bytes_raw().hex() + "\n")


@readings_app.command("proof")
def prove(meter: Meter, key: Key) -> None:
    """Print what lets a meter sign with this key on; `POST /v1/meters/{meter_id}/key` takes it with a reason."""
    try:
        private = _key(key)
    except FinancingError as error:
        _refuse(error.code, error.detail)
    public = private.public_key().public_bytes_raw().hex()
    proof = private.sign(message_of(KEY_DOMAIN, meter_key_document(meter, public))).hex()
    sys.stdout.write(json.dumps({"public_key": public, "proof": proof}) + "\n")


@readings_app.command("sign")
def sign(file: Path, meter: Meter, interval: Interval, key: Key, correction: Correction = "") -> None:
    """Sign a CSV file as its meter; prints what goes into `X-Meter-Signature`, beside the commitment."""
    try:
        batch = parse_readings(_bytes(file), meter, interval)
        signed = sign_with(_key(key), meter, message_of(SIGNING_DOMAIN, batch.signed_document(correction)))
    except FinancingError as error:
        _refuse(error.code, error.detail)
    document = {"commitment": batch.commitment(), "public_key": signed.public_key, "signature": signed.signature}
    sys.stdout.write(json.dumps(document) + "\n")


@readings_app.command("load")
def load(
    file: Path,
    meter: Meter,
    key: Annotated[Path | None, typer.Option(help="The meter's key; without it a sandbox's key signs.")] = None,
    correction: Correction = "",
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The home is a sandbox's: it keeps keys.")] = False,
    home: Home = Path("var"),
    database_url: Database = "",
) -> None:
    """Load a CSV file of any length, 100,000 readings a batch, each signed; a batch that is there is left as it is."""
    if not database_url and not (home / "tanxin.db").exists():
        _refuse("not_found", f"no books at {home / 'tanxin.db'}: is --home right?")
    parts = assemble(Settings(home=home, database_url=database_url, sandbox=sandbox))
    try:
        private = _key(key) if key is not None else None
        stored, known = _load(parts, file, meter, private, correction)
    except FinancingError as error:
        _refuse(error.code, error.detail)
    finally:
        parts.close()
    sys.stdout.write(json.dumps({"meter_id": meter, "stored": stored, "already_there": known}) + "\n")


def _load(parts: Parts, file: Path, meter_id: str, key: Ed25519PrivateKey | None, correction: str) -> tuple[int, int]:
    with parts.reading() as connection:
        meter = UnitOfWork(connection).projects.meter(meter_id)
    context = Context(
        Actor(meter.measured_by, "grid"), parts.clock(), parts.new_id, parts.parameters, parts.signer, parts.nodes
    )
    stored = known = 0
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size if file.exists() else None)
        for content, size in _chunks(file):
            batch = parse_readings(content, meter_id, meter.interval_minutes)
            with parts.reading() as connection:
                signature = _signature(batch, key, correction)
                receipt = load_readings(UnitOfWork(connection), context, batch, signature, correction)
            stored, known = (stored, known + len(batch)) if receipt.deduplicated else (stored + len(batch), known)
            progress.update(task, advance=size)
    return stored, known


def _signature(batch: ReadingBatch, key: Ed25519PrivateKey | None, correction: str) -> str | None:
    if key is None:
        return None
    return sign_with(key, batch.meter_id, message_of(SIGNING_DOMAIN, batch.signed_document(correction))).signature


def _chunks(file: Path) -> Iterator[tuple[bytes, int]]:
    """The file in parts of whole lines, each with the header again, and how many bytes of it each part is."""
    try:
        with file.open("rb") as lines:
            header = lines.readline()
            part: list[bytes] = []
            for line in lines:
                part.append(line)
                if len(part) == ROWS:
                    yield header + b"".join(part), sum(map(len, part))
                    part = []
            if part:
                yield header + b"".join(part), sum(map(len, part))
    except OSError as error:
        raise CorruptData(f"{file.name} cannot be read: {error.strerror}", file=file.name) from error


def _key(path: Path) -> Ed25519PrivateKey:
    content = _bytes(path)
    if len(content) != 32:
        raise CorruptData(f"{path.name} is not a meter's key", file=path.name)
    return Ed25519PrivateKey.from_private_bytes(content)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptData(f"{path.name} cannot be read: {error.strerror}", file=path.name) from error


def _refuse(code: str, detail: str) -> NoReturn:
    Console(stderr=True).print(f"error {code}: {detail}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(REFUSED)
