"""Certificates of carbon neutrality: where the code printed on one leads. Anyone can look."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import PageDep
from credit_api.console.posting import shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from financing.ledger.signing import require_known
from financing.lending.unit import UnitOfWork
from financing.registry.neutrality.model import STANDARD, require_neutrality_number, scope_totals

router = Router(include_in_schema=False)


@router.get("/neutrality/{number}")
def neutrality_certificate(page: PageDep, number: str) -> Response:
    """One certificate: footprint, reductions, residual, the retirements matched, and the signature, checked now."""
    try:
        with page.parts.reading() as connection:
            unit = UnitOfWork(connection)
            claim = unit.neutrality.certified(require_neutrality_number(number))
            if claim.signature is not None:
                # By a key on record for the certifier, not just by the one that stands beside the signature.
                require_known(unit, claim.signature, claim.message())
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="certificate", values={"number": [number]})
        return page.render("certificates.html")
    return page.render("neutrality_certificate.html", claim=claim, scopes=scope_totals(claim), standard=STANDARD)
