"""`tanxin subject …`: what a subject does where its key is. It needs no home, and a service only to be attested."""

from __future__ import annotations

import json
import secrets
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from credit_api.cli.network import refusals
from credit_api.cli.signing import NewPassphrase, Passphrase, made_key, opened_key
from federated.channel.client import told_refusal
from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose
from federated.consent.signature import sign, sign_withdrawal
from federated.errors import CorruptData, DataMissing, InvalidConsent, NodeUnavailable

subject_app = typer.Typer(no_args_is_help=True, help="A subject's own key: have it attested, sign consents, end it.")
KeyFile = Annotated[Path, typer.Option("--key", help="The private key, sealed with a passphrase.")]
Attested = Annotated[Path, typer.Option("--attestation", help="What the identity authority said of the key (JSON).")]
Authority = Annotated[str, typer.Option("--identity", help="The identity authority's URL.")]
Roots = Annotated[Path | None, typer.Option(help="Roots that certify that URL, PEM; the system's without them.")]


@subject_app.command("key")
def key(file: KeyFile, passphrase: NewPassphrase) -> None:
    """Make a key (Ed25519) in a new file, and print its public half."""
    sys.stdout.write(made_key(file, passphrase).public_key().public_bytes_raw().hex() + "\n")


@subject_app.command("attest")
def attest(
    file: KeyFile,
    passphrase: Passphrase,
    subject: Annotated[str, typer.Option(help="The id that banks have for this subject.")],
    code: Annotated[str, typer.Option(prompt=True, help="What the authority's clerk gave out.")],
    authority: Authority,
    out: Annotated[Path, typer.Option(help="Where to write the attestation.")],
    days: Annotated[int, typer.Option(min=1, max=1095, help="How long the key is to hold.")] = 365,
    roots: Roots = None,
) -> None:
    """Have the key attested by the identity authority, once, with a clerk's code."""
    from credit_api.identity.authority import proof_bytes  # noqa: PLC0415 (loads tables)

    with refusals():
        own = opened_key(file, passphrase)
        public = own.public_key().public_bytes_raw()
        asked = {
            "subject_id": subject, "code": code, "public_key": public.hex(), "days": days,
            "proof": own.sign(proof_bytes(subject, public, code)).hex(),
        }  # fmt: skip
        told = _post(authority, "/v1/attestations", asked, roots)
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"{subject}'s key {public.hex()[:16]}… is attested until {told['valid_until']}", err=True)


@subject_app.command("consent")
def consent(
    file: KeyFile,
    passphrase: Passphrase,
    attestation: Attested,
    bank: Annotated[str, typer.Option(help="The bank that it allows.")],
    purposes: Annotated[
        str, typer.Option(help="With commas: credit_application, loan_review, model_training.")
    ] = "credit_application",
    grid: Annotated[
        str, typer.Option(help="The grid company that serves the subject, to open its electricity data too.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it holds from now on.")] = 365,
    consent_id: Annotated[str, typer.Option("--id", help="The consent's id; a fresh one otherwise.")] = "",
) -> None:
    """Print a signed consent as JSON: the body of `POST /v1/consents`, and what `tanxin node consent` takes."""
    with refusals():
        attested, start = _attestation(attestation), datetime.now(UTC).replace(microsecond=0)
        try:
            named = frozenset(Purpose(each.strip()) for each in purposes.split(","))
        except ValueError as error:
            raise InvalidConsent(str(error)) from error
        scope = frozenset(DataScope) if grid else frozenset({DataScope.BANK_FILE})
        # From now on, and not before the key was attested.
        since = max(start, attested.valid_from)
        draft = ConsentRecord(
            consent_id or f"con_{secrets.token_hex(10)}", attested.subject_id, bank, named, scope, since,
            since + timedelta(days=days), grid_id=grid,
        )  # fmt: skip
        secret = _secret_of(file, passphrase, attested)
        _print(as_document(sign(draft, secret, attested)))


@subject_app.command("withdraw")
def withdraw(
    file: KeyFile,
    passphrase: Passphrase,
    attestation: Attested,
    bank: Annotated[str, typer.Option(help="The bank that it allowed.")],
    consent_id: Annotated[str, typer.Option("--id", help="The consent's id.")],
) -> None:
    """Print a signed withdrawal as JSON: the bank's node and `POST /v1/consents/{consent_id}/withdrawal` take it."""
    with refusals():
        attested = _attestation(attestation)
        now = datetime.now(UTC)
        named = ConsentRecord(
            consent_id, attested.subject_id, bank, frozenset(Purpose), frozenset({DataScope.BANK_FILE}), now,
            now + timedelta(days=1),
        )  # fmt: skip
        signature = sign_withdrawal(named, _secret_of(file, passphrase, attested))
        _print({"consent_id": consent_id, "signature": signature.hex()})


@subject_app.command("end")
def end(
    file: KeyFile,
    passphrase: Passphrase,
    authority: Authority,
    reason: Annotated[str, typer.Option(help="key_compromise, key_lost or superseded.")] = "key_compromise",
    roots: Roots = None,
) -> None:
    """End the key for good: what it signed opens nothing more once nodes have the authority's next list."""
    from credit_api.identity.authority import end_bytes  # noqa: PLC0415 (loads tables)

    with refusals():
        own = opened_key(file, passphrase)
        public = own.public_key().public_bytes_raw()
        asked = {"public_key": public.hex(), "signature": own.sign(end_bytes(public)).hex(), "reason": reason}
        _print(_post(authority, "/v1/revocations", asked, roots))


def _secret_of(file: Path, passphrase: str, attested: KeyAttestation) -> bytes:
    own = opened_key(file, passphrase)
    if own.public_key().public_bytes_raw() != attested.public_key:
        raise InvalidConsent("the attestation is of another key")
    return own.private_bytes_raw()


def _attestation(path: Path) -> KeyAttestation:
    try:
        told = json.loads(path.read_text("utf-8"))
        return KeyAttestation(
            str(told["subject_id"]),
            bytes.fromhex(told["public_key"]),
            datetime.fromisoformat(told["valid_from"]),
            datetime.fromisoformat(told["valid_until"]),
            bytes.fromhex(told["signature"]),
        )
    except FileNotFoundError:
        raise DataMissing(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"{path} is no attestation: {error}") from error


def _post(url: str, path: str, asked: dict[str, Any], roots: Path | None) -> dict[str, Any]:
    """What the authority answers. Raises what it refuses with, `NodeUnavailable`."""
    context = ssl.create_default_context(cafile=None if roots is None else str(roots))
    try:
        with PoolManager(ssl_context=context, retries=False, timeout=30.0) as pool:
            response = pool.request("POST", url.rstrip("/") + path, json=asked, redirect=False)
    except (HTTPError, OSError) as error:
        raise NodeUnavailable(f"{url} does not answer: {error}") from error
    if response.status != 200:
        raise told_refusal("the identity authority", response.data)
    told: dict[str, Any] = json.loads(response.data)
    return told


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
