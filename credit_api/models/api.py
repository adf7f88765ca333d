"""Model versions: what is known of them, who decided what about them, and what their scores show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from fastapi import Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.http.callers import Call, CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.pipeline import id_from_key
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.models import governing
from credit_api.models.schemas import (
    AppointmentIn,
    FeatureDriftOut,
    ModelApprovalIn,
    ModelEventOut,
    ModelOut,
    ModelReasonIn,
    MonitoringOut,
)
from federated.errors import DataMissing
from federated.governance.cards.markdown import markdown
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Role
from federated.governance.monitoring.fairness import GroupFairness
from federated.governance.versions import Governance
from financing.base.commands import Id
from financing.base.context import Context
from financing.base.storage.paging import page_of_rows

router = Router(prefix="/v1", tags=["models"], responses=PROBLEMS)
READERS = ("bank", "grid", "registry")


@router.get("/models")
def list_models(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ModelOut]:
    """Every registered model version with its manifest, held-out metrics, status, role and history, oldest first."""
    governance, at = _register(parts), parts.clock()
    standing = governance.lifecycle()
    # By place in the log, which is only ever added to; a manifest is a file, and only those of the page are opened.
    page = page_of_rows(enumerate(standing.versions), lambda each: each[:1], paging.window)
    return paging.answers(page, lambda each: ModelOut.standing(governance.manifest(each[1]), standing, at))


@router.get("/models/monitoring")
def monitoring(parts: PartsDep, principal: PrincipalDep) -> MonitoringOut:
    """What the scores of the last 90 days show: drift from the held-out rows by basis, challenger beside champion."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "monitoring"))
    return MonitoringOut.model_validate(parts.network.monitoring(parts.clock()))


@router.get("/models/drift")
def feature_drift(parts: PartsDep, principal: PrincipalDep) -> FeatureDriftOut:
    """How the customers of today differ from the champion's training rows, column by column, counted at the nodes."""
    parts.audit.note(AuditEvent.read(principal, parts.clock(), "monitoring"))
    return FeatureDriftOut.of(parts.network.feature_drift(parts.clock()))


@router.get("/models/{version}")
def show_model(version: Id, parts: PartsDep, principal: PrincipalDep) -> ModelOut:
    """One registered version."""
    governance = _register(parts)
    return ModelOut.standing(governance.manifest(version), governance.lifecycle(), parts.clock())


def _register(parts: Parts) -> Governance:
    """The register of versions, also where no node is. Raises `DataMissing` where there is none."""
    if parts.governance is None:
        raise DataMissing("this service has no register of models yet")
    return parts.governance


@router.get("/models/{version}/card", response_class=PlainTextResponse)
def model_card(
    version: Id, parts: PartsDep, principal: PrincipalDep, language: Annotated[Literal["zh", "en"], Query()] = "en"
) -> Response:
    """The version's model card as Markdown, in Chinese or English."""
    card = parts.network.card(version, language, parts.clock())
    headers = {"Content-Language": language}
    return Response(markdown(card), media_type="text/markdown; charset=utf-8", headers=headers)


@router.get("/models/{version}/fairness")
def fairness(version: Id, parts: PartsDep, principal: PrincipalDep) -> Sequence[GroupFairness]:
    """Each group of customers beside the most approved one of its segment, on held-out rows: few, all at once."""
    return parts.network.oversight.fairness(version)


@router.post("/models/rollback", status_code=201, response_model=ModelEventOut)
async def roll_back(body: ModelReasonIn, call: CallDep) -> Response:
    """Return to the latest earlier champion that is still approved, as a bank that took part in the present one."""
    return await _decide(call, "roll_back_model", body, body.note, lambda act: governing.roll_back(call.parts, act))


@router.post("/models/{version}/approval", status_code=201, response_model=ModelEventOut)
async def approve_or_reject(version: Id, body: ModelApprovalIn, call: CallDep) -> Response:
    """Approve a version, or reject it for good, as a participating bank that did not register it.

    With the word of the last of its banks it is approved for a year; until then the event is an endorsement.
    """
    rule = governing.approve if body.decision == "approve" else governing.reject
    return await _decide(call, f"{body.decision}_model", body, body.note, lambda act: rule(call.parts, version, act))


@router.post("/models/{version}/appointment", status_code=201, response_model=ModelEventOut)
async def appoint(version: Id, body: AppointmentIn, call: CallDep) -> Response:
    """Make an approved version champion or challenger, or take the challenger out of that role.

    A champion takes two banks where several are concerned: the first one's word is a nomination, another's appoints.
    """
    role = None if body.role == "none" else Role(body.role)
    note = body.note or ""
    return await _decide(
        call, "appoint_model", body, note, lambda act: governing.appoint(call.parts, version, role, act)
    )


@router.post("/models/{version}/retirement", status_code=201, response_model=ModelEventOut)
async def retire(version: Id, body: ModelReasonIn, call: CallDep) -> Response:
    """Take a version that does not score out of use for good."""
    return await _decide(call, "retire_model", body, body.note, lambda act: governing.retire(call.parts, version, act))


async def _decide(call: Call, name: str, body: BaseModel, note: str, rule: Callable[[Act], Event]) -> Response:
    """Let a bank decide; the request's key goes into the event, so that repeating it decides nothing twice."""

    def effect(context: Context) -> Event:
        command = id_from_key("dec", context.actor.id, call.key)
        return rule(Act(context.actor.id, context.at, note, command))

    return await call.commit_effect(name, effect, answer=ModelEventOut.model_validate, body=body)
