"""The earlier ways into the pipeline, for routes that do not declare their commands yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from credit_api.app.wiring import Parts
from credit_api.http.auth.keys import Principal
from credit_api.http.callers import as_response, keyed
from credit_api.http.pipeline import Issuer, Keyed, fingerprint
from financing.base.context import Context
from financing.lending.unit import UnitOfWork

IdempotencyDep = Annotated[str, Depends(keyed)]


def _asked(key: str, request: Request, body: BaseModel | None, status: int) -> Keyed:
    plain = None if body is None else body.model_dump(mode="json")
    name = getattr(request.scope.get("endpoint"), "__name__", request.url.path)
    return Keyed(key, fingerprint(request.method, request.url.path, plain), status, name)


async def commit(
    parts: Parts,
    principal: Principal,
    key: str,
    request: Request,
    body: BaseModel | None,
    run: Callable[[UnitOfWork, Context], BaseModel],
    *,
    status: int = 201,
) -> Response:
    """Queue a command on the writer, wait for its commit, and answer with its JSON body."""
    return as_response(await Issuer(parts, principal).commit(_asked(key, request, body, status), run))
