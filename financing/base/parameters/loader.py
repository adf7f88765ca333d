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

from financing.base.errors import CorruptData, ParameterMissing
from financing.base.parameters.china_calendar import CalendarYear, ChinaCalendar
from financing.base.parameters.market import MarketRules
from financing.base.parameters.methodologies import MethodologyFile, Parameter, Value, read_methodology
from financing.base.parameters.records import (
    AccreditedCertifier,
    CollateralClass,
    GridFactor,
    LendingProduct,
    LoadLimits,
    PlausibilityLimits,
    PrimeRate,
    ProvisioningRules,
    PvSubsidy,
    Recognition,
    Record,
    ReferenceValue,
    Region,
    TradingRules,
)
from financing.base.parameters.risk import PortfolioRule, PriceProcess, StreamRule, StressScenario, ValuationRule

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
    """Every dated parameter. `hashes` maps a file (relative path) to the SHA-256 of its bytes, `texts` to its text."""

    grid_factors: Table[GridFactor]
    reference_values: Table[ReferenceValue]
    methodologies: tuple[MethodologyFile, ...]
    plausibility_limits: Table[PlausibilityLimits]
    load_limits: Table[LoadLimits]
    certifiers: Table[AccreditedCertifier]
    collateral_classes: Table[CollateralClass]
    products: Table[LendingProduct]
    prime_rates: Table[PrimeRate]
    provisioning_rules: Table[ProvisioningRules]
    trading_rules: Table[TradingRules]
    pv_subsidies: Table[PvSubsidy]
    regions: Table[Region]
    recognitions: Table[Recognition]
    market_rules: Table[MarketRules]
    price_processes: Table[PriceProcess]
    valuation_rules: Table[ValuationRule]
    stream_rules: Table[StreamRule]
    stress_scenarios: Table[StressScenario]
    portfolio_rules: Table[PortfolioRule]
    china: ChinaCalendar
    hashes: Mapping[str, str]
    texts: Mapping[str, str]

    def grid_factor(self, key: str, on: date) -> GridFactor:
        return self.grid_factors.find(key, on)

    def methodology(self, code: str, version: int) -> MethodologyFile:
        """The file of one version, whatever its status. Raises `ParameterMissing`."""
        for file in self.methodologies:
            if (file.code, file.version) == (code, version):
                return file
        raise ParameterMissing(f"there is no methodology {code}{version}", code=code, version=version)

    def plausibility(self, key: str, on: date) -> PlausibilityLimits:
        return self.plausibility_limits.find(key, on)

    def load_limit(self, key: str, on: date) -> LoadLimits:
        return self.load_limits.find(key, on)

    def collateral_class(self, key: str, on: date) -> CollateralClass:
        return self.collateral_classes.find(key, on)

    def classes_on(self, on: date) -> dict[str, CollateralClass]:
        """Every collateral class that holds on `on`, by key."""
        return {record.key: record for record in self.collateral_classes.records if record.holds_on(on)}

    def product(self, key: str, on: date) -> LendingProduct:
        return self.products.find(key, on)

    def products_on(self, on: date) -> list[LendingProduct]:
        """The products that hold on a day: those on credits alone first, the oldest first."""
        held = [each for each in self.products.records if each.holds_on(on)]
        return sorted(held, key=lambda each: (bool(each.securities), each.valid_from, each.key))

    def usual_product(self, on: date) -> LendingProduct:
        """The product of an application that names none. Raises `ParameterMissing` when none holds."""
        held = self.products_on(on)
        if not held:
            raise ParameterMissing("no loan product holds", on=str(on))
        return held[0]

    def running_product(self, key: str, on: date) -> LendingProduct:
        """The version of a product for loans that run: the one that holds, or the last that did before `on`.

        Raises `ParameterMissing` when none ever held.
        """
        versions = [record for record in self.products.records if record.key == key and record.valid_from <= on]
        if not versions:
            raise ParameterMissing(f"no product '{key}' held before {on.isoformat()}", key=key, on=str(on))
        return max(versions, key=lambda record: record.valid_from)

    def trading(self, key: str, on: date) -> TradingRules:
        return self.trading_rules.find(key, on)

    def pv_subsidy(self, key: str, on: date) -> PvSubsidy:
        return self.pv_subsidies.find(key, on)

    def region(self, key: str, on: date) -> Region:
        return self.regions.find(key, on)

    def region_named(self, name: str, on: date) -> Region:
        """A region by its registry's code, its key or one of its names. Raises `ParameterMissing`."""
        held = [each for each in self.regions.records if each.holds_on(on)]
        for region in held:
            if name in (region.registry_code, region.key, region.name_zh, region.name_en):
                return region
        codes = sorted(each.registry_code for each in held)
        raise ParameterMissing(f"no region '{name}' has a registry", region=name, on=str(on), registry_codes=codes)

    def region_of(self, registry_id: str, on: date) -> Region:
        """The region whose registry this is. Raises `ParameterMissing`."""
        for region in self.regions.records:
            if region.registry_id == registry_id and region.holds_on(on):
                return region
        raise ParameterMissing(f"no region has the registry {registry_id}", registry_id=registry_id, on=str(on))

    def recognition(self, from_region: str, to_region: str, on: date) -> Recognition:
        return self.recognitions.find(f"{from_region}-{to_region}", on)

    def prime_rate(self, term: str, on: date) -> PrimeRate:
        return self.prime_rates.find(term, on)

    def prime_history(self, term: str) -> list[tuple[date, int]]:
        """From which day each prime rate of a term holds, in basis points, ascending; empty for an unknown term."""
        history = [(record.valid_from, record.rate_bps) for record in self.prime_rates.records if record.key == term]
        return sorted(history)

    def provisioning(self, on: date) -> ProvisioningRules:
        return self.provisioning_rules.find("commercial_bank", on)

    def venue(self, key: str, on: date) -> MarketRules:
        return self.market_rules.find(key, on)

    def price_process(self, key: str, on: date) -> PriceProcess:
        return self.price_processes.find(key, on)

    def valuation_rule(self, key: str, on: date) -> ValuationRule:
        return self.valuation_rules.find(key, on)

    def stream_rule(self, key: str, on: date) -> StreamRule:
        return self.stream_rules.find(key, on)

    def stress_scenarios_on(self, on: date) -> tuple[StressScenario, ...]:
        """Every stress scenario that holds on `on`, in the file's order."""
        return tuple(record for record in self.stress_scenarios.records if record.holds_on(on))

    def portfolio_rule(self, key: str, on: date) -> PortfolioRule:
        return self.portfolio_rules.find(key, on)


@cache
def load_parameters(root: Path = PARAMETER_ROOT, more_methodologies: Path | None = None) -> Parameters:
    """Read every file under `root`, and methodologies of one's own from the folder `more_methodologies`.

    Raises `CorruptData` naming the file and what is wrong with it.
    """
    hashes: dict[str, str] = {}
    texts: dict[str, str] = {}
    read = _Reading(root, hashes, texts)
    parameters = Parameters(
        grid_factors=_table(read, "grid_factors.toml", GridFactor, "grid factor"),
        reference_values=_table(read, "reference_values.toml", ReferenceValue, "reference value"),
        methodologies=_methodologies(read, more_methodologies),
        plausibility_limits=_table(read, "pv_plausibility.toml", PlausibilityLimits, "plausibility limit"),
        load_limits=_table(read, "load_plausibility.toml", LoadLimits, "load limit"),
        certifiers=_table(read, "accreditations.toml", AccreditedCertifier, "accreditation"),
        collateral_classes=_table(read, "collateral_classes.toml", CollateralClass, "collateral class"),
        products=_table(read, "products/*.toml", LendingProduct, "product"),
        prime_rates=_table(read, "lpr.toml", PrimeRate, "prime rate"),
        provisioning_rules=_table(read, "provisioning.toml", ProvisioningRules, "provisioning rule"),
        trading_rules=_table(read, "trading_rules.toml", TradingRules, "trading rule"),
        pv_subsidies=_table(read, "pv_subsidies.toml", PvSubsidy, "subsidy"),
        regions=_table(read, "regions.toml", Region, "region"),
        recognitions=_table(read, "recognitions.toml", Recognition, "recognition"),
        market_rules=_table(read, "market_rules.toml", MarketRules, "market rule set"),
        price_processes=_table(read, "price_processes.toml", PriceProcess, "price process"),
        valuation_rules=_table(read, "valuation_rules.toml", ValuationRule, "valuation rule"),
        stream_rules=_table(read, "stream_rules.toml", StreamRule, "stream rule"),
        stress_scenarios=_table(read, "stress_scenarios.toml", StressScenario, "stress scenario"),
        portfolio_rules=_table(read, "portfolio_rules.toml", PortfolioRule, "portfolio rule"),
        china=ChinaCalendar.of(_table(read, "china_calendar.toml", CalendarYear, "calendar year").records),
        hashes=MappingProxyType(hashes),
        texts=MappingProxyType(texts),
    )
    _require_nothing_unread(root, hashes)
    _require_references(parameters)
    return parameters


def table_from_text(kind: type[R], name: str, relative: str, text: str) -> Table[R]:
    """A table as an archived file's text gives it."""
    content = text.encode("utf-8")
    return Table(name, tuple(_records(relative, content, kind, hashlib.sha256(content).hexdigest())))


@dataclass(frozen=True, slots=True)
class _Reading:
    root: Path
    hashes: dict[str, str]
    texts: dict[str, str]

    def note(self, relative: str, content: bytes) -> str:
        self.hashes[relative] = hashlib.sha256(content).hexdigest()
        self.texts[relative] = content.decode("utf-8", errors="replace")
        return self.hashes[relative]


def _methodologies(read: _Reading, more: Path | None) -> tuple[MethodologyFile, ...]:
    paths = [(path, path.relative_to(read.root).as_posix()) for path in sorted(read.root.glob("methodologies/*.toml"))]
    if more is not None:
        if not more.is_dir():
            raise CorruptData("the folder of methodologies is not there", file=str(more))
        paths += [(path, f"own/{path.name}") for path in sorted(more.glob("*.toml"))]
    files: dict[str, MethodologyFile] = {}
    for path, relative in paths:
        content = path.read_bytes()
        read.note(relative, content)
        one = read_methodology(relative, content)
        if one.tag in files:
            raise CorruptData(f"{relative}: {one.tag} is in {files[one.tag].file} already", file=relative)
        files[one.tag] = one
    return tuple(files.values())


def _table(read: _Reading, pattern: str, kind: type[R], name: str) -> Table[R]:
    paths = sorted(read.root.glob(pattern))
    if not paths:
        raise CorruptData(f"parameter file {pattern} is missing", file=pattern)
    records: list[R] = []
    for path in paths:
        relative = path.relative_to(read.root).as_posix()
        content = path.read_bytes()
        records.extend(_records(relative, content, kind, read.note(relative, content)))
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
    known = {"grid_factor": parameters.grid_factors.names(), "reference_value": parameters.reference_values.names()}
    for methodology in parameters.methodologies:
        _require_known(methodology.file, "class", {methodology.asset_class}, parameters.collateral_classes.names())
        for value in (value for each in methodology.parameters.values() for value in _values(each)):
            if value.table is not None and value.key is not None:
                _require_known(methodology.file, value.table, {value.key, *value.alternatives}, known[value.table])
    for region in parameters.regions.records:
        _require_known(region.file, "grid factor", {region.factor_key}, parameters.grid_factors.names())
    for recognition in parameters.recognitions.records:
        named = {recognition.from_region, recognition.to_region}
        _require_known(recognition.file, "region", named, parameters.regions.names())
    _require_risk_references(parameters)
    for product in parameters.products.records:
        _require_known(product.file, "class", set(product.eligible_classes), parameters.collateral_classes.names())
        _require_known(product.file, "prime rate", {product.lpr_term}, parameters.prime_rates.names())


def _require_risk_references(parameters: Parameters) -> None:
    factors, classes = parameters.grid_factors.names(), parameters.collateral_classes.names()
    for rule in parameters.valuation_rules.records:
        _require_known(rule.file, "price process", {rule.price_process}, parameters.price_processes.names())
        _require_known(rule.file, "class", {rule.key, rule.reference_class} - {""}, classes)
    for stream in parameters.stream_rules.records:
        _require_known(stream.file, "grid factor", {stream.factor_key}, factors)
        _require_known(stream.file, "class", {stream.price_class}, classes)
    for scenario in parameters.stress_scenarios.records:
        _require_known(scenario.file, "grid factor", {scenario.factor_key} - {""}, factors)


def _values(parameter: Parameter) -> tuple[Value, ...]:
    return (*parameter.options.values(), *((parameter.one,) if parameter.one is not None else ()))


def _require_known(file: str, what: str, named: set[str], known: frozenset[str]) -> None:
    missing = sorted(named - known)
    if missing:
        raise CorruptData(f"{file}: unknown {what}: {missing}", file=file)
