"""The audit trail over HTTP: what the caller's own organisation did, and the head that fixes everything before it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from credit_api.app.errors import Forbidden
from credit_api.audit.model import AuditEvent, Outcome
from credit_api.audit.store import AuditStore
from credit_api.http.callers import PartsDep, PrincipalDep
from credit_api.http.fields import ResponseModel
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from financing.base.authority import Role

router = Router(prefix="/v1", tags=["audit"], responses=PROBLEMS)


class AuditHeadOut(ResponseModel):
    """The last event's number and hash. Kept outside the system, it proves that nothing up to it was changed."""

    seq: int
    hash: str


class AuditEventOut(AuditHeadOut):
    """One event. What is not known, or does not apply, is empty; ids only, never a name or a text."""

    at: datetime
    organisation_id: str
    person: str
    credential: str = Field(description="how the caller came in: key, session or token")
    concerns_id: str = Field(description="the organisation or subject that it is about")
    action: str = Field(description="the command, or `read_` and what was read")
    object_id: str
    outcome: Outcome
    code: str = Field(description="of the refusal")
    request_id: str
    count: int
    previous_hash: str


@router.get("/audit-events")
def list_audit_events(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[AuditEventOut]:
    """What the calling organisation did, was refused and read, newest first, for its auditors and administrators."""
    if not {Role.AUDITOR, Role.ADMINISTRATOR} & principal.roles:
        raise Forbidden("this takes the role auditor", role=Role.AUDITOR)
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "audit_events"))
    with parts.reading() as connection:
        page = AuditStore(connection).of(principal.organisation_id, paging.window)
    return paging.answers(page, AuditEventOut.of)


@router.get("/audit-events/head")
def show_audit_head(parts: PartsDep, principal: PrincipalDep) -> AuditHeadOut:
    """The number and the hash of the last event of all, to be kept outside the system."""
    with parts.reading() as connection:
        return AuditHeadOut.of(AuditStore(connection).head())
