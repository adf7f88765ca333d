"""A page: who looks at it, in which language, and how it is rendered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.console import formats
from credit_api.console.navigation import links_for
from credit_api.console.security import VISITOR_COOKIE, Fields, keep_cookie, local_path, new_token
from credit_api.console.texts import pair, text
from credit_api.http.auth.known_keys import mark_used
from credit_api.http.auth.principal import Principal, digest
from credit_api.http.auth.sessions import COOKIE, Session, find_session
from credit_api.http.callers import PartsDep
from credit_api.http.paging import as_cursor, window_at
from federated.words import LANGUAGES, Language
from financing.base.context import Context
from financing.base.storage.paging import Page as Rows
from financing.base.storage.paging import Window
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

# How many rows of a list a page shows before it leads on to the next part.
SHOWN = 50
HERE = Path(__file__).parent
STATIC = HERE / "static"
LANG_COOKIE, THEME_COOKIE, FLASH_COOKIE = "tanxin_lang", "tanxin_theme", "tanxin_flash"
THEMES = ("auto", "light", "dark")
# A page shows money and scores of one organisation: no shared cache may keep it.
HEADERS = {"Cache-Control": "no-store"}

templates = Environment(
    loader=FileSystemLoader([HERE / "templates", *sorted(HERE.parent.glob("*/templates"))]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(formats.FILTERS)


def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


ASSETS = {
    name: f"/console/static/{name}?v={_digest(name)}"
    for name in ("console.css", "console.js", "market.js", "sealed.js", "signing.js", "mark.svg")
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A refusal as a page shows it. `form` is the form that was refused, `wrong` the input at fault if one is. With
    `signing` the form is sent again with a signature: on `to_sign`, by a key of `public_keys`, as of `signed_at`."""

    code: str
    status: int
    detail: str
    facts: tuple[tuple[str, str], ...] = ()
    form: str = ""
    wrong: str = ""
    values: Fields = dataclasses.field(default_factory=dict)
    signing: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(slots=True)
class Page:
    """One request of a browser. `session` is None for a visitor; `token` goes into every form."""

    request: Request
    parts: Parts
    session: Session | None
    lang: Language
    theme: str
    token: str
    shown: Shown | None = None
    _everyone: dict[str, Organisation] | None = None
    _found: dict[str, Organisation | None] = dataclasses.field(default_factory=dict)

    def t(self, key: str, /, **values: object) -> str:
        return text(self.lang, key, **values)

    def pick(self, zh: str, en: str) -> str:
        return zh if self.lang == "zh" else en

    def principal(self, *kinds: str) -> Principal:
        """Who acts. Raises `Unauthenticated` for a visitor, `Forbidden` for an organisation of another kind."""
        if self.session is None:
            raise Unauthenticated("choose an organisation to act as, or sign in with an API key")
        if kinds and self.session.principal.kind not in kinds:
            raise Forbidden(f"this page is for a {' or '.join(kinds)}", kind=self.session.principal.kind)
        return self.session.principal

    def note_read(self, what: str, concerns: str = "") -> None:
        """Store that personal data are about to be shown, before they are: what is not stored is not shown."""
        self.parts.audit.note(AuditEvent.read(self.principal(), self.parts.clock(), what, concerns=concerns))

    def context(self) -> Context:
        return self.parts.context(self.principal())

    def organisations(self) -> dict[str, Organisation]:
        """Everyone, by id; read once a page, by pages that let their reader choose among all."""
        if self._everyone is None:
            with self.parts.reading() as connection:
                self._everyone = {each.id: each for each in UnitOfWork(connection).organisations.all()}
        return self._everyone

    def organisation(self, organisation_id: str) -> Organisation | None:
        """One of them, if it is on record; each is read once a page."""
        if self._everyone is not None:
            return self._everyone.get(organisation_id)
        if organisation_id not in self._found:
            with self.parts.reading() as connection:
                self._found[organisation_id] = UnitOfWork(connection).organisations.find(organisation_id)
        return self._found[organisation_id]

    def of_kind(self, *kinds: str) -> list[Organisation]:
        """Those of some kinds, by kind and id."""
        if self._everyone is not None:
            return [each for each in self._everyone.values() if each.kind in kinds]
        with self.parts.reading() as connection:
            return list(UnitOfWork(connection).organisations.all(*kinds))

    def name(self, organisation_id: str) -> str:
        """An organisation's name in the page's language, or its id if it is not on record."""
        organisation = self.organisation(organisation_id)
        return organisation_id if organisation is None else self.pick(organisation.name_zh, organisation.name_en)

    def value(self, form: str, name: str, default: str = "") -> str:
        """What an input shows: what was entered if the form was refused, the default otherwise."""
        if self.shown is not None and self.shown.form == form:
            return self.shown.values.get(name, [""])[0]
        return default

    def chosen(self, form: str, name: str, value: str, default: bool = False) -> bool:
        """Whether a box or option is on."""
        if self.shown is not None and self.shown.form == form:
            return value in self.shown.values.get(name, [])
        return default

    def here(self) -> str:
        """This page's own address; the address that a refused form was sent to cannot be opened, so it is left out."""
        if self.request.method != "GET":
            return local_path(self.request.headers.get("Referer", "").partition(self.request.url.netloc)[2])
        query = f"?{self.request.url.query}" if self.request.url.query else ""
        return local_path(self.request.url.path + query)

    def window(self, name: str, most: int = SHOWN) -> Window:
        """The part of the list `name` that this page shows. Raises `InvalidRequest` for a cursor that no page gave."""
        return window_at(self.asked().get(name), most, self._list(name))

    def _list(self, name: str) -> str:
        return f"{self.here().partition('?')[0]}#{name}"

    def asked(self) -> dict[str, str]:
        """The query of this page's own address: which part of each of its lists was asked for."""
        return dict(parse_qsl(self.here().partition("?")[2]))

    def part(self, name: str, rows: Rows[Any] | None = None) -> str:
        """The address of this page with the part of the list `name` after these rows, or (None) with its start."""
        query = {key: value for key, value in self.asked().items() if key != name}
        if rows is not None and rows.last is not None:
            query[name] = as_cursor(rows.last, self._list(name))
        path = self.here().partition("?")[0]
        return f"{path}{'?' + urlencode(query) if query else ''}#{name}"

    def render(self, template: str, **values: Any) -> Response:
        """The page. Its status is that of the refusal it shows, if it shows one."""
        flash = _read_flash(self.request)
        status = self.shown.status if self.shown is not None else 200
        shared: dict[str, Any] = {
            "page": self,
            "t": self.t,
            "assets": ASSETS,
            "acting": self.session.principal if self.session else None,
            "links": links_for(self.session.principal.kind) if self.session else (),
            "sandbox": self.parts.settings.sandbox,
            "flash": flash,
            "new_key": new_token,
        }
        body = templates.get_template(template).render(shared | values)
        response = HTMLResponse(body, status_code=status, headers=HEADERS)
        if flash:
            response.delete_cookie(FLASH_COOKIE, path="/")
        if self.session is None and self.request.cookies.get(VISITOR_COOKIE) != self.token:
            keep_cookie(self.request, response, VISITOR_COOKIE, self.token)
        return response


def open_page(request: Request, parts: PartsDep) -> Page:
    """Who asks, by the session cookie, and how they want it shown."""
    secret, at = request.cookies.get(COOKIE), parts.clock()
    session = None
    if secret:
        with parts.reading() as connection:
            session = find_session(connection, secret, at)
        if session is not None and session.is_due(at):
            parts.writer.submit(lambda unit: mark_used(unit.connection, digest(secret), at))
    if session is not None:
        request.state.principal = session.principal
    token = session.csrf_token if session else request.cookies.get(VISITOR_COOKIE) or new_token()
    theme = request.cookies.get(THEME_COOKIE, "auto")
    return Page(request, parts, session, language_of(request), theme if theme in THEMES else "auto", token)


PageDep = Annotated[Page, Depends(open_page)]


def language_of(request: Request) -> Language:
    """What the reader chose, else what the browser prefers."""
    chosen = request.cookies.get(LANG_COOKIE)
    if chosen in LANGUAGES:
        return "zh" if chosen == "zh" else "en"
    return "zh" if request.headers.get("Accept-Language", "").lower().startswith("zh") else "en"


def redirect(request: Request, to: str, flash: str = "", **facts: str) -> Response:
    """See Other, with a message that the next page shows once."""
    response = RedirectResponse(local_path(to), status_code=303, headers=HEADERS)
    if flash:
        keep_cookie(request, response, FLASH_COOKIE, quote(json.dumps({"key": flash, **facts})), seconds=60)
    return response


def _read_flash(request: Request) -> Mapping[str, str]:
    try:
        flash = json.loads(unquote(request.cookies.get(FLASH_COOKIE, "")))
    except ValueError:
        return {}
    if not isinstance(flash, dict) or pair(f"flash.{flash.get('key')}") is None:
        return {}
    return {"key": str(flash["key"]), "replayed": str(flash.get("replayed", ""))}


View = Callable[[Page], Response]
