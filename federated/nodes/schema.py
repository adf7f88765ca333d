"""Feature schemas: which columns each kind of party brings, what they mean, and how a reason about them is worded."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from federated.consent.record import DataScope
from federated.errors import CorruptData, SchemaMismatch


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of one party. `protected` marks attributes that law forbids to decide on; kept for benchmarks only."""

    column: str
    name: str
    zh: str
    en: str
    high_zh: str
    high_en: str
    low_zh: str
    low_en: str
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """Groups of customers by one column: group k holds cuts[k − 1] < x ≤ cuts[k]. For audits, not for scoring."""

    name: str
    column: str
    cuts: tuple[float, ...]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.cuts) + 1 or list(self.cuts) != sorted(set(self.cuts)):
            raise ValueError(f"segment {self.name} needs ascending cuts and one group more than cuts")


@dataclass(frozen=True, slots=True)
class PartySchema:
    """The columns of one kind of party (`bank` or `grid`), in the order in which nodes store them."""

    role: str
    code_prefix: str
    scope: DataScope
    features: tuple[Feature, ...]

    segments: tuple[Segment, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in storage order."""
        return tuple(feature.column for feature in self.features)

    @property
    def lending(self) -> tuple[int, ...]:
        """Numbers of the columns that a model for lending may read: all but the protected ones."""
        return tuple(j for j, feature in enumerate(self.features) if not feature.protected)


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """A dated pair of party schemas. `data_origin` is what every figure computed on it has to be labelled with.

    `text` is the TOML that states all this: what a node's store keeps and tells, so that nobody has to know it by name.
    """

    schema_id: str
    version: str
    dated: date
    data_origin: str
    source: str
    bank: PartySchema
    grid: PartySchema
    text: str = field(repr=False)

    def party(self, role: str) -> PartySchema:
        """The schema of a role. Raises `SchemaMismatch` for a role that is neither bank nor grid."""
        if role == "bank":
            return self.bank
        if role == "grid":
            return self.grid
        raise SchemaMismatch(f"unknown role {role!r}", role=role)


def _party(role: str, raw: dict[str, Any]) -> PartySchema:
    features = tuple(Feature(**feature) for feature in raw["features"])
    if len({f.column for f in features}) != len(features):
        raise CorruptData(f"schema of {role} names a column twice", role=role)
    segments = tuple(
        Segment(each["name"], each["column"], tuple(float(c) for c in each["cuts"]), tuple(each["groups"]))
        for each in raw.get("segments", ())
    )
    unknown = {s.column for s in segments} - {f.column for f in features}
    if unknown:
        raise CorruptData(f"segments of {role} name unknown columns {sorted(unknown)}", role=role)
    return PartySchema(role, raw["code_prefix"], DataScope(raw["scope"]), features, segments)


def schema_of(text: str) -> FeatureSchema:
    """The schema that a TOML text states. Raises `CorruptData` if it states none."""
    try:
        raw = tomllib.loads(text)
        return FeatureSchema(
            schema_id=raw["schema_id"],
            version=raw["version"],
            dated=raw["dated"],
            data_origin=raw["data_origin"],
            source=raw["source"],
            bank=_party("bank", raw["bank"]),
            grid=_party("grid", raw["grid"]),
            text=text,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CorruptData(f"this is not a feature schema: {error}") from error
