"""What one node answers other nodes: who asks is whom the connection is with, by the key that this node pinned for it.

A bank is answered about its own customers' consents and queries alone; what is sealed for one of a pair passes through
the bank that asks. Errors come as `{"code", "detail", "context"}`, with the status of the API's own errors.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from credit_api.app.settings import Limits
from credit_api.http.connections import guarded
from credit_api.nodes.hearing import body_of, on_message, read, route, service_of, told
from credit_api.nodes.messages import (
    AllDealt,
    Begin,
    ConsentAsked,
    ConsentFound,
    ConsentGiven,
    Deal,
    DealtParts,
    Decided,
    Decisions,
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
from federated.errors import ChannelRefused, NotPermitted
from federated.governance.served import ApprovedModels
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import pinned_kinds
from federated.serving.hidden.dealer import NodeDealer
from federated.serving.hidden.grid import HiddenGrid

PEER = "peer"
# Several times what the largest message of a run of training, and the largest version, has.
MOST_TRAINING_BYTES, MOST_VERSION_BYTES = 1 << 28, 1 << 25
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


async def _operator(request: Request) -> Party:
    party = await peer_of(request)
    if party.kind != "operator":
        raise NotPermitted(f"{party.name} is no operator", peer=party.name)
    return party


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
) -> Starlette:
    """The app of one node. Every node deals, trains, and keeps a register; a grid company answers queries and keeps
    consents. `training` is asked for once an operator begins: what trains takes seconds to load."""
    app = service_of(node.org_id)
    app.state.known = _known(node, keys)
    dealer = NodeDealer(node, models)

    @on_message(app, "/meet", Meet, peer_of)
    def meet(asked: Meet, by: Party) -> Meet:
        asked.pinned_by(node, by)
        return Meet.of(node)

    @on_message(app, "/deal", Deal, _bank)
    def deal(asked: Deal, by: Party) -> AllDealt:
        dealt = dealer.deal(asked.version, by.name, asked.grid, asked.queries, explained=asked.explained)
        return AllDealt(dealt=[DealtParts(grid=each.grid, bank=each.bank) for each in dealt])

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


def _keep_versions(app: Starlette, register: Register, own: str) -> None:
    @on_message(app, "/version", Version, _operator, MOST_VERSION_BYTES)
    def version(asked: Version, by: Party) -> Done:
        register.take(asked, by.name)
        return Done()

    @on_message(app, "/decided", Decided, _bank)
    def decided(asked: Decided, by: Party) -> Done:
        register.decide(asked, by.name)
        return Done()

    @on_message(app, "/decisions", Done, peer_of)
    def decisions(_: Done, __: Party) -> Decisions:
        return register.decisions_of(own)

    @on_message(app, "/version/known", VersionAsked, peer_of)
    def known(asked: VersionAsked, _: Party) -> Version:
        return register.version(asked.version)


def _train(app: Starlette, training: Callable[[], Trains]) -> None:
    async def begin(request: Request) -> Response:
        by = await _operator(request)
        asked = await read(request, Run)
        await to_thread.run_sync(lambda: training().begin(asked.run, by.name), limiter=TRAINING)
        return told(Done())

    async def answer(request: Request) -> Response:
        by, number = await _operator(request), request.path_params["number"]
        try:
            key = bytes.fromhex(request.path_params["run"])
        except ValueError:
            raise ChannelRefused("a run is named by 32 hexadecimal digits") from None
        message = await body_of(request, MOST_TRAINING_BYTES)
        reply = await to_thread.run_sync(lambda: training().answer(key, by.name, number, message), limiter=TRAINING)
        return Response(reply, media_type="application/octet-stream")

    route(app, "/run", begin)
    route(app, "/run/{run}/{number:int}", answer)


def _answer_queries(app: Starlette, grid: HiddenGrid) -> None:
    @on_message(app, "/begin", Begin, _bank)
    def begin(asked: Begin, by: Party) -> Nonces:
        return Nonces(nonces=grid.begin(by.name, asked.count))

    @on_message(app, "/first", First, _bank)
    def first(asked: First, by: Party) -> Sealed:
        if asked.query.bank_id != by.name:
            raise NotPermitted("a bank can only ask for its own customers", bank_id=by.name)
        request = replace(asked.query, at=utc(asked.query.at))
        sealed = grid.first(
            request, asked.nonce, asked.bank_nonce, asked.dealt, asked.factors, explained=asked.explained
        )
        return Sealed(sealed=sealed)

    @on_message(app, "/shuffled", Step, _bank)
    def shuffled(asked: Step, _: Party) -> Sealed:
        return Sealed(sealed=grid.shuffled(asked.nonce, asked.sealed))

    @on_message(app, "/answered", Step, _bank)
    def answered(asked: Step, _: Party) -> Sealed:
        return Sealed(sealed=grid.answered(asked.nonce, asked.sealed))


def _keep_consents(app: Starlette, node: GridNode) -> None:
    @on_message(app, "/consent", ConsentAsked, _bank)
    def consent(asked: ConsentAsked, by: Party) -> ConsentFound:
        found = node.consent(asked.consent_id)
        known = found is not None and found.bank_id == by.name
        return ConsentFound(consent=found if known else None)

    @on_message(app, "/consent/record", ConsentGiven, _bank)
    def record(asked: ConsentGiven, by: Party) -> ConsentGiven:
        if asked.consent.bank_id != by.name:
            raise NotPermitted("a bank can only deliver consents towards itself", bank_id=by.name)
        return ConsentGiven(consent=node.record_consent(asked.consent))

    @on_message(app, "/consent/withdraw", Withdrawal, _bank)
    def withdraw(asked: Withdrawal, by: Party) -> ConsentGiven:
        # A withdrawal that is to hold later holds now: nothing is used on the word of who asks.
        at = min(asked.at, node.now())
        withdrawn = node.withdraw_consent(asked.consent_id, by.name, at, asked.by, asked.signature)
        return ConsentGiven(consent=withdrawn)


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
