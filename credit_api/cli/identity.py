"""`tanxin identity …`: the identity authority, which attests subjects' keys and ends them."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from credit_api.cli.network import read, refusals, say
from federated.channel.node_keys import CERTIFICATE, NodeKeys
from federated.channel.own_socket import SOCKET, ask_own, listening
from federated.channel.tls import load
from federated.errors import ChannelRefused

identity_app = typer.Typer(no_args_is_help=True, help="The identity authority: who a subject's key belongs to.")
Home = Annotated[Path, typer.Option(help="The authority's home: who has it can attest any key.")]
Served = Annotated[Path, typer.Option("--home", help="The home that a running authority serves.")]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@identity_app.command("init")
def init(
    home: Home,
    secret: Annotated[
        Path | None, typer.Option(help="A file with the secret key (32 bytes) of an authority that goes on here.")
    ] = None,
) -> None:
    """Make a home with a fresh key, and print the public half: what nodes and exchanges pin."""
    from credit_api.identity.authority import IdentityAuthority  # noqa: PLC0415 (loads tables)

    with refusals():
        public = IdentityAuthority.create(home, None if secret is None else read(secret))
    sys.stdout.write(public.hex() + "\n")


@identity_app.command("serve")
def serve(
    home: Home,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8445,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Its certificate with the chain, PEM, in place of the network's that lies in the home; without either"
            " it serves loopback alone."
        ),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's private key, PEM.")] = None,
) -> None:
    """Attest keys and publish which were ended, to everybody; give clerks codes, on the socket in the home."""
    import uvicorn  # noqa: PLC0415 (what serves takes a second to load)

    from credit_api.app.settings import Limits  # noqa: PLC0415 (as above)
    from credit_api.http.connections import guarded  # noqa: PLC0415 (as above)
    from credit_api.identity.authority import IdentityAuthority  # noqa: PLC0415 (as above)
    from credit_api.identity.service import clerks_service, public_service  # noqa: PLC0415 (as above)

    with refusals():
        context = _tls(home, host, certificate, key)
        authority = IdentityAuthority(home)
        own = listening(home)
    # A list is signed before anybody asks: where that cannot be done nobody is told that this answers.
    authority.revocations()
    server = uvicorn.Server(
        uvicorn.Config(
            public_service(authority), host=host, port=port, http=guarded(Limits()), log_level="warning",
            access_log=False, lifespan="off", ws="none", server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=2, ssl_context_factory=None if context is None else lambda *_: context,
        )
    )  # fmt: skip
    local = uvicorn.Server(
        uvicorn.Config(
            clerks_service(authority), log_level="warning", access_log=False, lifespan="off", ws="none",
            proxy_headers=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    beside = threading.Thread(target=local.run, args=([own],), daemon=True)
    beside.start()
    say(f"the identity authority answers at {'http' if context is None else 'https'}://{host}:{port}")
    try:
        server.run()
    finally:
        local.should_exit = True
        beside.join(5)
        authority.close()
        own.close()
        (home / SOCKET).unlink(missing_ok=True)


@identity_app.command("enrol")
def enrol(
    home: Served,
    subject: Annotated[str, typer.Option(help="Whom the clerk has identified, by the id that banks have for it.")],
    evidence: Annotated[str, typer.Option(help="What was looked at, such as a licence's number; it stays on record.")],
) -> None:
    """Print a code for a subject, good once and for two weeks. Hand it over by another way than the network."""
    with refusals():
        told = ask_own(home, "/enrol", {"subject_id": subject, "evidence": evidence})
    sys.stdout.write(told["code"] + "\n")


@identity_app.command("end")
def end(
    home: Served,
    key: Annotated[str, typer.Option(help="The public key, 64 hex digits.")],
    by: Annotated[str, typer.Option(help="Which clerk ends it.")],
    reason: Annotated[
        str, typer.Option(help="key_compromise, key_lost, superseded, subject_ended or mistaken_identity.")
    ] = "key_compromise",
) -> None:
    """End a key. What it signed opens nothing once nodes have the next list, within a minute."""
    with refusals():
        told = ask_own(home, "/end", {"public_key": key, "reason": reason, "by": by})
    say(f"{told['subject_id']}'s key {key[:16]}… ended at {told['ended_at']}: {told['reason']}, by {told['ended_by']}")


@identity_app.command("keys")
def keys(home: Served, subject: Annotated[str, typer.Option(help="The subject.")]) -> None:
    """Print a subject's keys as JSON, ended ones too."""
    with refusals():
        told = ask_own(home, "/keys", {"subject_id": subject})
    sys.stdout.write(json.dumps(told["keys"], indent=1, ensure_ascii=False) + "\n")


def _tls(home: Path, host: str, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Raises `ChannelRefused` where strangers could listen, and for files that are no certificate and key."""
    if (certificate is None) != (key is None):
        raise ChannelRefused("--certificate and --key belong together")
    context, own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), NodeKeys(home)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate is None or key is None:
        if (own.folder / CERTIFICATE).exists():
            load(context, own)
            return context
        if host not in LOOPBACK:
            raise ChannelRefused(f"codes would pass {host} in clear: give it a certificate, the network's or another")
        return None
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ChannelRefused(f"{certificate.name} and {key.name} are no certificate and its key: {error}") from error
    return context
