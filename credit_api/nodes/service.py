"""What one node answers other nodes: who asks is whom the connection is with, by the key that this node pinned for it.

A bank is answered about its own customers' consents and queries alone; what is sealed for one of a pair passes through
the bank that asks. Errors come as `{"code", "detail", "context"}`, with the status of the API's own errors.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from credit_api.app.errors import STATUS
from credit_api.app.settings import Limits
from credit_api.http.connections import guarded
from credit_api.nodes.messages import (
    AllDealt,
    Begin,
    ConsentAsked,
    ConsentFound,
    ConsentGiven,
    Deal,
    DealtParts,
    Decided,
    Done,
    First,
    Meet,
    Nonces,
    Run,
    Sealed,
    Step,
    Version,
    VersionAsked,
    Withdrawal,
)
from credit_api.nodes.register import Register
from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.consent.record import utc
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable, NotPermitted
from federated.governance.served import ApprovedModels
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import pinned_kinds
from federated.serving.hidden.dealer import NodeDealer
from federated.serving.hidden.grid import HiddenGrid

LOG = logging.getLogger("uvicorn.error")
PEER = "peer"
# Several times what the largest message of a run of training, and the largest version, has.
MOST_TRAINING_BYTES, MOST_VERSION_BYTES = 1 << 28, 1 << 25
Read = TypeVar("Read", bound=BaseModel)
# Who shows this certificate, DER. Raises `ChannelRefused`, `NotPermitted`.
Known = Callable[[bytes], Awaitable[Party]]
# Of one operator and of those who would be: messages of training take no turn of queries.
TRAINING = CapacityLimiter(4)


async def peer_of(request: Request) -> Party:
    """Who asks, as it is known now: by a certificate that was revoked, or a peer that was unpinned, since the
    connection was made, nobody is answered; nor in another kind than it was met as."""
    certificate = getattr(request.state, PEER, None)
    if not isinstance(certificate, bytes):
        raise ChannelRefused("nobody is known to ask here")
    known: Known = request.app.state.known
    return await known(certificate)


async def _bank(request: Request) -> Party:
    party = await peer_of(request)
    if party.kind != "bank":
        raise NotPermitted(f"{party.name} is no bank", peer=party.name)
    return party


def read(kind: type[Read], most: int = 1 << 20) -> Callable[[Request], Awaitable[Read]]:
    """What reads a message of this kind of at most so many bytes, by default several times what a query's largest has.

    Raises `ChannelRefused` for one that is too long, `ValidationError`.
    """

    async def found(request: Request) -> Read:
        return kind.model_validate_json(await _body(request, most))

    return found


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise ChannelRefused(f"a message between nodes has {most:,} bytes at the most")
    return bytes(body)


async def _operator(request: Request) -> Party:
    party = await peer_of(request)
    if party.kind != "operator":
        raise NotPermitted(f"{party.name} is no operator", peer=party.name)
    return party


Asker = Annotated[Party, Depends(peer_of)]
Operator = Annotated[Party, Depends(_operator)]
Bank = Annotated[Party, Depends(_bank)]


class Trains(Protocol):
    """What answers an operator's messages of training, as `federated.engines.seat.RunSeat`."""

    def begin(self, run: bytes, operator: str) -> None:
        """Take part in a run."""
        ...

    def answer(self, run: bytes, operator: str, number: int, message: bytes) -> bytes:
        """The reply to a message."""
        ...


class Attends(Protocol):
    """What takes messages of a node's own SuperNode, as `federated.engines.attending.Attendant`."""

    def attend(self, stopped: threading.Event, say: Callable[[str], None]) -> None:
        """Until it is stopped."""
        ...


def node_service(
    node: BankNode | GridNode,
    models: ApprovedModels,
    register: Register,
    training: Callable[[], Trains],
    keys: NodeKeys,
) -> FastAPI:
    """The app of one node. Every node deals, trains, and keeps a register; a grid company answers queries and keeps
    consents. `training` is asked for once an operator begins: what trains takes seconds to load."""
    app = FastAPI(title=node.org_id, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.known = _known(node, keys)
    handled(app, node.org_id)
    dealer = NodeDealer(node, models)

    @app.post("/meet")
    def meet(asked: Annotated[Meet, Depends(read(Meet))], by: Asker) -> Response:
        asked.pinned_by(node, by)
        return told(Meet.of(node))

    @app.post("/deal")
    def deal(asked: Annotated[Deal, Depends(read(Deal))], by: Bank) -> Response:
        dealt = dealer.deal(asked.version, by.name, asked.grid, asked.queries, explained=asked.explained)
        return told(AllDealt(dealt=[DealtParts(grid=each.grid, bank=each.bank) for each in dealt]))

    _keep_versions(app, register, node.org_id)
    _train(app, training)
    if isinstance(node, GridNode):
        _answer_queries(app, HiddenGrid(node, models))
        _keep_consents(app, node)
    return app


def _known(node: BankNode | GridNode, keys: NodeKeys) -> Known:
    # As a kind that a node was met as it stays: that is looked up once, and never where others wait for the answer.
    met: dict[str, str] = {}

    async def known(certificate: bytes) -> Party:
        party = keys.known(certificate, node.now())
        if party.name not in met:
            met.update(await to_thread.run_sync(pinned_kinds, node.store))
        kind = met.get(party.name, party.kind)
        if kind != party.kind:
            raise NotPermitted(f"{party.name} was met as a {kind}, and shows a certificate of a {party.kind}")
        return party

    return known


def _keep_versions(app: FastAPI, register: Register, own: str) -> None:
    @app.post("/version")
    def version(by: Operator, asked: Annotated[Version, Depends(read(Version, MOST_VERSION_BYTES))]) -> Response:
        register.take(asked, by.name)
        return told(Done())

    @app.post("/decided")
    def decided(asked: Annotated[Decided, Depends(read(Decided))], by: Bank) -> Response:
        register.decide(asked, by.name)
        return told(Done())

    @app.post("/decisions")
    def decisions(_: Annotated[Done, Depends(read(Done))], __: Asker) -> Response:
        return told(register.decisions_of(own))

    @app.post("/version/known")
    def known(asked: Annotated[VersionAsked, Depends(read(VersionAsked))], _: Asker) -> Response:
        return told(register.version(asked.version))


def _train(app: FastAPI, training: Callable[[], Trains]) -> None:
    @app.post("/run")
    async def begin(by: Operator, asked: Annotated[Run, Depends(read(Run))]) -> Response:
        await to_thread.run_sync(lambda: training().begin(asked.run, by.name), limiter=TRAINING)
        return told(Done())

    @app.post("/run/{run}/{number}")
    async def answer(run: str, number: int, request: Request, by: Operator) -> Response:
        try:
            key = bytes.fromhex(run)
        except ValueError:
            raise ChannelRefused("a run is named by 32 hexadecimal digits") from None
        message = await _body(request, MOST_TRAINING_BYTES)
        reply = await to_thread.run_sync(lambda: training().answer(key, by.name, number, message), limiter=TRAINING)
        return Response(reply, media_type="application/octet-stream")


def told(answer: BaseModel) -> Response:
    """An answer as it goes out: written once, by its own model."""
    return Response(answer.model_dump_json(), media_type="application/json")


def _answer_queries(app: FastAPI, grid: HiddenGrid) -> None:
    @app.post("/begin")
    def begin(asked: Annotated[Begin, Depends(read(Begin))], by: Bank) -> Response:
        return told(Nonces(nonces=grid.begin(by.name, asked.count)))

    @app.post("/first")
    def first(asked: Annotated[First, Depends(read(First))], by: Bank) -> Response:
        if asked.query.bank_id != by.name:
            raise NotPermitted("a bank can only ask for its own customers", bank_id=by.name)
        request = replace(asked.query, at=utc(asked.query.at))
        sealed = grid.first(
            request, asked.nonce, asked.bank_nonce, asked.dealt, asked.factors, explained=asked.explained
        )
        return told(Sealed(sealed=sealed))

    @app.post("/shuffled")
    def shuffled(asked: Annotated[Step, Depends(read(Step))], _: Bank) -> Response:
        return told(Sealed(sealed=grid.shuffled(asked.nonce, asked.sealed)))

    @app.post("/answered")
    def answered(asked: Annotated[Step, Depends(read(Step))], _: Bank) -> Response:
        return told(Sealed(sealed=grid.answered(asked.nonce, asked.sealed)))


def _keep_consents(app: FastAPI, node: GridNode) -> None:
    @app.post("/consent")
    def consent(asked: Annotated[ConsentAsked, Depends(read(ConsentAsked))], by: Bank) -> Response:
        found = node.consent(asked.consent_id)
        known = found is not None and found.bank_id == by.name
        return told(ConsentFound(consent=found if known else None))

    @app.post("/consent/record")
    def record(asked: Annotated[ConsentGiven, Depends(read(ConsentGiven))], by: Bank) -> Response:
        if asked.consent.bank_id != by.name:
            raise NotPermitted("a bank can only deliver consents towards itself", bank_id=by.name)
        return told(ConsentGiven(consent=node.record_consent(asked.consent)))

    @app.post("/consent/withdraw")
    def withdraw(asked: Annotated[Withdrawal, Depends(read(Withdrawal))], by: Bank) -> Response:
        # A withdrawal that is to hold later holds now: nothing is used on the word of who asks.
        at = min(asked.at, node.now())
        withdrawn = node.withdraw_consent(asked.consent_id, by.name, at, asked.by, asked.signature)
        return told(ConsentGiven(consent=withdrawn))


def handled(app: FastAPI, node: str) -> None:
    """Have what goes wrong answered as nodes read it, and none of it fill a log with where it was raised."""
    app.exception_handler(FederatedError)(refused)
    app.exception_handler(ValidationError)(not_read)
    app.exception_handler(ClientDisconnect)(broken_off)

    def no_room(request: Request, error: Exception) -> JSONResponse:
        why = error.strerror if isinstance(error, OSError) else str(error)
        LOG.error("%s: %s", request.url.path, why)
        return refused(request, NodeUnavailable(f"{node} cannot keep this: {why}", node=node))

    app.exception_handler(OSError)(no_room)
    app.exception_handler(sqlite3.OperationalError)(no_room)


def refused(_: Request, error: Exception) -> JSONResponse:
    """A refusal, as nodes read it."""
    assert isinstance(error, FederatedError)
    told = {"code": error.code, "detail": error.detail, "context": error.context}
    return JSONResponse(told, STATUS.get(error.code, 500))


def not_read(_: Request, error: Exception) -> JSONResponse:
    """The answer to what is no message."""
    # What was sent is not repeated: it may be about a customer.
    del error
    return JSONResponse({"code": "federated_error", "detail": "a message is not as nodes write it", "context": {}}, 422)


def broken_off(_: Request, error: Exception) -> Response:
    """The answer to a message that ended before it was whole: nobody reads it."""
    del error
    return Response(status_code=400)


class _Joined:
    """A transport that writes what comes in one turn of the loop at once: head and body of an answer would be two
    records of TLS, and wake the other side twice."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._waiting = transport, list[bytes]()

    def write(self, data: bytes) -> None:
        """Write it, soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(data)

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._transport.write(b"".join(waiting))

    def close(self) -> None:
        """Close it, once all is written."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def known_by(limits: Limits) -> type[HttpToolsProtocol]:
    """HTTP connections whose requests have the certificate that the other side showed."""

    class Known(guarded(limits)):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            connection = transport.get_extra_info("ssl_object")
            if connection is not None:
                state: dict[str, Any] = vars(self)["app_state"]
                self.app_state = {**state, PEER: connection.getpeercert(True)}
            super().connection_made(_Joined(transport))

        def shutdown(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                # To part in the way of TLS would wait half a minute for a peer that has nothing to say.
                self.transport.abort()
            else:
                super().shutdown()

    return Known
