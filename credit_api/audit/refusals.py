"""Refusals that no command told of: a body that does not fit, a kind that may not, another's page, a stranger.

A caller who is known leaves an event for every refused command, and for a read that is not its to make. A stranger is
counted: what anybody may send for nothing must not become a write.
"""

from __future__ import annotations

from fastapi import Request

from credit_api.app.errors import status_of
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent, Outcome, thing
from credit_api.audit.trace import current
from credit_api.http.authority import ISSUES

READS = frozenset({"GET", "HEAD", "OPTIONS"})
FORBIDDEN, UNKNOWN = 403, (401, 403, 429)


def untold(request: Request, parts: Parts, code: str) -> AuditEvent | None:
    """The event that is due for a refused request, if one is; it is told from then on. Strangers are counted here."""
    principal, status = getattr(request.state, "principal", None), status_of(code)
    if principal is None or status == UNKNOWN[0]:
        if status in UNKNOWN:
            parts.audit.stranger(address_of(request), code)
        return None
    if current().told or (request.method in READS and status != FORBIDDEN):
        return None
    current().told = True
    route = request.scope.get("route")
    action = ISSUES.get(getattr(route, "path", ""), getattr(route, "name", "") or "unknown")
    outcome: Outcome = "failed" if code == "internal_error" else "refused"
    return AuditEvent.of(
        principal, parts.clock(), action, outcome, code=code, object_id=thing(request.path_params, None)
    )


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
