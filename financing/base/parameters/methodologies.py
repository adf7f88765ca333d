"""The shape of a methodology file: what is measured and declared, cited parameters, named steps, rules, lifecycle.

Values are quoted decimals, so that they are exact. `financing.registry.methodology` checks what the formulas mean.
"""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from financing.base.errors import CorruptData
from financing.base.parameters.records import Bps, Mark, Source

Status = Literal["draft", "consultation", "approved", "superseded"]
STATUSES: tuple[Status, ...] = ("draft", "consultation", "approved", "superseded")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Exact = Annotated[str, Field(pattern=r"^-?\d{1,15}(\.\d{1,12})?$")]
Label = Annotated[str, Field(min_length=1, max_length=200)]
PERIOD_YEARS = "period_years"  # the period as a share of its calendar year: every formula may use it


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Strict):
    """From this day the version has this status."""

    status: Status
    on: date


class Role(_Strict):
    """A meter's part in the project. `checks` names its plausibility limits."""

    zh: Label
    en: Label
    checks: Literal["pv", "load"]


class MeteredInput(_Strict):
    """Summed over the meters of `role`: what they metered, or what their export register did."""

    kind: Literal["metered"]
    role: Name
    channel: Literal["energy", "export"] = "energy"
    unit: str
    zh: Label
    en: Label


class DeclaredInput(_Strict):
    """Stated by the owner for the period, with evidence unless it has a default."""

    kind: Literal["declared"]
    unit: str
    zh: Label
    en: Label
    default: Exact | None = None
    at_most: Exact | None = None
    evidence: bool = True


class Choice(_Strict):
    """A variant that a project takes at registration, for good; the first option is the default."""

    zh: Label
    en: Label
    options: tuple[Name, ...] = Field(min_length=1)
    labels: dict[str, tuple[Label, Label]]

    @model_validator(mode="after")
    def _every_option_is_labelled(self) -> Self:
        if set(self.labels) != set(self.options) or len(set(self.options)) != len(self.options):
            raise ValueError("every option occurs once and has a label in Chinese and English")
        return self


class Value(_Strict):
    """A constant with its source, or the key of a dated record in `table`; exactly one of the two."""

    value: Exact | None = None
    table: Literal["grid_factor", "reference_value"] | None = None
    key: str | None = None
    alternatives: tuple[str, ...] = ()
    source: Source | None = None
    mark: Mark | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        constant = self.value is not None and self.source is not None and self.mark is not None
        reference = self.table is not None and self.key is not None
        if constant is reference or (reference and self.value is not None) or (self.alternatives and not reference):
            raise ValueError("a parameter is a value with source and mark, or the key of a record in a table")
        return self


class Parameter(_Strict):
    """One value, or one for each option of a choice."""

    unit: str
    zh: Label
    en: Label
    one: Value | None = None
    choice: Name | None = None
    options: dict[str, Value] = {}

    @model_validator(mode="after")
    def _one_or_by_choice(self) -> Self:
        if (self.one is None) is (self.choice is None) or bool(self.options) is (self.choice is None):
            raise ValueError("a parameter has one value, or a choice with a value for each option")
        return self


class StepLine(_Strict):
    """A named step of the formula; `when` restricts it to options of choices."""

    name: Name
    expression: Annotated[str, Field(min_length=1, max_length=400)]
    unit: str
    zh: Label
    en: Label
    when: dict[str, str] = {}


class Limit(_Strict):
    """The quantity `of` may not exceed `at_most`, both inputs or steps."""

    of: Name
    at_most: Name
    zh: Label
    en: Label


class Uncertainty(_Strict):
    """Half-width of the 90 % interval, a declared input; above `threshold` it is deducted, else nothing is."""

    half_width: Name
    threshold: Exact
    source: Source
    mark: Mark


class Buffer(_Strict):
    """Share of the credits withheld in the registry's name against reversal."""

    rate_bps: Bps
    source: Source
    mark: Mark


class Monitoring(_Strict):
    """How meters must read for the methodology."""

    interval_minutes_allowed: tuple[int, ...] = Field(min_length=1)
    completeness_bps_min: Bps
    gap_fill: Literal["zero"]
    source: Source
    mark: Mark


class MethodologyFile(_Strict):
    """One version of a methodology, as its file says it. `file` and `version_hash` (SHA-256) are set by the loader."""

    code: Annotated[str, Field(pattern=r"^[A-Z]{1,12}$")]
    version: int = Field(strict=True, ge=1, le=999)
    name_zh: Label
    name_en: Label
    asset_class: str
    source: Source
    mark: Mark
    note: str = ""
    lifecycle: tuple[Stage, ...] = Field(min_length=1)
    applicability_zh: str = Field(min_length=1)
    applicability_en: str = Field(min_length=1)
    roles: dict[Name, Role] = {}
    inputs: dict[Name, Annotated[MeteredInput | DeclaredInput, Field(discriminator="kind")]] = Field(min_length=1)
    choices: dict[Name, Choice] = {}
    parameters: dict[Name, Parameter] = {}
    steps: tuple[StepLine, ...] = Field(min_length=1)
    limits: tuple[Limit, ...] = ()
    result: Name
    uncertainty: Uncertainty | None = None
    buffer: Buffer | None = None
    monitoring: Monitoring | None = None
    file: str
    version_hash: str

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        metered = {each.role for each in self.inputs.values() if isinstance(each, MeteredInput)}
        if metered != set(self.roles) or bool(metered) is (self.monitoring is None):
            raise ValueError("every role is metered by an input, and metered inputs have a monitoring table")
        places = [STATUSES.index(stage.status) for stage in self.lifecycle]
        days = [stage.on for stage in self.lifecycle]
        if places != sorted(set(places)) or days != sorted(days):
            raise ValueError("the lifecycle goes draft, consultation, approved, superseded, in time order")
        return self

    @property
    def tag(self) -> str:
        return f"{self.code}{self.version}"

    def status_on(self, on: date) -> Status:
        """The status by the file alone; a version is a draft before its first stage."""
        held = [stage.status for stage in self.lifecycle if stage.on <= on]
        return held[-1] if held else "draft"


@lru_cache(maxsize=64)
def read_methodology(relative: str, content: bytes) -> MethodologyFile:
    """Parse one file. Raises `CorruptData` naming the file and what is wrong with it."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CorruptData(f"{relative}: not readable as TOML: {error}", file=relative) from error
    sources = document.pop("sources", None)
    head = document.pop("methodology", None)
    if not isinstance(sources, dict) or not isinstance(head, dict) or {"file", "version_hash"} & {*head, *document}:
        raise CorruptData(f"{relative}: has the tables sources and methodology, and no file or hash", file=relative)
    filled = _cited(relative, head | document, sources)
    filled |= {"file": relative, "version_hash": hashlib.sha256(content).hexdigest()}
    try:
        return MethodologyFile.model_validate(filled)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "methodology"
        raise CorruptData(f"{relative}: {place}: {first['msg']}", file=relative, field=place) from error


def _cited(relative: str, value: Any, sources: dict[str, Any]) -> Any:
    """The document with every named source replaced by what the file says about it."""
    if isinstance(value, list):
        return [_cited(relative, each, sources) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _cited(relative, each, sources) for key, each in value.items() if key != "source"}
    if "source" in value:
        named = value["source"]
        if not isinstance(named, str) or named not in sources:
            raise CorruptData(f"{relative}: {named!r} is not a source of the file", file=relative)
        filled["source"] = sources[named]
    return filled
