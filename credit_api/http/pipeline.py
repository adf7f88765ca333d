"""The one way a command takes: bring the market up to date, answer a repeated key, run in one commit, remember, audit.

JSON routes (`http.callers.Call`) and console forms (`console.posting.Post`) both end here, so a rule that holds for
every command stands once. Who may issue a command is declared at its handler (`financing.base.commands.use_case`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from anyio import to_thread
from pydantic import BaseModel
from sqlalchemy import Connection

from credit_api.app.errors import ApiError, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent, Outcome
from credit_api.audit.trace import current
from credit_api.http.auth.principal import Principal
from credit_api.http.auth.sessions import find_session
from federated.errors import FederatedError
from financing.base.authority import AUTHORITY
from financing.base.commands import Given
from financing.base.context import Context
from financing.base.errors import AwaitsSecondPerson, FinancingError, NotPermitted
from financing.base.storage.idempotency import Answer
from financing.ledger.people import Proposal
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import advance

Refusal = ApiError | FinancingError | FederatedError
REFUSALS = (ApiError, FinancingError, FederatedError)
R = TypeVar("R")
Run = Callable[[UnitOfWork, Context], BaseModel]
Effect = Callable[[Context], BaseModel]
# An effect outside the books is not undone by a rollback: the same key waits for itself. Sixty-four locks keep
# strangers from waiting for each other much.
_EFFECTS = tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True, slots=True)
class Keyed:
    """What makes a command answered once: its idempotency key, and the fingerprint of what was asked."""

    key: str
    fingerprint: str
    status: int
    name: str
    concerns: str = ""  # the organisation or subject that it is about, for the audit trail
    object_id: str = ""  # the thing that it is about; empty for a new one


@dataclass(frozen=True, slots=True)
class Proposing:
    """What is answered when a command waits for a second person: its arguments, and the answer made of the proposal."""

    arguments: Callable[[], dict[str, Any]]
    answer: Callable[[Proposal], BaseModel]
    status: int


def fingerprint(method: str, path: str, body: Any) -> str:
    """SHA-256 over what makes two requests the same: method, path and canonical body."""
    text = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def id_from_key(prefix: str, organisation_id: str, key: str) -> str:
    """An id that the same organisation and idempotency key always give, so a repeated effect is the same effect."""
    return f"{prefix}_{hashlib.sha256(f'{organisation_id} {key}'.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues commands on which service. `sha256` is the key's or token's digest; None where a cookie vouches."""

    parts: Parts
    principal: Principal
    sha256: str | None = None
    cookie: str | None = None

    def context(self) -> Context:
        return self.parts.context(self.principal)

    def require_live(self, connection: Connection, at: datetime) -> None:
        """Raise `Unauthenticated` if the key or token has ended or was revoked meanwhile."""
        if self.sha256 is not None:
            self.parts.known_keys.require_live(connection, self.sha256, at)
        elif self.cookie is not None and find_session(connection, self.cookie, at) is None:
            raise Unauthenticated("this session has ended")

    async def commit(
        self, asked: Keyed, run: Run, *, instrument: str | None = None, proposing: Proposing | None = None
    ) -> Answer:
        """Commit a command once and return its answer; the answer of before for a key that was answered. One that takes
        two people is put down as a proposal instead.

        With an `instrument`, its market is brought up to date first, in a commit of its own that a refused order does
        not take back, and the streams hear of it afterwards. Raises what the command refuses; nothing is stored then.
        """
        context = self.context()
        if instrument is not None:
            await self.bring_up(instrument, context)
        answer = await self._told(asked, context, partial(self._commit, asked, run, context, proposing))
        touched = instrument or answer.body.get("instrument")
        if touched:
            self.parts.feeds.touch(touched)
        return answer

    async def commit_effect(self, asked: Keyed, effect: Effect) -> Answer:
        """As `commit`, for an effect outside the books (consents at the nodes, a score inquiry): looked up before it
        acts, one at a time a key, its answer remembered after it."""
        context = self.context()

        async def act() -> Answer:
            context.actor.require(AUTHORITY[asked.name])
            return await to_thread.run_sync(self._act, asked, effect, context)

        return await self._told(asked, context, act)

    async def bring_up(self, instrument: str, context: Context) -> None:
        """Commit what time demands of an instrument, before and apart from the command that may be refused."""
        parts = self.parts
        if parts.order_books.is_due(instrument, parts.parameters, context.at):
            await asyncio.wrap_future(
                parts.writer.submit(lambda unit: advance(unit, context, parts.order_books, instrument))
            )

    async def ask(self, given: Given[UnitOfWork, R]) -> R:
        """Ask a question that needs the book in memory, in its turn on the writer's thread; nothing is stored."""
        context = self.context()

        def question(unit: UnitOfWork) -> R:
            self.require_live(unit.connection, context.at)
            return given.run(unit, context)

        return await asyncio.wrap_future(self.parts.writer.submit(question))

    async def _commit(self, asked: Keyed, run: Run, context: Context, proposing: Proposing | None) -> Answer:
        event = self._event(asked, context, "committed")

        def command(unit: UnitOfWork) -> Answer:
            self.require_live(unit.connection, context.at)
            return self._answer_once(unit, context, asked, run, event)

        try:
            return await asyncio.wrap_future(self.parts.writer.submit(command))
        except AwaitsSecondPerson as waits:
            if proposing is None:
                raise
            put = partial(self._propose, context=context, asked=asked, proposing=proposing, waits=waits)
            return await asyncio.wrap_future(self.parts.writer.submit(put))

    def _propose(
        self, unit: UnitOfWork, context: Context, asked: Keyed, proposing: Proposing, waits: AwaitsSecondPerson
    ) -> Answer:
        """Put a command down that waits for a second person; the trail has it under a name of its own.

        Raises `NotPermitted` for a machine: whoever registered it could confirm what it makes, and be two in one.
        """
        if self.principal.machine:
            raise NotPermitted("a command that takes two people is made by a person", person=context.person)
        proposal = Proposal(
            proposal_id=context.new_id("pro"),
            organisation_id=context.actor.id,
            command=asked.name,
            object_id=str(waits.context["object_id"]),
            arguments=proposing.arguments(),
            why=waits.detail,
            maker=context.person,
            made_at=context.at,
        )

        def put(unit: UnitOfWork, _: Context) -> BaseModel:
            unit.proposals.add(proposal)
            return proposing.answer(proposal)

        event = replace(self._event(asked, context, "committed"), action=f"propose_{asked.name}")
        event = replace(event, object_id=proposal.proposal_id)
        return self._answer_once(unit, context, replace(asked, status=proposing.status), put, event)

    def _act(self, asked: Keyed, effect: Effect, context: Context) -> Answer:
        owner = context.actor.id
        with _EFFECTS[hash((owner, asked.key)) % len(_EFFECTS)]:
            with self.parts.reading() as connection:
                self.require_live(connection, context.at)
                known = UnitOfWork(connection).idempotency.recall(owner, asked.key, asked.fingerprint)
            if known is not None:
                self.parts.audit.note(self._event(asked, context, "replayed"))
                return known
            done = effect(context)
            # An inquiry tells the trail itself, in the commit that puts it on record.
            event = None if current().told else self._event(asked, context, "committed")
            return self.parts.writer.execute(
                lambda unit: self._answer_once(unit, context, asked, lambda *_: done, event)
            )

    async def _told(self, asked: Keyed, context: Context, act: Callable[[], Any]) -> Answer:
        """One event a command in the audit trail, however it ended; one that is done was told in its own commit."""
        try:
            answer: Answer = await act()
        except REFUSALS as refusal:
            await self._tell(self._event(asked, context, "refused", refusal.code))
            raise
        except Exception:
            with suppress(Exception):  # what failed is raised, also where the trail cannot be written either
                await self._tell(self._event(asked, context, "failed", "internal_error"))
            raise
        return answer

    async def _tell(self, event: AuditEvent) -> None:
        trace = current()
        if not trace.told:
            await asyncio.wrap_future(self.parts.audit.submit(event))
            trace.told = True

    def _event(self, asked: Keyed, context: Context, outcome: Outcome, code: str = "") -> AuditEvent:
        return AuditEvent.of(
            self.principal,
            context.at,
            asked.name,
            outcome,
            code=code,
            concerns=asked.concerns,
            object_id=asked.object_id,
        )

    def _answer_once(
        self, unit: UnitOfWork, context: Context, asked: Keyed, run: Run, event: AuditEvent | None
    ) -> Answer:
        """Run a command unless this key was answered already; its answer and its event are in the same commit."""
        made: list[str] = []
        answer = unit.idempotency.recall(context.actor.id, asked.key, asked.fingerprint)
        if answer is not None:
            event = None if event is None else replace(event, outcome="replayed")
        else:
            done = run(unit, replace(context, new_id=_noting(context.new_id, made)))
            answer = Answer(asked.status, done.model_dump(mode="json"))
            unit.idempotency.remember(context.actor.id, asked.key, asked.fingerprint, answer, at=context.at)
        if event is not None:
            self.parts.audit.record(unit, replace(event, object_id=event.object_id or next(iter(made), "")))
        return answer


def _noting(new_id: Callable[[str], str], made: list[str]) -> Callable[[str], str]:
    """Makes ids and notes them: the first one that a command makes is that of the thing it makes."""

    def noted(prefix: str) -> str:
        made.append(new_id(prefix))
        return made[-1]

    return noted
