"""Strict loading of the parameter files. Anything that is not exactly as declared is `CorruptData`, never a default."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from financing.errors import CorruptData, ParameterMissing
from financing.parameters.market import MarketRules
from financing.parameters.records import (
    CollateralClass,
    GridFactor,
    LendingProduct,
    PlausibilityLimits,
    PrimeRate,
    PvMethodology,
    Record,
)

PARAMETER_ROOT = Path(__file__).parent
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """All records of one kind. No two records of a key hold on the same day."""

    name: str
    records: tuple[R, ...]

    def find(self, key: str, on: date) -> R:
        """The record of `key` that holds on `on`. Raises `ParameterMissing`."""
        for record in self.records:
            if record.key == key and record.holds_on(on):
                return record
        raise ParameterMissing(
            f"no {self.name} '{key}' holds on {on.isoformat()}", table=self.name, key=key, on=str(on)
        )

    def names(self) -> frozenset[str]:
        return frozenset(record.key for record in self.records)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every dated parameter. `hashes` maps a file (relative path) to the SHA-256 of its bytes."""

    grid_factors: Table[GridFactor]
    pv_methodologies: Table[PvMethodology]
    plausibility_limits: Table[PlausibilityLimits]
    collateral_classes: Table[CollateralClass]
    products: Table[LendingProduct]
    prime_rates: Table[PrimeRate]
    market_rules: Table[MarketRules]
    hashes: Mapping[str, str]

    def grid_factor(self, key: str, on: date) -> GridFactor:
        return self.grid_factors.find(key, on)

    def pv_methodology(self, version: int, on: date) -> PvMethodology:
        return self.pv_methodologies.find(f"PV{version}", on)

    def plausibility(self, key: str, on: date) -> PlausibilityLimits:
        return self.plausibility_limits.find(key, on)

    def collateral_class(self, key: str, on: date) -> CollateralClass:
        return self.collateral_classes.find(key, on)

    def classes_on(self, on: date) -> dict[str, CollateralClass]:
        """Every collateral class that holds on `on`, by key."""
        return {record.key: record for record in self.collateral_classes.records if record.holds_on(on)}

    def product(self, key: str, on: date) -> LendingProduct:
        return self.products.find(key, on)

    def prime_rate(self, term: str, on: date) -> PrimeRate:
        return self.prime_rates.find(term, on)

    def venue(self, key: str, on: date) -> MarketRules:
        return self.market_rules.find(key, on)


@cache
def load_parameters(root: Path = PARAMETER_ROOT) -> Parameters:
    """Read every file under `root`. Raises `CorruptData` naming the file and what is wrong with it."""
    hashes: dict[str, str] = {}
    parameters = Parameters(
        grid_factors=_table(root, "grid_factors.toml", GridFactor, "grid factor", hashes),
        pv_methodologies=_table(root, "methodologies/pv_*.toml", PvMethodology, "methodology", hashes),
        plausibility_limits=_table(root, "pv_plausibility.toml", PlausibilityLimits, "plausibility limit", hashes),
        collateral_classes=_table(root, "collateral_classes.toml", CollateralClass, "collateral class", hashes),
        products=_table(root, "products/*.toml", LendingProduct, "product", hashes),
        prime_rates=_table(root, "lpr.toml", PrimeRate, "prime rate", hashes),
        market_rules=_table(root, "market_rules.toml", MarketRules, "market rule set", hashes),
        hashes=MappingProxyType(hashes),
    )
    _require_nothing_unread(root, hashes)
    _require_references(parameters)
    return parameters


def _table(root: Path, pattern: str, kind: type[R], name: str, hashes: dict[str, str]) -> Table[R]:
    paths = sorted(root.glob(pattern))
    if not paths:
        raise CorruptData(f"parameter file {pattern} is missing", file=pattern)
    records: list[R] = []
    for path in paths:
        relative = path.relative_to(root).as_posix()
        content = path.read_bytes()
        hashes[relative] = hashlib.sha256(content).hexdigest()
        records.extend(_records(relative, content, kind, hashes[relative]))
    for first, second in combinations(records, 2):
        if first.key == second.key and first.overlaps(second):
            raise CorruptData(
                f"{second.file}: two records of '{first.key}' hold on {max(first.valid_from, second.valid_from)}",
                file=second.file,
                key=first.key,
            )
    return Table(name, tuple(records))


def _records(relative: str, content: bytes, kind: type[R], version_hash: str) -> list[R]:
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CorruptData(f"{relative}: not readable as TOML: {error}", file=relative) from error
    if set(document) != {"sources", "records"}:
        raise CorruptData(f"{relative}: has exactly the tables sources and records", file=relative)
    rows = document["records"]
    if not isinstance(rows, list) or not rows or not isinstance(document["sources"], dict):
        raise CorruptData(f"{relative}: sources is a table, records a non-empty array of tables", file=relative)
    return [_record(relative, row, document["sources"], kind, version_hash) for row in rows]


def _record(relative: str, row: object, sources: dict[str, Any], kind: type[R], version_hash: str) -> R:
    if not isinstance(row, dict) or {"file", "version_hash"} & set(row):
        raise CorruptData(f"{relative}: a record may not set file or version_hash", file=relative)
    filled = _with_source(relative, row, sources) | {"file": relative, "version_hash": version_hash}
    citations = row.get("citations", {})
    if not isinstance(citations, dict):
        raise CorruptData(f"{relative}: citations is a table of tables", file=relative)
    filled["citations"] = {field: _with_source(relative, entry, sources) for field, entry in citations.items()}
    try:
        return kind.model_validate(filled)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "record"
        raise CorruptData(
            f"{relative}: {row.get('key', '?')}: {place}: {first['msg']}", file=relative, field=place
        ) from error


def _with_source(relative: str, row: object, sources: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("source") not in sources:
        raise CorruptData(f"{relative}: every record names a source of the file", file=relative)
    return row | {"source": sources[row["source"]]}


def _require_nothing_unread(root: Path, hashes: Mapping[str, str]) -> None:
    unread = {path.relative_to(root).as_posix() for path in root.rglob("*.toml")} - set(hashes)
    if unread:
        raise CorruptData(f"parameter files nobody reads: {sorted(unread)}", files=sorted(unread))


def _require_references(parameters: Parameters) -> None:
    for methodology in parameters.pv_methodologies.records:
        named = {methodology.factor_key, *methodology.factor_alternatives}
        _require_known(methodology, "grid factor", named, parameters.grid_factors.names())
    for product in parameters.products.records:
        _require_known(product, "class", set(product.eligible_classes), parameters.collateral_classes.names())
        _require_known(product, "prime rate", {product.lpr_term}, parameters.prime_rates.names())


def _require_known(record: Record, what: str, named: set[str], known: frozenset[str]) -> None:
    missing = sorted(named - known)
    if missing:
        raise CorruptData(f"{record.file}: unknown {what}: {missing}", file=record.file)
