"""The public keys that organisations sign documents with, over JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import Id
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from financing.ledger.public_keys import SigningKey
from financing.ledger.signing import RegisterSigningKey, RevokeSigningKey, register_signing_key, revoke_signing_key
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["signing keys"], responses=PROBLEMS)


@router.post("/signing-keys", status_code=201, response_model=SigningKey)
async def add_signing_key(body: RegisterSigningKey, call: CallDep) -> Response:
    """Register a key of the caller's, with a proof that it has the private half. From then on only its keys sign."""
    return await call.commit(register_signing_key.given(body), answer=lambda key: key)


@router.post("/signing-keys/{public_key}/revocation", response_model=SigningKey)
async def end_signing_key(
    public_key: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], body: RevokeSigningKey, call: CallDep
) -> Response:
    """Let a key sign nothing more. What it signed stays signed."""
    return await call.commit(revoke_signing_key.given(public_key, body), answer=lambda key: key, status=200)


@router.get("/organisations/{organisation_id}/signing-keys")
def list_signing_keys(
    organisation_id: Id, parts: PartsDep, principal: PrincipalDep, paging: PagingDep
) -> list[SigningKey]:
    """Anybody's public keys, revoked ones too, newest first: what signatures are verified against."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        keys = unit.signing_keys.of(unit.organisations.get(organisation_id).id, paging.window)
    return paging.answers(keys, lambda key: key)
