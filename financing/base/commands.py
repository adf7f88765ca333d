"""A command, declared once: what it takes, who may issue it, and the handler that does it.

What it takes is a pydantic model with unit types; the JSON body, the console's form and the OpenAPI document read it.
Who may issue it stands in `financing.base.authority` under the handler's name. The handler, under `@use_case`, is a
plain function of the unit of work, the context and the command.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from inspect import signature
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from financing.base.authority import May, authority_of
from financing.base.context import Context
from financing.base.errors import QuantityOutOfRange
from financing.base.quantities import INT64_MAX, KG_PER_TONNE, Carbon, Energy, Money, Price, Rate

U_contra = TypeVar("U_contra", contravariant=True)
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
YEARS = range(1990, 2101)
SIGNING_TIME = timedelta(minutes=15)


class Command(BaseModel):
    """What a command takes. Unknown fields are an error, not a wish."""

    # What was sent is in no error and no log: it may be a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, given: Any) -> Any:
        """A day or a moment is written as ISO 8601 has it: a bare number would be read as seconds since 1970."""
        for name in _temporal(cls) if isinstance(given, dict) else ():
            value = given.get(name)
            if isinstance(value, int | float | str) and not ISO.match(str(value)):
                raise ValueError(f"{name}: a date or a time is written as in ISO 8601")
        return given


ISO = re.compile(r"\d{4}-\d\d-\d\d")


@cache
def _temporal(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model that hold a day or a moment."""
    times = {date, datetime, AwareDatetime}
    return frozenset(
        name for name, field in model.model_fields.items() if times & {field.annotation, *get_args(field.annotation)}
    )


@dataclass(frozen=True, slots=True)
class UseCase(Generic[U_contra, P, R]):
    """A handler with its row of the table of authority.

    Called like the function it wraps, it refuses others with `NotPermitted`, whichever way the command came.
    """

    handler: Callable[Concatenate[U_contra, Context, P], R]
    may: May

    @property
    def name(self) -> str:
        return self.handler.__name__

    def __call__(self, unit: U_contra, context: Context, *args: P.args, **kwargs: P.kwargs) -> R:
        context.actor.require(self.may)
        return self.handler(unit, context, *args, **kwargs)

    def given(self, *args: P.args, **kwargs: P.kwargs) -> Given[U_contra, R]:
        """The command with what it was given, to be run by whoever has a unit of work."""
        body = next((each for each in (*args, *kwargs.values()) if isinstance(each, BaseModel)), None)
        run = partial(self._run, args, kwargs)
        return Given(self.name, body, run, partial(self._arguments, args, kwargs))

    def again(self, arguments: Mapping[str, Any], **others: Any) -> Given[U_contra, R]:
        """The command of before from what `Given.arguments` told of it, and from what that left out."""
        hints = get_type_hints(self.handler, include_extras=True)
        read = {name: TypeAdapter(hints[name]).validate_python(value) for name, value in arguments.items()}
        given: Any = self.given
        return cast(Given[U_contra, R], given(**read, **others))

    def _run(self, args: Any, kwargs: Any, unit: U_contra, context: Context) -> R:
        return self(unit, context, *args, **kwargs)

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any]:
        bound = signature(self.handler).bind(None, None, *args, **kwargs).arguments
        return {name: _plain(value) for name, value in bound.items() if isinstance(value, BaseModel | str | int)}


@dataclass(frozen=True, slots=True)
class Given(Generic[U_contra, R]):
    """One issue of a command: its name in the audit trail, its body, what runs it, and its arguments as JSON."""

    name: str
    body: BaseModel | None
    run: Callable[[U_contra, Context], R]
    arguments: Callable[[], dict[str, Any]]

    def within(self, changed: Callable[[Context], Context]) -> Given[U_contra, R]:
        """The same command, run in another context."""
        run = self.run
        return Given(self.name, self.body, lambda unit, context: run(unit, changed(context)), self.arguments)

    def then(self, show: Callable[[U_contra, Context, R], S]) -> Given[U_contra, S]:
        """The same command, whose answer is made of its result in the same unit of work."""
        run = self.run
        return Given(
            self.name, self.body, lambda unit, context: show(unit, context, run(unit, context)), self.arguments
        )


def _plain(value: BaseModel | str | int) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def use_case(handler: Callable[Concatenate[U_contra, Context, P], R]) -> UseCase[U_contra, P, R]:
    """Declare the handler below as a command; who may issue it stands in the table of authority under its name."""
    return UseCase(handler, authority_of(handler.__name__))


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity that crosses the border as an integer of its smallest unit, from `least` to `most`.

    `suffix` ends the names of such fields; a person enters `scale` of the smallest units as one, `finest` at the least.
    """

    kind: type[Any]
    suffix: str
    scale: int
    finest: str
    least: int = 1
    most: int = INT64_MAX

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.int_schema(strict=True, ge=self.least, le=self.most)
        return core_schema.no_info_after_validator_function(
            self.kind,
            core_schema.no_info_before_validator_function(_amount, number),
            serialization=core_schema.plain_serializer_function_ser_schema(_amount, return_schema=number),
        )


def _amount(value: Any) -> Any:
    return getattr(value, "amount", value)


def _within_years(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"a time lies in the years {YEARS.start} to {YEARS.stop - 1}")
    return moment


Fen = Annotated[Money, Measure(Money, "_fen", 100, "¥0.01"), Field(description="CNY in fen (0.01 yuan)")]
Kilograms = Annotated[Carbon, Measure(Carbon, "_kg", KG_PER_TONNE, "0.001 t"), Field(description="kg CO2e")]
KilogramsFromZero = Annotated[
    Carbon, Measure(Carbon, "_kg", KG_PER_TONNE, "0.001 t", least=0), Field(description="kg CO2e")
]
FenPerTonne = Annotated[
    Price, Measure(Price, "_fen_per_tonne", 100, "¥0.01/t"), Field(description="fen per tonne CO2e")
]
WattHours = Annotated[Energy, Measure(Energy, "_wh", 1_000, "0.001 kWh", least=0), Field(description="watt-hours")]
Watts = Annotated[int, Measure(int, "_w", 1_000, "0.001 kW"), Field(description="nameplate power in W")]
BasisPoints = Annotated[Rate, Measure(Rate, "_bps", 1, "0.01 %", least=0), Field(description="basis points")]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
# No control characters: PostgreSQL stores no NUL, and a line break has no place in a name or a serial.
Text = Annotated[
    str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
AssetCode = Annotated[
    str, Field(pattern=r"^(PHCER|PKG):[A-Za-z0-9_.-]{1,75}$", description="credits or package units on the ledger")
]
# What a person writes may have lines.
Remark = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519, 64 hex digits")]
SignatureHex = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519, 128 hex digits")]
Moment = Annotated[AwareDatetime, AfterValidator(_within_years), Field(description="ISO 8601 with zone")]


class Signed(Command):
    """A command that its organisation signs with a key of its own, once it has registered one."""

    signature: SignatureHex | None = None


class SignedAt(Signed):
    """One whose document carries the moment of signing, as the text to sign has it: not older than `SIGNING_TIME`."""

    signed_at: Moment | None = None

    def moment(self, at: datetime) -> datetime:
        """When it was signed, by its own word if that is near `at`. Raises `QuantityOutOfRange`."""
        if self.signed_at is None:
            return at
        if not at - SIGNING_TIME <= self.signed_at <= at:
            raise QuantityOutOfRange("signed too long ago, or in the future: ask for the text anew", field="signed_at")
        return self.signed_at.astimezone(UTC)


UNSIGNED = SignedAt()
