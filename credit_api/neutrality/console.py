"""Claims of carbon neutrality: drafted and matched by their entity, certified or refused by a verifier."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.http.routing import Router
from financing.base.authority import HOLDERS
from financing.base.commands import Id, SignedAt
from financing.base.errors import NotPermitted
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
from financing.registry.neutrality.model import scope_totals
from financing.registry.neutrality.queries import usable

router = Router(include_in_schema=False)
SEES_ALL = ("verifier", "registry")
FOOTPRINT_ROWS, REDUCTION_ROWS = 6, 3
# How many retirements a form lets its reader choose from.
CHOICES = 200


@router.get("/console/neutrality")
def claims(page: PageDep) -> Response:
    """The acting organisation's claims; verifiers and registries see all."""
    return claims_page(page)


def claims_page(page: Page) -> Response:
    principal = page.principal(*HOLDERS, *SEES_ALL)
    entity = None if principal.kind in SEES_ALL else principal.organisation_id
    with page.parts.reading() as connection:
        claimed = UnitOfWork(connection).neutrality.all(entity, window=page.window("claims"))
    return page.render(
        "neutrality.html",
        claimed=claimed,
        holder=principal.kind in HOLDERS,
        footprint_rows=range(1, FOOTPRINT_ROWS + 1),
        reduction_rows=range(1, REDUCTION_ROWS + 1),
    )


@router.post("/console/neutrality")
def draft(post: PostDep) -> Response:
    """State footprint and reductions of a subject over a period; rows left empty are no rows."""
    post.page.principal(*HOLDERS)
    return post.commit(
        lambda: draft_claim.given(
            post.read(
                DraftClaim,
                starts_at=post.start_of("starts_on"),
                ends_at=post.end_of("ends_on"),
                footprint=_footprint(post),
                reductions=_reductions(post),
            )
        ),
        to=lambda claim: f"/console/neutrality/{claim.claim_id}",
        flash="neutrality_drafted",
        again=claims_page,
    )


@router.get("/console/neutrality/{claim_id}")
def claim(page: PageDep, claim_id: Id) -> Response:
    """One claim: its lines, what is matched, and what can be done next."""
    return claim_page(page, claim_id)


def claim_page(page: Page, claim_id: str) -> Response:
    principal = page.principal(*HOLDERS, *SEES_ALL)
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        stated = unit.neutrality.get(claim_id)
        if stated.entity != principal.organisation_id and principal.kind not in SEES_ALL:
            raise NotPermitted("this claim is another organisation's", claim_id=claim_id)
        mine = stated.entity == principal.organisation_id
        left = usable(connection, stated.entity, CHOICES) if mine and stated.state == "drafted" else []
    return page.render(
        "neutrality_claim.html",
        claim=stated,
        scopes=scope_totals(stated),
        mine=mine,
        certifier=principal.kind == "verifier" and not mine,
        usable=left,
        missing=stated.residual - stated.matched,
    )


@router.post("/console/neutrality/{claim_id}/matches")
def match(post: PostDep, claim_id: Id) -> Response:
    """Use up part of a retirement for the claim. A retired kilogram offsets once."""
    return post.commit(
        lambda: match_retirement.given(claim_id, post.read(MatchRetirement)),
        to=f"/console/neutrality/{claim_id}",
        flash="neutrality_matched",
        again=lambda page: claim_page(page, claim_id),
    )


@router.post("/console/neutrality/{claim_id}/certificate")
def certify(post: PostDep, claim_id: Id) -> Response:
    """Certify and sign, and go to the certificate that everyone can see."""
    return post.commit(
        lambda: certify_claim.given(claim_id, post.read(SignedAt)),
        to=lambda certified: f"/neutrality/{certified.certificate_number}",
        flash="neutrality_certified",
        again=lambda page: claim_page(page, claim_id),
    )


@router.post("/console/neutrality/{claim_id}/refusal")
def refuse(post: PostDep, claim_id: Id) -> Response:
    """Refuse: what the claim had matched is free again."""
    return post.commit(
        lambda: refuse_claim.given(claim_id, post.read(RefuseClaim)),
        to=f"/console/neutrality/{claim_id}",
        flash="neutrality_refused",
        again=lambda page: claim_page(page, claim_id),
    )


def _footprint(post: Post) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = [
        {
            "scope": post.whole(f"scope{number}", 1, 3),
            "source": post.text(f"source{number}"),
            "emitted_kg": post.tonnes(f"emitted{number}"),
            "evidence": post.text(f"evidence{number}"),
        }
        for number in range(1, FOOTPRINT_ROWS + 1)
        if post.text(f"source{number}", required=False)
    ]
    if not lines:
        raise FieldInvalid("source1: a footprint has at least one line", "source1")
    return lines


def _reductions(post: Post) -> list[dict[str, object]]:
    return [
        {
            "measure": post.text(f"measure{number}"),
            "reduced_kg": post.tonnes(f"reduced{number}"),
            "evidence": post.text(f"proof{number}"),
        }
        for number in range(1, REDUCTION_ROWS + 1)
        if post.text(f"measure{number}", required=False)
    ]
