"""What keeps a browser from being used against its user: same-site requests only, and a token in every form.

A signed-in form carries its session's token. A visitor's form (signing in, switching language) carries a random token
that must equal the one in a cookie, which no other site can read or set through a form.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from credit_api.app.errors import BodyTooLarge, CsrfRejected

VISITOR_COOKIE = "tanxin_visitor"
FORM_BYTES_MAX = 64 * 1024
FORM_FIELDS_MAX = 300
Fields = dict[str, list[str]]


def new_token() -> str:
    return secrets.token_urlsafe(24)


def require_same_site(request: Request) -> None:
    """Raise `CsrfRejected` for a request that another site started; browsers that do not say are left to the token."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise CsrfRejected("the form was sent from another site", sec_fetch_site=site)
        return
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
        raise CsrfRejected("the form was sent from another site", origin=origin)


def require_token(expected: str | None, fields: Fields) -> None:
    """Raise `CsrfRejected` unless the form carries the expected token."""
    given = fields.get("csrf", [""])[0]
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise CsrfRejected("the form's token is missing or belongs to another session; open the page again and resend")


async def read_fields(request: Request) -> Fields:
    """The fields of a plain HTML form. Raises `BodyTooLarge`, and `CsrfRejected` for anything that is not one."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        raise CsrfRejected("the console takes HTML forms only")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > FORM_BYTES_MAX:
            raise BodyTooLarge("a form is at most 64 KiB", bytes_max=FORM_BYTES_MAX)
    fields: Fields = {}
    try:
        for name, value in parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX):
            fields.setdefault(name, []).append(value)
    except ValueError:
        raise BodyTooLarge("a form has at most 300 fields, in UTF-8", fields_max=FORM_FIELDS_MAX) from None
    return fields


def keep_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send along with a form."""
    response.set_cookie(
        name, value, max_age=seconds, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/"
    )


def local_path(text: str, otherwise: str = "/") -> str:
    """`text` if it is a path on this site, so that a redirect can never leave it."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else otherwise
