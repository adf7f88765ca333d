"""`tanxin machine …`: a program's key, and the assertions that it signs. Nothing here needs a home or a service."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from joserfc import jwt
from joserfc.jwk import ECKey

machine_app = typer.Typer(no_args_is_help=True, help="A machine's key, and the assertions that it signs.")
HOLDS_SECONDS = 120
File = Annotated[Path, typer.Argument(help="The private key, as JWK; readable by its owner only.")]


@machine_app.command("key")
def make_key(file: File) -> None:
    """Make a private key (EC P-256) in a new file and print its public half: the `jwk` of `POST /v1/machines`."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(json.dumps(key.as_dict(private=True)) + "\n")
    sys.stdout.write(json.dumps(key.as_dict(private=False)) + "\n")


@machine_app.command("assertion")
def sign_assertion(
    file: File,
    machine_id: Annotated[str, typer.Option("--id", help="The machine's id, as `POST /v1/machines` answered it.")],
    audience: Annotated[str, typer.Option(help="The service's token endpoint.")] = "http://127.0.0.1:8000/oauth/token",
) -> None:
    """Print an assertion (RFC 7523) that holds for two minutes and works once: what `POST /oauth/token` takes."""
    try:
        key = ECKey.import_key(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} holds no key: {error}") from error
    now = int(time.time())
    claims = {"iss": machine_id, "sub": machine_id, "aud": audience, "jti": secrets.token_hex(16)}
    signed = jwt.encode({"alg": "ES256", "kid": key.kid}, claims | {"iat": now, "exp": now + HOLDS_SECONDS}, key)
    sys.stdout.write(signed + "\n")
