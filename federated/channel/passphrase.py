"""What seals a party's private keys at rest, where it is not a file beside them: a passphrase, or a token (PKCS #11).

A token holds a secret that it never shows (CKA_SENSITIVE, not CKA_EXTRACTABLE) and answers with HMAC-SHA-256 under it;
what it answers to a fixed text is the passphrase. Guarantee: whoever has a copy of the home, and the environment, opens
none of its keys without the token. Threat model: stolen disks and backups. Not covered: who reads the memory of the
process, or has the token and its PIN: he gets the passphrase, as the keys are used outside the token.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from federated.errors import ChannelRefused

PASSPHRASE, TOKEN, PIN = "TANXIN_NODE_PASSPHRASE", "TANXIN_NODE_TOKEN", "TANXIN_NODE_PIN"
ASKED = b"tanxin/keys at rest/v1"
SECRET_BITS = 256


def passphrase() -> str:
    """What this process seals keys with; empty where a file does.

    Raises `ChannelRefused` for a token that does not answer, and where a passphrase is set beside it.
    """
    word, token = os.environ.get(PASSPHRASE, ""), os.environ.get(TOKEN, "")
    if not token:
        return word
    if word:
        raise ChannelRefused(f"{PASSPHRASE} and {TOKEN} are both set: one of them seals the keys")
    return _answered(token, os.environ.get(PIN, ""))


def make_secret(uri: str, pin: str) -> None:
    """Have a token make the secret that its URI names. Raises `ChannelRefused`, also where it has one of that name."""
    p11 = _library()
    with _session(uri, pin, rw=True) as (session, name):
        if list(session.get_objects({p11.Attribute.LABEL: name})):
            raise ChannelRefused(f"the token has an object {name} already")
        hidden = {p11.Attribute.SENSITIVE: True, p11.Attribute.EXTRACTABLE: False, p11.Attribute.SIGN: True}
        session.generate_key(
            p11.KeyType.GENERIC_SECRET, SECRET_BITS, label=name, store=True, template=hidden,
            mechanism=p11.Mechanism.GENERIC_SECRET_KEY_GEN,
        )  # fmt: skip


@lru_cache(maxsize=4)
def _answered(uri: str, pin: str) -> str:
    p11 = _library()
    with _session(uri, pin) as (session, name):
        kind = {p11.Attribute.LABEL: name, p11.Attribute.CLASS: p11.ObjectClass.SECRET_KEY}
        found = list(session.get_objects(kind))
        if len(found) != 1:
            raise ChannelRefused(f"the token has {len(found) or 'no'} secret called {name}")
        if found[0][p11.Attribute.EXTRACTABLE]:
            raise ChannelRefused(f"the token would give {name} away to who asks: have it make another")
        return bytes(found[0].sign(ASKED, mechanism=p11.Mechanism.SHA256_HMAC)).hex()


@contextmanager
def _session(uri: str, pin: str, *, rw: bool = False) -> Iterator[tuple[Any, str]]:
    """A session with the token of a URI, and the name of the object there."""
    p11, (module, token, name) = _library(), _parts(uri)
    try:
        with p11.lib(module).get_token(token_label=token).open(user_pin=pin or None, rw=rw) as session:
            yield session, name
    except (p11.PKCS11Error, RuntimeError, OSError) as error:
        what = str(error) or type(error).__name__
        raise ChannelRefused(f"the token {token} does not do what is asked of it: {what}") from error


def _parts(uri: str) -> tuple[str, str, str]:
    """Module, token and object of a URI (RFC 7512). Raises `ChannelRefused`."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    found = dict(each.partition("=")[::2] for each in (*path.split(";"), *query.split("&")) if each)
    if scheme != "pkcs11" or not {"token", "object", "module-path"} <= set(found):
        raise ChannelRefused(f"{TOKEN} is pkcs11:token=…;object=…?module-path=… (RFC 7512)")
    return unquote(found["module-path"]), unquote(found["token"]), unquote(found["object"])


def _library() -> Any:
    try:
        import pkcs11  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        raise ChannelRefused("python-pkcs11 asks tokens: pip install 'tanxin[pkcs11]'") from error
    return pkcs11
