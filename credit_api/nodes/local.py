"""What a node answers its own organisation, on a socket in its home: who may open that file is who may ask.

So one process reads a node's store. The socket is the owner's alone (0600, in a folder of 0700).
"""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from credit_api.nodes.consent_routes import consent_routes
from credit_api.nodes.customer_routes import customer_routes
from credit_api.nodes.hearing import KEPT_S, on_question, service_of
from credit_api.nodes.messages import ActName
from credit_api.nodes.meters import meter_routes
from credit_api.nodes.metrics import health_of
from federated.consent.record import Purpose
from federated.errors import ChannelRefused
from federated.nodes import statements
from federated.nodes.bank import BankNode
from federated.nodes.statements import as_document
from federated.serving.network import Network
from federated.serving.queries import NoFile, ScoreQuery

if TYPE_CHECKING:
    from credit_api.nodes.desk import Desk


class Question(BaseModel):
    """What the organisation's own systems ask."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Scored(Question):
    """A customer to score, under a consent and for a purpose."""

    subject: Annotated[str, Field(min_length=1, max_length=128)]
    consent: Annotated[str, Field(min_length=1, max_length=128)]
    purpose: Purpose


class Listed(Question):
    """Own customers' ids in order, those after `after`."""

    limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    after: Annotated[str, Field(max_length=128)] = ""


class Keyed(Question):
    """The key of statements, or a new one from now on."""

    new: bool = False


class Deciding(Question):
    """A decision about a version."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    act: ActName
    note: Annotated[str, Field(max_length=1_000)]


class Standing(BaseModel):
    """How the node stands: peers that it has met and others, versions with their status, and its certificate's end."""

    node: str
    kind: str
    pid: int
    met: list[str]
    unmet: list[str]
    versions: dict[str, str]
    champion: str | None
    customers: int
    certificate_until: datetime
    certificate_ends_soon: bool


def local_service(desk: Desk, network: Network | None) -> Starlette:
    """The app on the socket; `network` is a bank's own, with which it scores."""
    app = service_of(desk.node.org_id)

    @on_question(app, "/score", Scored)
    def score(asked: Scored) -> dict[str, Any]:
        if network is None:
            raise ChannelRefused(f"{desk.node.org_id} is no bank: nobody scores there")
        return scored(desk, network, asked)

    @on_question(app, "/customers", Listed)
    def customers(asked: Listed) -> dict[str, list[str]]:
        if not isinstance(desk.node, BankNode):
            raise ChannelRefused(f"{desk.node.org_id} is no bank: it has no customers of its own")
        return {"subjects": desk.node.customers(asked.limit, asked.after)}

    customer_routes(app, desk.node, desk.home)
    consent_routes(app, desk.node, network)
    if desk.meters is not None:
        meter_routes(app, desk.meters)

    @on_question(app, "/statement-key", Keyed)
    def statement_key(asked: Keyed) -> dict[str, Any]:
        if not isinstance(desk.node, BankNode):
            raise ChannelRefused(f"{desk.node.org_id} is no bank: it states no scores")
        store = desk.node.store
        return statements.jwk_of(statements.renew_key(store) if asked.new else statements.public_key(store))

    @on_question(app, "/decide", Deciding)
    def decide(asked: Deciding) -> dict[str, Any]:
        event, not_told = desk.decide(asked.version, asked.act, asked.note)
        what = {"number": event.number, "version": event.version, "kind": event.kind, "by": event.by}
        return what | {"role": event.details.get("role"), "not_told": not_told}

    def health(_: Request) -> Response:
        found = health_of(desk)
        return Response(orjson.dumps(found), 200 if found["ok"] else 503, media_type="application/json")

    def metrics(_: Request) -> Response:
        return Response(desk.metrics.told(desk), media_type=CONTENT_TYPE_LATEST)

    app.router.routes += [Route("/healthz", health), Route("/metrics", metrics)]

    @on_question(app, "/standing", Question)
    def standing(_: Question) -> Standing:
        return standing_of(desk)

    return app


def scored(desk: Desk, network: Network, asked: Scored) -> dict[str, Any]:
    """The answer to a question for a score. Raises what `Network.score` raises."""
    query = ScoreQuery(desk.node.org_id, asked.subject, asked.consent, asked.purpose, desk.node.now())
    with desk.metrics.scored() as answers:
        answers.append(network.score(query))
    (found,) = answers
    if isinstance(found, NoFile):
        return {"no_file": True} | asdict(found)
    told = {each.name: getattr(found, each.name) for each in fields(found)}
    statement = as_document(found.statement)
    return {"no_file": False} | told | {"valid_until": found.valid_until, "statement": statement}


def standing_of(desk: Desk) -> Standing:
    """How a node stands. Raises `ModelCorrupt`, `ChannelRefused`."""
    at, lifecycle = desk.node.now(), desk.oversight.lifecycle()
    certificate = desk.keys.standing(at)
    met = sorted(name for name, peer in desk.peers.items() if peer.met)
    return Standing(
        node=desk.node.org_id,
        kind=desk.node.role,
        pid=os.getpid(),
        met=met,
        unmet=sorted(desk.peers.keys() - set(met)),
        versions={version: lifecycle.status(version, at).value for version in lifecycle.versions},
        champion=lifecycle.champion,
        customers=desk.node.store.count() if isinstance(desk.node, BankNode) else len(desk.node.store.subject_ids()),
        certificate_until=certificate.until,
        certificate_ends_soon=certificate.ended or certificate.ends_soon,
    )


def local_server(desk: Desk, network: Network | None) -> uvicorn.Server:
    """What answers on the socket; run it with `[listening(home)]`."""
    config = uvicorn.Config(
        local_service(desk, network), log_level="warning", access_log=False, lifespan="off", ws="none",
        proxy_headers=False, timeout_keep_alive=KEPT_S, timeout_graceful_shutdown=2,
    )  # fmt: skip
    return uvicorn.Server(config)
