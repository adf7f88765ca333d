"""Retirement certificates: anyone can look one up by its number."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep, redirect
from credit_api.console.posting import shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from financing.ledger.serials import parse_serial
from financing.lending.unit import UnitOfWork
from financing.registry.retirement.model import require_certificate_number

router = Router(include_in_schema=False)


@router.get("/certificates")
def look_up(page: PageDep, number: Annotated[str, Query(max_length=64)] = "") -> Response:
    """The form, or on to the certificate."""
    number = number.strip().upper()
    if not number:
        return page.render("certificates.html")
    if number.startswith("SIP-CN-"):
        return redirect(page.request, f"/neutrality/{number}")
    try:
        require_certificate_number(number)
    except REFUSALS as refusal:
        return _refused(page, refusal, number)
    return redirect(page.request, f"/certificates/{number}")


@router.get("/certificates/{number}")
def certificate(page: PageDep, number: str) -> Response:
    """One certificate, printable."""
    try:
        with page.parts.reading() as connection:
            unit = UnitOfWork(connection)
            retirement = unit.retirements.get(require_certificate_number(number))
            issuance_ids = sorted({block.issuance_id for block in retirement.blocks})
            issuances = [unit.issuances.get(each) for each in issuance_ids]
            projects = {each.project_id: unit.projects.get(each.project_id) for each in issuances}
    except REFUSALS as refusal:
        return _refused(page, refusal, number)
    return page.render(
        "certificate.html",
        retirement=retirement,
        issuances=issuances,
        projects=projects,
        serials=[(text, parse_serial(text)) for text in retirement.serials],
    )


def _refused(page: Page, refusal: Exception, number: str) -> Response:
    assert isinstance(refusal, REFUSALS)
    page.shown = shown(refusal, form="certificate", values={"number": [number]})
    return page.render("certificates.html")
