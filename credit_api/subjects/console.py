"""A firm's own record: who asked, what was used, the consents it gave, to be withdrawn, and signed in a sandbox."""

from __future__ import annotations

import json
from datetime import timedelta

from fastapi.responses import Response

from credit_api.app.errors import Forbidden
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, PostDep, shown
from credit_api.http.pipeline import REFUSALS, id_from_key
from credit_api.http.routing import Router
from credit_api.scores.inquiries import inquiries
from credit_api.scores.scoring import with_reasons
from credit_api.subjects.rights import NodeUse, consents_of, own_subject, uses_of, withdraw_own
from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import DataMissing
from financing.base.commands import Id
from financing.base.quantities import business_date
from financing.base.storage.paging import Page as Rows

router = Router(include_in_schema=False)
CONSENT_DAYS = 365


@router.get("/console/record")
def record(page: PageDep) -> Response:
    """Inquiries about the acting firm, uses of its data and its consents; empty for one that no bank knows."""
    return record_page(page)


def record_page(page: Page, signed: str = "") -> Response:
    """`signed` is a consent that was just signed here, as the document to hand to the bank."""
    principal = page.principal("developer", "buyer")
    at = page.parts.clock()
    consents: Rows[ConsentRecord] = Rows([])
    uses: Rows[NodeUse] = Rows([])
    silent: tuple[str, ...] = ()
    try:
        subject = own_subject(page.parts, principal)
    except Forbidden:
        return page.render("record.html", subject=None)
    page.note_read("own_record", subject)
    with page.parts.reading() as connection:
        asked = inquiries(connection, subject_id=subject, window=page.window("inquiries"))
    asked = asked.map(lambda rows: [with_reasons(page.parts, each) for each in rows])
    try:
        consents = consents_of(page.parts, subject, page.window("consents"))
        uses, silent = uses_of(page.parts, subject, page.window("uses"))
    except DataMissing:
        consents = Rows([])
    usable = [each for each in consents if each.withdrawn_at is None and each.valid_from <= at < each.valid_until]
    return page.render(
        "record.html",
        subject=subject,
        asked=asked,
        consents=consents,
        usable=usable,
        uses=uses,
        silent=silent,
        signed=signed,
        banks=page.of_kind("bank") if page.parts.subject_signer else [],
        grids=page.of_kind("grid"),
        served_by=page.parts.subject_signer.grid_of(subject) if page.parts.subject_signer else "",
        purposes=list(Purpose),
        scopes=list(DataScope),
        today=business_date(at),
        until=business_date(at) + timedelta(days=CONSENT_DAYS),
    )


@router.post("/console/record/signatures")
def sign(post: PostDep) -> Response:
    """Sign a consent as the acting firm, with the key that the sandbox keeps for it. Records nothing anywhere."""
    page = post.page
    principal = page.principal("developer", "buyer")
    signer = page.parts.subject_signer
    if signer is None:
        raise Forbidden("a firm signs with a key of its own; only a sandbox keeps one for it")
    subject = own_subject(page.parts, principal)
    try:
        return record_page(page, json.dumps(as_document(signer.sign(_draft(post, subject))), indent=1))
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="sign", values=post.fields)
        return record_page(page)


def _draft(post: Post, subject: str) -> ConsentRecord:
    key, _ = post.idempotency()
    scope = post.choices("scope", DataScope)
    return ConsentRecord(
        consent_id=id_from_key("con", subject, key),
        subject_id=subject,
        bank_id=post.text("bank_id"),
        purposes=post.choices("purposes", Purpose),
        scope=scope,
        valid_from=post.start_of("valid_from"),
        valid_until=post.end_of("valid_until"),
        grid_id=post.text("grid_id", required=DataScope.ELECTRICITY in scope),
    )


@router.post("/console/record/withdrawals/{consent_id}")
def withdraw(post: PostDep, consent_id: Id) -> Response:
    """Withdraw an own consent everywhere: the next score under it is refused."""
    page = post.page
    subject = own_subject(page.parts, page.principal("developer", "buyer"))

    return post.commit_effect(
        "withdraw_my_consent",
        lambda context: withdraw_own(page.parts, subject, consent_id, context.at),
        to="/console/record",
        flash="consent_withdrawn",
        again=record_page,
    )
