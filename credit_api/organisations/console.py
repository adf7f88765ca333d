"""Coming in and going out: sign in, act as an organisation (sandbox), language and theme."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from credit_api.app.errors import Forbidden
from credit_api.app.sandbox import OFFICER, SECOND, officer
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.refusals import address_of
from credit_api.console.navigation import KINDS, START
from credit_api.console.pages import LANG_COOKIE, THEME_COOKIE, THEMES, Page, PageDep, redirect
from credit_api.console.posting import Post, PostDep, again_with
from credit_api.console.security import keep_cookie, local_path
from credit_api.http.auth.principal import Principal
from credit_api.http.auth.sessions import COOKIE, LIFETIME, close_session
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from credit_api.organisations.people import SignIn
from credit_api.organisations.people_api import admitted, begun
from federated.words import LANGUAGES
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)
YEAR_SECONDS = 365 * 86_400


def actors(page: Page) -> list[tuple[str, list[Organisation]]]:
    """Everyone, by kind, in the order of the stories; nobody outside the sandbox, where nobody can be acted as."""
    everyone = page.organisations().values() if page.parts.settings.sandbox else ()
    groups = [(kind, [each for each in everyone if each.kind == kind]) for kind in KINDS]
    return [(kind, members) for kind, members in groups if members]


@router.get("/sign-in")
def sign_in(page: PageDep, back: Annotated[str, Query(max_length=400)] = "") -> Response:
    """Sign in with a password and a one-time code; in a sandbox choose whom to act as, or show a key."""
    return page.render("sign_in.html", groups=actors(page), back=local_path(back, ""))


@router.get("/console")
def start(page: PageDep) -> Response:
    """The page that the acting organisation works with most."""
    return redirect(page.request, START[page.principal().kind])


@router.post("/session")
def enter(post: PostDep) -> Response:
    """Start a session: with login, password and one-time code; in a sandbox as anybody, or with an API key."""
    page = post.page
    try:
        principal, secret = _entered(post)
    except REFUSALS as refusal:
        return again_with(post, refusal, lambda again: sign_in(again, post.text("back", required=False)))
    to = local_path(post.text("back", required=False), START[principal.kind])
    response = redirect(page.request, to, "entered")
    keep_cookie(page.request, response, COOKIE, secret, seconds=int(LIFETIME.total_seconds()))
    return response


@router.post("/session/end")
def leave(post: PostDep) -> Response:
    """End the session on the server; its cookie is worth nothing afterwards."""
    secret = post.page.request.cookies.get(COOKIE)
    if secret:
        parts, at, left = post.page.parts, post.page.parts.clock(), post.page.session

        def run(unit: UnitOfWork) -> None:
            close_session(unit.connection, secret, at)
            if left is not None:
                parts.audit.record(unit, AuditEvent.of(left.principal, at, "sign_out", "committed"))

        parts.writer.execute(run)
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


def _entered(post: Post) -> tuple[Principal, str]:
    """Who comes in, and the secret of the session. The one before, in this browser, ends."""
    page = post.page
    parts, at, old = page.parts, page.parts.clock(), page.request.cookies.get(COOKIE)
    acting = post.text("second", required=False) or post.text("organisation_id", required=False)
    address = address_of(page.request)
    if acting:
        opened = _acted_as(post, acting)
    elif post.text("api_key", required=False):
        with parts.rates.guessing(address):
            opened = _with_key(parts, post.text("api_key"))
    else:
        asked = post.read(SignIn)
        with parts.rates.guessing(address, asked.login):
            opened = admitted(parts, asked, token=False)
    if old:
        parts.writer.execute(lambda unit: close_session(unit.connection, old, at))
    return opened


def _acted_as(post: Post, organisation_id: str) -> tuple[Principal, str]:
    """As an organisation's officer, or its second one: in a sandbox only."""
    parts, name = post.page.parts, SECOND if post.text("second", required=False) else OFFICER
    if not parts.settings.sandbox:
        raise Forbidden("outside the sandbox people sign in with a password and a one-time code")

    def run(unit: UnitOfWork) -> tuple[Principal, str]:
        organisation, at = unit.organisations.get(organisation_id), parts.clock()
        person = officer(unit, organisation.id, name, at)
        principal = Principal(
            organisation.id, organisation.kind, organisation.name_zh, organisation.name_en, person.person_id
        )
        return principal, begun(parts, unit, principal, at)

    return parts.writer.execute(run)


def _with_key(parts: Parts, key: str) -> tuple[Principal, str]:
    """With an API key, in a sandbox: the session ends with the key."""
    at = parts.clock()
    with parts.reading() as connection:
        principal = parts.known_keys.learn(connection, key, at)
    return principal, parts.writer.execute(lambda unit: begun(parts, unit, principal, at, key=key))
