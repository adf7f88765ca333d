"""From a posted form to one committed command: check the token, read the fields, apply once, redirect.

A refused form is shown again with its input and the refusal; a form that was sent twice is applied once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import anyio.from_thread
from fastapi import Depends
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from credit_api.app.errors import InvalidRequest, status_of
from credit_api.audit.model import concerned, thing
from credit_api.audit.refusals import untold
from credit_api.console.formats import fact
from credit_api.console.pages import Page, PageDep, Shown, View, redirect
from credit_api.console.security import Fields, read_fields, require_same_site, require_token
from credit_api.http.auth.sessions import COOKIE
from credit_api.http.pipeline import REFUSALS, Issuer, Keyed, Proposing, Refusal, fingerprint
from financing.base.commands import YEARS, Given, Measure, SignedAt
from financing.base.context import Context
from financing.base.errors import IdempotencyKeyMissing, QuantityOutOfRange
from financing.base.quantities import CHINA_TIME, KG_PER_TONNE, Carbon, Money, Price, checked_int64
from financing.base.storage.idempotency import Answer
from financing.lending.unit import UnitOfWork

SIGNING = frozenset({"to_sign", "signed_at", "signer_id", "public_keys"})
HIDDEN = frozenset({"csrf", "key", "form"})
TEXT_MAX = 400
PROPOSALS = "/console/proposals"


Choice = TypeVar("Choice", bound=StrEnum)
C = TypeVar("C", bound=BaseModel)
R = TypeVar("R")


class Done(BaseModel):
    """Where a command leads and what the page there says; a repeated form is answered with the same."""

    to: str
    flash: str


class FieldInvalid(InvalidRequest):
    """An input of a form cannot be read as what it asks for."""

    def __init__(self, detail: str, field: str) -> None:
        super().__init__(detail, field=field)
        self.field = field


NUMBER = re.compile(r"[+-]?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})")


@dataclass(frozen=True, slots=True)
class Post:
    """A form that was sent by the user's own page."""

    page: Page
    fields: Fields

    def text(self, name: str, *, required: bool = True) -> str:
        """One line of text. Raises `FieldInvalid` when it is missing or longer than the API takes."""
        value = self.fields.get(name, [""])[0].strip()
        if required and not value:
            raise FieldInvalid(f"{name}: a value is needed", name)
        if "\x00" in value:
            raise FieldInvalid(f"{name}: holds a character that no text has", name)
        if len(value) > TEXT_MAX:
            raise FieldInvalid(f"{name}: at most {TEXT_MAX} characters", name)
        return value

    def document(self, name: str) -> str:
        """A pasted document of several lines. Raises `FieldInvalid` when it is missing; a form's size is limited."""
        value = self.fields.get(name, [""])[0].strip()
        if not value:
            raise FieldInvalid(f"{name}: a value is needed", name)
        return value

    def choices(self, name: str, kind: type[Choice]) -> frozenset[Choice]:
        """The boxes that are on. Raises `FieldInvalid` for one that the form does not offer."""
        try:
            return frozenset(kind(each) for each in self.many(name))
        except ValueError:
            raise FieldInvalid(f"{name}: unknown choice", name) from None

    def many(self, name: str) -> list[str]:
        return [value for value in self.fields.get(name, []) if value]

    def checked(self, name: str) -> bool:
        return self.fields.get(name, [""])[0] == "yes"

    def _decimal(self, name: str, scale: int, finest: str) -> int:
        entered = self.text(name).replace(",", "").replace("¥", "").strip()
        # No exponents: 1e999998 is a few characters, and half a minute of arithmetic.
        if not NUMBER.fullmatch(entered):
            raise FieldInvalid(f"{name}: not a number", name)
        scaled = Decimal(entered) * scale
        if scaled != scaled.to_integral_value():
            raise FieldInvalid(f"{name}: the finest unit is {finest}", name)
        return checked_int64(int(scaled), name)

    def yuan(self, name: str) -> Money:
        return Money(self._decimal(name, 100, "¥0.01")).require_positive()

    def tonnes(self, name: str) -> Carbon:
        return Carbon(self._decimal(name, KG_PER_TONNE, "0.001 t")).require_positive()

    def price(self, name: str) -> Price:
        return Price(self._decimal(name, 100, "¥0.01/t")).require_positive()

    def watts(self, name: str) -> int:
        """Nameplate power that was entered in kW."""
        value = self._decimal(name, 1_000, "0.001 kW")
        if value <= 0:
            raise FieldInvalid(f"{name}: more than nothing is needed", name)
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        value = self._decimal(name, 1, "1")
        if not low <= value <= high:
            raise FieldInvalid(f"{name}: between {low} and {high}", name)
        return value

    def day(self, name: str) -> date:
        try:
            day = date.fromisoformat(self.text(name))
        except ValueError:
            raise FieldInvalid(f"{name}: not a date (YYYY-MM-DD)", name) from None
        if day.year not in YEARS:
            raise FieldInvalid(f"{name}: a date lies in the years {YEARS.start} to {YEARS.stop - 1}", name)
        return day

    def start_of(self, name: str) -> datetime:
        """Midnight in China at the start of a day."""
        return datetime.combine(self.day(name), time(), CHINA_TIME)

    def end_of(self, name: str) -> datetime:
        """Midnight in China at the end of a day."""
        return datetime.combine(self.day(name) + timedelta(days=1), time(), CHINA_TIME)

    def days_ahead(self, name: str, most: int) -> datetime:
        """The moment so many days from now."""
        return self.page.parts.clock() + timedelta(days=self.whole(name, 1, most))

    def read(self, model: type[C], **given: object) -> C:
        """The command that the form's inputs say, by its declaration; `given` fields are not read from the form.

        An input is called like its field without the unit and holds what a person enters: yuan, tonnes, kWh, a date.
        Raises `FieldInvalid` with the input that is missing or does not fit.
        """
        values = dict(given)
        for name, field in model.model_fields.items():
            if name not in given and (entered := self._entered(name, field)) is not None:
                values[name] = entered
        try:
            return model.model_validate(values)
        except ValidationError as refused:
            wrong = refused.errors()[0]
            name = input_of(model, str(wrong["loc"][0])) if wrong["loc"] else ""
            raise FieldInvalid(f"{name}: {wrong['msg']}", name) from None

    def _measured(self, name: str, measure: Measure) -> int:
        """A quantity in its smallest unit. Raises `FieldInvalid`, and `QuantityOutOfRange` beside the input."""
        amount = self._decimal(name, measure.scale, measure.finest)
        if not measure.least <= amount <= measure.most:
            raise QuantityOutOfRange(f"{name}: the quantity is too small or too large", field=name)
        return amount

    def _entered(self, name: str, field: FieldInfo) -> object | None:
        """What was entered for a field; None leaves it to its default. Raises `FieldInvalid`."""
        measure, kinds = measure_of(field), set(_kinds(field.annotation))
        name = name.removesuffix(measure.suffix) if measure else name
        if bool in kinds:
            return self.checked(name)
        if kinds & {list, tuple, frozenset}:
            return self.many(name)
        if not self.text(name, required=field.is_required()):
            return None
        if measure is not None:
            return self._measured(name, measure)
        if date in kinds and datetime not in kinds:
            return self.day(name)
        return self._decimal(name, 1, "1") if int in kinds else self.text(name)

    def commit(
        self,
        given: Callable[[], Given[UnitOfWork, R]],
        *,
        to: str | Callable[[R], str],
        flash: str | Callable[[R], str],
        again: View,
        instrument: str | None = None,
    ) -> Response:
        """Commit what the form asks for once and go where it leads; show the page again, with what was entered, if it
        is refused. `given` reads the form, so what it refuses is shown beside its field."""

        def issue(issuer: Issuer, key: str, print_: str) -> Answer:
            command = given()
            asked = self._keyed(key, print_, command.name, command.body)
            run = partial(_run, command, to, flash)
            waiting = Proposing(command.arguments, lambda _: Done(to=PROPOSALS, flash="proposed"), 303)
            return anyio.from_thread.run(partial(issuer.commit, asked, run, instrument=instrument, proposing=waiting))

        return self._issued(issue, again)

    def commit_effect(
        self,
        name: str,
        effect: Callable[[Context], R],
        *,
        to: str | Callable[[R], str],
        flash: str | Callable[[R], str],
        again: View,
    ) -> Response:
        """As `commit`, for an effect outside the books (consents at the nodes, a score inquiry)."""

        def issue(issuer: Issuer, key: str, print_: str) -> Answer:
            asked = self._keyed(key, print_, name)
            return anyio.from_thread.run(issuer.commit_effect, asked, lambda context: _done(effect(context), to, flash))

        return self._issued(issue, again)

    def _keyed(self, key: str, print_: str, name: str, body: BaseModel | None = None) -> Keyed:
        address = self.page.request.path_params
        return Keyed(key, print_, 303, name, concerned(address, body), thing(address, body))

    def _issued(self, issue: Callable[[Issuer, str, str], Answer], again: View) -> Response:
        try:
            issuer = Issuer(self.page.parts, self.page.principal(), cookie=self.page.request.cookies.get(COOKIE))
            answer = issue(issuer, *self.idempotency())
        except REFUSALS as refusal:
            return again_with(self, refusal, again)
        return _leads_to(self.page, answer)

    def idempotency(self) -> tuple[str, str]:
        """The rendered form's key, and what makes two posts of it the same. Raises `IdempotencyKeyMissing`."""
        key = self.fields.get("key", [""])[0]
        if not key or len(key) > 100:
            raise IdempotencyKeyMissing("the form carries no key of its own; open the page again")
        body = {name: values for name, values in self.fields.items() if name not in HIDDEN}
        return f"console:{key}", fingerprint("POST", self.page.request.url.path, body)


async def open_post(page: PageDep, fields: Annotated[Fields, Depends(read_fields)]) -> Post:
    """The form, once it is known to come from the user's own page. Raises `CsrfRejected`."""
    require_same_site(page.request)
    require_token(page.token, fields)
    return Post(page, fields)


PostDep = Annotated[Post, Depends(open_post)]


def measure_of(field: FieldInfo) -> Measure | None:
    """The unit of a field, if it is a quantity."""
    return next((each for each in _metadata(field) if isinstance(each, Measure)), None)


@dataclass(frozen=True, slots=True)
class Input:
    """An input as a declaration asks for it: `kind` is that of HTML, `unit` what a person enters."""

    name: str
    kind: str
    required: bool
    numeric: bool = False


def inputs_of(model: type[BaseModel]) -> tuple[Input, ...]:
    """The inputs of a declaration's own fields, in its order. What they are called on a page: `field.<name>`."""
    signing = SignedAt.model_fields  # asked for when the text to sign is known
    return tuple(_input(model, name, field) for name, field in model.model_fields.items() if name not in signing)


def _input(model: type[BaseModel], name: str, field: FieldInfo) -> Input:
    kinds = set(_kinds(field.annotation))
    if bool in kinds:
        return Input(name, "box", required=False)
    kind = "date" if date in kinds else "text"
    numeric = int in kinds or measure_of(field) is not None
    return Input(input_of(model, name), kind, field.is_required(), numeric)


def input_of(model: type[BaseModel], name: str) -> str:
    """What the input of a field is called: the field without its unit."""
    field = model.model_fields.get(name)
    measure = measure_of(field) if field is not None else None
    return name.removesuffix(measure.suffix) if measure else name


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for part in get_args(field.annotation):
        yield from getattr(part, "__metadata__", ())


def _kinds(annotation: Any) -> Iterator[Any]:
    """The plain types that an annotation names, unions and `Annotated` looked into."""
    origin = get_origin(annotation)
    if origin in {list, tuple, frozenset}:
        yield origin
    elif origin is Literal:
        yield str
    elif origin is None:
        yield annotation
    else:
        for part in get_args(annotation)[: 1 if origin is Annotated else None]:
            yield from _kinds(part)


def _run(
    command: Given[UnitOfWork, R],
    to: str | Callable[[R], str],
    flash: str | Callable[[R], str],
    unit: UnitOfWork,
    context: Context,
) -> Done:
    return _done(command.run(unit, context), to, flash)


def _done(result: R, to: str | Callable[[R], str], flash: str | Callable[[R], str]) -> Done:
    return Done(to=to(result) if callable(to) else to, flash=flash(result) if callable(flash) else flash)


def again_with(post: Post, refusal: Refusal, again: View) -> Response:
    """The page with the refusal and the form's input."""
    event = untold(post.page.request, post.page.parts, refusal.code)
    if event is not None:
        post.page.parts.audit.note(event)
    form = post.fields.get("form", [""])[0]
    post.page.shown = shown(refusal, form=form, values=post.fields)
    return again(post.page)


def shown(refusal: Refusal, *, form: str = "", values: Fields | None = None) -> Shown:
    """A refusal as a page shows it."""
    return Shown(
        code=refusal.code,
        status=status_of(refusal.code),
        detail=refusal.detail,
        facts=tuple(
            (name, fact(name, value))
            for name, value in refusal.context.items()
            if value is not None and not (name in SIGNING and "to_sign" in refusal.context)
        ),
        signing={name: str(refusal.context.get(name, "")) for name in SIGNING} if "to_sign" in refusal.context else {},
        form=form,
        wrong=str(refusal.context.get("field", "")),
        values=values or {},
    )


def _leads_to(page: Page, answer: Answer) -> Response:
    done = Done.model_validate(answer.body)
    return redirect(page.request, done.to, done.flash, replayed="yes" if answer.replayed else "")
