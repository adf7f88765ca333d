"""Field types shared by requests and responses. Integers only for what is booked; unknown fields are refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from financing.quantities import INT64_MAX

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Text = Annotated[str, Field(min_length=1, max_length=400)]
Fen = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="CNY in fen (0.01 yuan)")]
Kg = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="kg CO2e")]
FenPerTonne = Annotated[int, Field(strict=True, gt=0, le=INT64_MAX, description="fen per tonne CO2e")]
Wh = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX, description="watt-hours")]
Moment = Annotated[AwareDatetime, Field(description="ISO 8601 with zone")]


class RequestModel(BaseModel):
    """A request body: unknown fields are an error, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseModel(BaseModel):
    model_config = ConfigDict(frozen=True)


class TextPair(ResponseModel):
    """A stable code with its text in Chinese and English."""

    code: str
    zh: str
    en: str
