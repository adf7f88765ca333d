"""Field types shared by requests and responses. Integers only for what is booked; unknown fields are refused."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from financing.base.quantities import INT64_MAX

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
# No control characters: PostgreSQL stores no NUL, and a line break has no place in a name or a serial.
Text = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]
Fen = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="CNY in fen (0.01 yuan)")]
Kg = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="kg CO2e")]
FenPerTonne = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="fen per tonne CO2e")]
YEARS = range(1990, 2101)


def _within_years(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"a time lies in the years {YEARS.start} to {YEARS.stop - 1}")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_years), Field(description="ISO 8601 with zone")]


class RequestModel(BaseModel):
    """A request body: unknown fields are an error, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseModel(BaseModel):
    """What is shown: `model_validate` reads the attributes of the domain value, so no field is copied by hand."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    def itself(self) -> Self:
        """An answer that a command has made already."""
        return self


class TextPair(ResponseModel):
    """A stable code with its text in Chinese and English."""

    code: str
    zh: str
    en: str


def fields_of(value: object) -> dict[str, Any]:
    """A domain value's fields by name, for a response that shows them beside something else; the rest it ignores."""
    assert is_dataclass(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}
