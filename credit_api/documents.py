"""Documents made from the code, committed, and compared by a test: the OpenAPI document and the list of error codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from credit_api.errors import STATUS, ApiError
from credit_api.main import create_app
from credit_api.wiring import Parts
from federated.errors import FederatedError
from financing.errors import FinancingError

HEAD = """\
# Error codes

Every refusal is an RFC 9457 problem (`application/problem+json`) with a stable `code`, the HTTP `status`, a `detail`
for people, machine-readable `context`, and the `request_id` that is also in the `X-Request-ID` header. A refused
command stores nothing, and its idempotency key stays usable. This page is made by `tanxin documents`.

| code | status | meaning |
|---|---|---|
"""
OWN = {
    "invalid_request": "The request does not fit its schema; `errors` names each field and the rule it breaks.",
    "method_not_allowed": "The route exists, but not for this method.",
    "internal_error": "The service failed; nothing of the request was stored.",
}


def error_classes() -> dict[str, type[Exception]]:
    """Every stable code with the class that carries it, base classes left out."""
    found: dict[str, type[Exception]] = {}
    for base in (ApiError, FinancingError, FederatedError):
        for kind in _subclasses(base):
            found.setdefault(cast(str, kind.__dict__["code"]), kind)
    return found


def errors_text() -> str:
    """docs/errors.md."""
    meanings = {code: " ".join((kind.__doc__ or "").split()) for code, kind in error_classes().items()} | OWN
    rows = [f"| `{code}` | {STATUS[code]} | {meanings[code]} |" for code in sorted(meanings)]
    return HEAD + "\n".join(rows) + "\n"


def openapi_text() -> str:
    """docs/openapi.json, stable from run to run."""
    # Describing the routes touches no part of a running service.
    document = create_app(cast(Parts, None)).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _subclasses(kind)
