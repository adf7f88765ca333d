"""`tanxin sign …`: an organisation's signing key, and the documents that it signs. Nothing here needs a home or a
service: it runs where the key is."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from financing.base.signing import message_of
from financing.ledger.signing import KEY_DOMAIN, key_document

sign_app = typer.Typer(no_args_is_help=True, help="An organisation's signing key, and what it signs.")
File = Annotated[Path, typer.Argument(help="The private key, sealed with a passphrase; readable by its owner only.")]
Passphrase = Annotated[
    str,
    typer.Option(envvar="TANXIN_SIGNING_PASSPHRASE", prompt=True, hide_input=True, help="What seals the key."),
]
Organisation = Annotated[str, typer.Option(help="The organisation that the key will sign for.")]
NewPassphrase = Annotated[
    str,
    typer.Option(
        envvar="TANXIN_SIGNING_PASSPHRASE", prompt=True, confirmation_prompt=True, hide_input=True,
        help="What seals the key: at least 12 letters.",
    ),
]  # fmt: skip
LEAST = 12
# How documents begin, and which are proofs of a key: these `key`, `proof` and `tanxin readings proof` make.
DOMAIN = re.compile(r"tanxin(-[a-z]+)+-v[0-9]{1,3}")
PROOFS = (KEY_DOMAIN, "tanxin-meter-key-v1", "tanxin-meter-batch-v1")


@sign_app.command("key")
def make_key(
    file: File,
    organisation: Organisation,
    passphrase: NewPassphrase,
) -> None:
    """Make a key (Ed25519) in a new file, and print what registers it (`POST /v1/signing-keys`): its public half, and
    the proof that it is here."""
    _print(_proof(made_key(file, passphrase), organisation))


def made_key(file: Path, passphrase: str) -> Ed25519PrivateKey:
    """A key in a new file, which its owner alone reads. Raises `BadParameter`."""
    if len(passphrase) < LEAST:
        raise typer.BadParameter(f"a passphrase has at least {LEAST} letters")
    key = Ed25519PrivateKey.generate()
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(sealed)
    return key


@sign_app.command("proof")
def prove(file: File, organisation: Organisation, passphrase: Passphrase) -> None:
    """Print again what registers a key that is there."""
    _print(_proof(opened_key(file, passphrase), organisation))


@sign_app.command("document")
def sign_document(
    file: File,
    passphrase: Passphrase,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the text was read before.")] = False,
) -> None:
    """Sign what a refused command has to be signed with (`signature_needed`), read from stdin as it was answered: shows
    the text, asks, and prints the fields that the command is sent again with."""
    given = sys.stdin.read()
    try:
        context = json.loads(given)["context"]
        text, signed_at = context["to_sign"], context.get("signed_at")
        _require_document(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise typer.BadParameter(
            "stdin holds no answer with a text to sign that is a document (`context.to_sign`)"
        ) from error
    # What a terminal would act on, or not show, is shown for what it is: the text is whoever's sent it.
    typer.echo("\n".join("".join(_shown(each) for each in line) for line in text.split("\n")), err=True)
    if not yes and not _confirmed():
        raise typer.Exit(1)
    fields = {"signature": opened_key(file, passphrase).sign(text.encode()).hex()}
    _print(fields if signed_at is None else fields | {"signed_at": str(signed_at)})


def _require_document(text: object) -> None:
    """Raise `ValueError` unless this is a document as the program writes them: a domain, and JSON in one form only.

    A key's proof is none of these: with it another key could be registered.
    """
    if not isinstance(text, str):
        raise ValueError("no text")
    domain, _, content = text.partition("\n")
    document = json.loads(content)
    if not DOMAIN.fullmatch(domain) or domain in PROOFS or not isinstance(document, dict):
        raise ValueError("no document")
    if message_of(domain, document).decode() != text:
        raise ValueError("another form than documents have")


def _shown(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def _confirmed() -> bool:
    """Whether who sits at the terminal says yes: stdin is the document."""
    try:
        with open("/dev/tty", encoding="utf-8") as terminal:
            typer.echo("Sign this? [y/N] ", err=True, nl=False)
            return terminal.readline().strip().lower() in {"y", "yes"}
    except OSError as error:
        raise typer.BadParameter("there is no terminal to ask at: read the text, and say --yes") from error


def _proof(key: Ed25519PrivateKey, organisation: str) -> dict[str, str]:
    public = key.public_key().public_bytes_raw().hex()
    message = message_of(KEY_DOMAIN, key_document(organisation, public))
    return {"public_key": public, "proof": key.sign(message).hex()}


def opened_key(file: Path, passphrase: str) -> Ed25519PrivateKey:
    """The key of a file. Raises `BadParameter`."""
    try:
        key = load_pem_private_key(file.read_bytes(), passphrase.encode())
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"{file} holds no key, or another passphrase seals it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise typer.BadParameter(f"{file} holds a key of another kind")
    return key


def _print(fields: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
