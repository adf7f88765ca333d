"""Field types shared by requests and responses. Integers only for what is booked; unknown fields are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any, Self

from pydantic import AliasChoices, AliasGenerator, AliasPath, BaseModel, ConfigDict, Field, field_validator

from financing.base import commands
from financing.base.storage.store import QUANTITIES, bare

Id = commands.Id
# No control characters: PostgreSQL stores no NUL, and a line break has no place in a name or a serial.
Text = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]


class RequestModel(BaseModel):
    """A request body: unknown fields are an error, not a wish."""

    # What was sent is in no error and no log: it may be a password.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _attribute(name: str) -> AliasChoices:
    """Where an answer's field is read: at the attribute of its name, or of its name without the ending."""
    return AliasChoices(name, bare(name))


def read(path: str, *, description: str | None = None) -> Any:
    """A field of an answer that is read elsewhere: `read("pledge.lot.asset_class")`.

    It is None where what stands before a `?` is None: `read("statement?.verifier")`.
    """
    paths = [path.replace("?", ""), *([path.partition("?")[0]] if "?" in path else [])]
    choices = AliasChoices(*(AliasPath(*each.split(".")) for each in paths))
    return Field(validation_alias=choices, description=description)


class ResponseModel(BaseModel):
    """What is shown: it reads the attributes of the domain value, so no field is copied by hand.

    `quantity_kg` is read from `quantity_kg` or `quantity`, `seller_id` from `seller_id` or `seller`.
    """

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        validate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=_attribute),
    )

    @field_validator("*", mode="before")
    @classmethod
    def _in_its_unit(cls, value: Any) -> Any:
        """A quantity is shown as the integer of its unit."""
        return value.amount if isinstance(value, QUANTITIES) else value

    @classmethod
    def of(cls, value: Any, /) -> Self:
        """The answer that shows a domain value."""
        return cls.model_validate(value)

    @classmethod
    def joined(cls, *values: object, **known: object) -> Self:
        """The answer that shows several values, an earlier one before a later, and what none of them knows."""
        return cls.model_validate(_Joined((SimpleNamespace(**known), *values)))

    def itself(self) -> Self:
        """An answer that a command has made already."""
        return self


class _Joined:
    """Several values as one, with the attributes of all."""

    def __init__(self, values: tuple[object, ...]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return getattr(next((each for each in self._values if hasattr(each, name)), None), name)


class TextPair(ResponseModel):
    """A stable code with its text in Chinese and English."""

    code: str
    zh: str
    en: str
