"""Carbon neutrality from footprint to signed certificate, and the signed documents anyone can download."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from credit_api.certificates.documents import green_document, neutrality_document, retirement_document
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.neutrality.schemas import NeutralityOut
from financing.base.commands import UNSIGNED, Id, SignedAt
from financing.lending.unit import UnitOfWork
from financing.registry.neutrality.commands import (
    DraftClaim,
    MatchRetirement,
    RefuseClaim,
    certify_claim,
    draft_claim,
    match_retirement,
    refuse_claim,
)
from financing.registry.neutrality.model import require_neutrality_number

router = Router(prefix="/v1", tags=["neutrality"], responses=PROBLEMS)
PDF: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
}
PEM: dict[int | str, dict[str, Any]] = {200: {"content": {"application/x-pem-file": {}}}}


@router.post("/neutrality-claims", status_code=201, response_model=NeutralityOut)
async def draft(body: DraftClaim, call: CallDep) -> Response:
    """State footprint and reductions of a subject over a period."""
    return await call.commit(draft_claim.given(body), answer=NeutralityOut.of)


@router.get("/neutrality-claims")
def list_claims(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[NeutralityOut]:
    """The caller's claims of neutrality; verifiers and registries see all."""
    entity = None if principal.kind in {"verifier", "registry"} else principal.organisation_id
    with parts.reading() as connection:
        claims = UnitOfWork(connection).neutrality.all(entity, window=paging.window)
    return paging.answers(claims, NeutralityOut.of)


@router.post("/neutrality-claims/{claim_id}/matches", status_code=201, response_model=NeutralityOut)
async def add_match(claim_id: Id, body: MatchRetirement, call: CallDep) -> Response:
    """Use up part of a retirement for a claim, as its entity. A retired kilogram offsets once, over all claims."""
    return await call.commit(match_retirement.given(claim_id, body), answer=NeutralityOut.of)


@router.post("/neutrality-claims/{claim_id}/certificate", status_code=201, response_model=NeutralityOut)
async def certify(claim_id: Id, call: CallDep, body: SignedAt = UNSIGNED) -> Response:
    """Certify and sign a claim whose residual is covered, as a certifier that is not its entity."""
    return await call.commit(certify_claim.given(claim_id, body), answer=NeutralityOut.of)


@router.post("/neutrality-claims/{claim_id}/refusal", response_model=NeutralityOut)
async def refuse(claim_id: Id, body: RefuseClaim, call: CallDep) -> Response:
    """Refuse a claim as a certifier: what it had matched is free again."""
    return await call.commit(refuse_claim.given(claim_id, body), answer=NeutralityOut.of, status=200)


@router.get("/neutrality-certificates/{certificate_number}")
def show_neutrality(certificate_number: Id, parts: PartsDep) -> NeutralityOut:
    """Look a certificate of carbon neutrality up. Public: no key is needed."""
    require_neutrality_number(certificate_number)
    with parts.reading() as connection:
        return NeutralityOut.of(UnitOfWork(connection).neutrality.certified(certificate_number))


@router.get("/neutrality-certificates/{certificate_number}/document", response_class=Response, responses=PDF)
def download_neutrality(certificate_number: Id, parts: PartsDep) -> Response:
    """The certificate as a signed PDF in Chinese and English. Public."""
    return _pdf(neutrality_document(parts, certificate_number), certificate_number)


@router.get("/certificates/{certificate_number}/document", response_class=Response, responses=PDF)
def download_retirement(certificate_number: Id, parts: PartsDep) -> Response:
    """A retirement certificate as a signed PDF in Chinese and English. Public."""
    return _pdf(retirement_document(parts, certificate_number), certificate_number)


@router.get("/green-certificates/{certificate_number}/document", response_class=Response, responses=PDF)
def download_green(certificate_number: Id, parts: PartsDep) -> Response:
    """A green-electricity certificate as it stands now, signed by the grid company that measured it. Public."""
    return _pdf(green_document(parts, certificate_number), certificate_number)


@router.get("/certificate-authority", response_class=Response, responses=PEM)
def show_authority(parts: PartsDep) -> Response:
    """The root certificate under which documents are signed: trust it in a PDF reader. Public."""
    return Response(parts.authority.root_pem(parts.clock()), media_type="application/x-pem-file")


def _pdf(document: bytes, number: str) -> Response:
    name = "".join(character for character in number if character.isalnum() or character == "-")
    headers = {"Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Response(document, media_type="application/pdf", headers=headers)
