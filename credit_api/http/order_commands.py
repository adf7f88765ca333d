"""The earlier way of market commands into the pipeline, for routes that do not declare their commands yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from credit_api.http.callers import IssuerDep, as_response, keyed
from credit_api.http.commands import _asked
from financing.base.context import Context
from financing.lending.unit import UnitOfWork

T = TypeVar("T")
KeyDep = Annotated[str, Depends(keyed)]


class Caller:
    def __init__(self, issuer: IssuerDep, request: Request) -> None:
        self.issuer, self.request, self.parts, self.principal = issuer, request, issuer.parts, issuer.principal

    def context(self) -> Context:
        return self.issuer.context()


CallerDep = Annotated[Caller, Depends(Caller)]


async def commit_market(
    caller: Caller,
    key: str,
    body: BaseModel | None,
    run: Callable[[UnitOfWork, Context], BaseModel],
    *,
    instrument: str | None = None,
    status: int = 201,
) -> Response:
    asked = _asked(key, caller.request, body, status)
    return as_response(await caller.issuer.commit(asked, run, instrument=instrument))


async def bring_up(caller: Caller, context: Context, instrument: str) -> None:
    await caller.issuer.bring_up(instrument, context)


async def look(caller: Caller, ask: Callable[[UnitOfWork, Context], T]) -> T:
    context = caller.context()
    return await asyncio.wrap_future(caller.parts.writer.submit(lambda unit: ask(unit, context)))
