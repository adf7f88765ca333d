"""A firm's own record: who asked for its score and why, and the consents it gave, to be withdrawn."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Done, PostDep, apply_outside
from credit_api.errors import Forbidden
from credit_api.schemas.common import Id
from credit_api.subject_rights import consents_of, inquiries_on, own_subject, withdraw_own
from federated.consent.record import ConsentRecord
from federated.errors import DataMissing
from financing.services.context import Context

router = APIRouter(include_in_schema=False)
LIMIT = 100


@router.get("/console/record")
def record(page: PageDep) -> Response:
    """Inquiries about the acting firm and its consents; an empty page for one that no bank knows as a customer."""
    return record_page(page)


def record_page(page: Page) -> Response:
    principal = page.principal("developer", "buyer")
    at = page.parts.clock()
    consents: list[ConsentRecord] = []
    try:
        subject = own_subject(page.parts, principal)
    except Forbidden:
        return page.render("record.html", subject=None, asked=[], consents=[], usable=[], limit=LIMIT)
    with page.parts.reading() as connection:
        asked = inquiries_on(connection, subject, LIMIT)
    try:
        consents = consents_of(page.parts, subject)
    except DataMissing:
        consents = []
    usable = [each for each in consents if each.withdrawn_at is None and each.valid_from <= at < each.valid_until]
    return page.render("record.html", subject=subject, asked=asked, consents=consents, usable=usable, limit=LIMIT)


@router.post("/console/record/withdrawals/{consent_id}")
def withdraw(post: PostDep, consent_id: Id) -> Response:
    """Withdraw an own consent everywhere: the next score under it is refused."""
    page = post.page
    subject = own_subject(page.parts, page.principal("developer", "buyer"))

    def effect(context: Context) -> Done:
        withdraw_own(page.parts, subject, consent_id, context.at)
        return Done(to="/console/record", flash="consent_withdrawn")

    return apply_outside(post, effect, record_page)
