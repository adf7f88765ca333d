"""Coming in and going out: act as an organisation (sandbox), sign in with an API key, language and theme."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.console.navigation import KINDS, START
from credit_api.console.pages import LANG_COOKIE, THEME_COOKIE, THEMES, Page, PageDep, redirect
from credit_api.console.posting import Post, PostDep, again_with
from credit_api.console.security import keep_cookie, local_path
from credit_api.http.auth.keys import authenticate
from credit_api.http.auth.sessions import COOKIE, LIFETIME, close_session, open_session
from credit_api.http.pipeline import REFUSALS
from federated.words import LANGUAGES
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

router = APIRouter(include_in_schema=False)
YEAR_SECONDS = 365 * 86_400


def actors(page: Page) -> list[tuple[str, list[Organisation]]]:
    """Everyone, by kind, in the order of the stories; nobody outside the sandbox, where nobody can be acted as."""
    everyone = page.organisations().values() if page.parts.settings.sandbox else ()
    groups = [(kind, [each for each in everyone if each.kind == kind]) for kind in KINDS]
    return [(kind, members) for kind, members in groups if members]


@router.get("/sign-in")
def sign_in(page: PageDep, back: Annotated[str, Query(max_length=400)] = "") -> Response:
    """Choose whom to act as, or sign in with a key."""
    return page.render("sign_in.html", groups=actors(page), back=local_path(back, ""))


@router.get("/console")
def start(page: PageDep) -> Response:
    """The page that the acting organisation works with most."""
    return redirect(page.request, START[page.principal().kind])


@router.post("/session")
def enter(post: PostDep) -> Response:
    """Start a session: as any organisation in the sandbox, as the key's own elsewhere."""
    page = post.page
    try:
        organisation, person = _who(post)
    except REFUSALS as refusal:
        return again_with(post, refusal, lambda again: sign_in(again, post.text("back", required=False)))
    at, old = page.parts.clock(), page.request.cookies.get(COOKIE)

    def run(unit: UnitOfWork) -> str:
        if old:
            close_session(unit.connection, old)
        return open_session(unit.connection, organisation.id, at, person)

    secret = page.parts.writer.execute(run)
    to = local_path(post.text("back", required=False), START[organisation.kind])
    response = redirect(page.request, to, "entered")
    keep_cookie(page.request, response, COOKIE, secret, seconds=int(LIFETIME.total_seconds()))
    return response


@router.post("/session/end")
def leave(post: PostDep) -> Response:
    """End the session on the server; its cookie is worth nothing afterwards."""
    secret = post.page.request.cookies.get(COOKIE)
    if secret:
        post.page.parts.writer.execute(lambda unit: close_session(unit.connection, secret))
    response = redirect(post.page.request, "/", "left")
    response.delete_cookie(COOKIE, path="/")
    return response


@router.post("/preferences")
def prefer(post: PostDep) -> Response:
    """Remember language or theme in a cookie."""
    response = redirect(post.page.request, local_path(post.text("back", required=False)))
    language, theme = post.text("language", required=False), post.text("theme", required=False)
    if language in LANGUAGES:
        keep_cookie(post.page.request, response, LANG_COOKIE, language, seconds=YEAR_SECONDS)
    if theme in THEMES:
        keep_cookie(post.page.request, response, THEME_COOKIE, theme, seconds=YEAR_SECONDS)
    return response


def _who(post: Post) -> tuple[Organisation, str]:
    """The organisation and the person who acts for it: in the sandbox its officer or the second one, else the key's."""
    second = post.text("second", required=False)
    organisation_id = second or post.text("organisation_id", required=False)
    parts = post.page.parts
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        if organisation_id:
            if not parts.settings.sandbox:
                raise Forbidden("outside the sandbox an organisation signs in with its API key")
            return unit.organisations.get(organisation_id), "second officer" if second else "officer"
        address = client.host if (client := post.page.request.client) else ""
        parts.rates.require_guess(address)
        principal = authenticate(connection, post.text("api_key"))
        if principal is None:
            parts.rates.count_wrong_key(address)
            raise Unauthenticated("this API key is unknown or revoked")
        return unit.organisations.get(principal.organisation_id), principal.person
