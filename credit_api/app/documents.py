"""Documents made from the code, committed, and compared by a test: OpenAPI, error codes, claims, route tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from credit_api.app.errors import STATUS, ApiError
from credit_api.app.main import create_app
from credit_api.app.wiring import Parts
from credit_api.http.authority import ISSUES, READ_FOR, READERS, readers_of
from federated.errors import FederatedError
from federated.privacy.claims import Claim, Figure, Phase, load_claims
from financing.base.authority import AUTHORITY, KINDS
from financing.base.errors import FinancingError

HEAD = """\
# Error codes

Every refusal is an RFC 9457 problem (`application/problem+json`) with a stable `code`, the HTTP `status`, a `detail`
for people, machine-readable `context`, and the `request_id` that is also in the `X-Request-ID` header. A refused
command stores nothing, and its idempotency key stays usable. This page is made by `tanxin documents`.

| code | status | meaning |
|---|---|---|
"""
CLAIMS_HEAD = """\
# Claims about privacy

Who sees what, phase by phase, from `federated/privacy/claims.toml`; what is meant is told in [privacy.md](privacy.md).
Figures are measured by `tanxin bench privacy` and shown by `tanxin privacy report`. A claim without an attack is one
that nothing has tried. This page is made by `tanxin documents`.
"""
AUTHORITY_HEAD = """\
# Who may do what

One table, `financing/base/authority.py`, holds for JSON routes, console forms and programs alike. A command is
refused before its body is looked at unless the organisation is of a kind, and the person of a role or the machine of
a work (its scope), that may issue it; the handler asks again when it runs, and looks at the object besides. A test
sends every route as every kind, for own and for foreign objects. This page is made by `tanxin documents`.

What an organisation is to the object of a command: **own** (it belongs to it), **party** (it is one of its sides),
**assigned** (the object was given to it to do), **region** (the object is of its region, and a regulator's region is
everywhere), **any** (the command has no object of anybody).

A machine makes what its works allow and never checks. Where a second person is named, the command waits as a proposal
until another person of the same organisation, a checker, confirms it; the schema refuses a price, a write-off, a
checked decision and an administrator's invitation without that.

## Commands
"""
GUIDE_TABLE = re.compile(r"(?P<mark><!-- routes: (?P<tag>[\w ]+) -->)\n.*?<!-- end -->", re.DOTALL)
OWN = {
    "invalid_request": "The request does not fit its schema; `errors` names each field and the rule it breaks.",
    "method_not_allowed": "The route exists, but not for this method.",
    "internal_error": "The service failed; nothing of the request was stored.",
}


def error_classes() -> dict[str, type[Exception]]:
    """Every stable code with the class that carries it, base classes left out."""
    by_code: dict[str, type[Exception]] = {}
    for base in (ApiError, FinancingError, FederatedError):
        for kind in _subclasses(base):
            by_code.setdefault(cast(Any, kind).code, kind)
    return by_code


def errors_text() -> str:
    """docs/errors.md."""
    meanings = {code: " ".join((kind.__doc__ or "").split()) for code, kind in error_classes().items()} | OWN
    rows = [f"| `{code}` | {STATUS[code]} | {meanings[code]} |" for code in sorted(meanings)]
    return HEAD + "\n".join(rows) + "\n"


@cache
def openapi_text() -> str:
    """docs/openapi.json, stable from run to run."""
    # Describing the routes touches no part of a running service.
    document = create_app(cast(Parts, None)).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def guide_text(guide: str) -> str:
    """docs/api.md with the table after every `<!-- routes: TAG -->` made anew from the routes of that tag."""
    paths = json.loads(openapi_text())["paths"]

    def table(match: re.Match[str]) -> str:
        rows = [
            f"| {method.upper()} | `{path}` | {' '.join(described['description'].split())} |"
            for path, methods in paths.items()
            for method, described in methods.items()
            if match["tag"] in described.get("tags", [])
        ]
        return "\n".join([match["mark"], "| | route | |", "|---|---|---|", *rows, "<!-- end -->"])

    return GUIDE_TABLE.sub(table, guide)


def authority_text() -> str:
    """docs/authority.md: the matrix of commands and kinds, the routes, and what not everybody reads."""
    head = ["command", *KINDS, "object", "role", "work", "second person"]
    rows = [
        [
            f"`{name}`",
            *("●" if kind in may.kinds else "" for kind in KINDS),
            may.relation,
            may.role,
            may.work,
            may.second,
        ]
        for name, may in AUTHORITY.items()
    ]
    routes = [[f"`POST {path}`", f"`{name}`"] for path, name in ISSUES.items()]
    reads = [[f"`GET {path}`", ", ".join(readers_of(path))] for path in READERS]
    return (
        AUTHORITY_HEAD
        + _table(head, rows)
        + "\n## Routes and their commands\n"
        + _table(["route", "command"], routes)
        + "\n## What not everybody reads\n"
        + "Everything else is read by every participant, each its own. A regulator reads with any organisation's eyes\n"
        + "(`Tanxin-Read-As`).\n\n"
        + _table(["route", "kinds"], reads)
        + "\n## What a machine reads for which work\n"
        + "A person reads for all work; what is not here is read for any.\n\n"
        + _table(["routes", "work"], [[f"`GET /v1/{word}…`", " or ".join(works)] for word, works in READ_FOR.items()])
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def claims_text() -> str:
    """docs/privacy-claims.md."""
    claims = load_claims()
    parts = [CLAIMS_HEAD]
    for phase in Phase:
        parts += [
            f"## {phase.value}\n",
            "| claim | sees | mechanism | threat model | attack and bounds |",
            "|---|---|---|---|---|",
        ]
        parts += [_claim_row(claim, claims.figures) for claim in claims.of((phase,))]
        parts.append("")
    return "\n".join(parts)


def _claim_row(claim: Claim, figures: Mapping[str, Figure]) -> str:
    sees = claim.sees[1] + (" (by design)" if claim.seen else "")
    mechanism = [f"`{each}`" for each in claim.mechanism] + [f"ADR {each:04d}" for each in claim.adr]
    attack = [f"`{claim.attack}`" if claim.attack else "nothing to try"]
    attack += [_bound_text(figures[name]) for name in claim.figures]
    name = (
        f'<a id="{claim.id}"></a>`{claim.id}` ({claim.party.value.replace("_", " ")}: {claim.about.replace("_", " ")})'
    )
    cells = (name, sees, ", ".join(mechanism) or "none", claim.threat[1], "; ".join(attack))
    return f"| {' | '.join(cells)} |"


def _bound_text(figure: Figure) -> str:
    named = f"`{figure.part}.{figure.protected}`"
    if figure.at_least is not None:
        return f"{named} ≥ {figure.at_least:g}"
    if figure.at_most is not None:
        kept = f"{figure.minus_from} − {named}" if figure.minus_from else named
        return f"{kept} ≤ {figure.at_most:g}"
    return f"{named} ≤ `{figure.at_most_field}`" if figure.at_most_field else named


def _subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _subclasses(kind)
