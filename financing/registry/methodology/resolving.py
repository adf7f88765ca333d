"""Where a methodology's parameters come from: dated records on the day of the claim, or the file's own constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from financing.base.errors import CorruptData, InvalidState
from financing.base.parameters import Parameters
from financing.base.parameters.loader import Table, table_from_text
from financing.base.parameters.methodologies import Value
from financing.base.parameters.records import GridFactor, Record, ReferenceValue, Source
from financing.registry.methodology.definition import Choices, Methodology
from financing.registry.methodology.reduction import ParameterValue
from financing.registry.methodology.units import parse_unit

FACTOR_UNIT = "mgCO2e/kWh"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Every parameter of a variant with its citation, and (file, SHA-256) of every file that was used."""

    values: tuple[ParameterValue, ...]
    hashes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """The dated tables that a methodology may refer to."""

    grid_factors: Table[GridFactor]
    reference_values: Table[ReferenceValue]

    @classmethod
    def of(cls, parameters: Parameters) -> Tables:
        return cls(parameters.grid_factors, parameters.reference_values)

    @classmethod
    def archived(cls, texts: Mapping[str, str]) -> Tables:
        """From the texts of the files that a reduction used; a table that it did not use is empty."""
        grid = texts.get("grid_factors.toml")
        values = texts.get("reference_values.toml")
        empty_grid: Table[GridFactor] = Table("grid factor", ())
        empty_values: Table[ReferenceValue] = Table("reference value", ())
        return cls(
            table_from_text(GridFactor, "grid factor", "grid_factors.toml", grid) if grid else empty_grid,
            table_from_text(ReferenceValue, "reference value", "reference_values.toml", values)
            if values
            else empty_values,
        )


def resolve(
    methodology: Methodology, tables: Tables, choices: Choices, on: date, instead: Mapping[str, str] | None = None
) -> Resolved:
    """The parameters of a variant as they hold on `on`. `instead` names allowed alternatives of records by parameter.

    Raises `ParameterMissing`, `InvalidState` for an alternative that the methodology does not allow.
    """
    values: list[ParameterValue] = []
    hashes = {methodology.file.file: methodology.file.version_hash}
    for name, (parameter, origin) in methodology.values(methodology.variant(choices)).items():
        if origin.value is not None and origin.source is not None:
            values.append(
                ParameterValue(
                    name=name,
                    value=origin.value,
                    unit=parameter.unit,
                    source=_citation(origin.source),
                    mark=str(origin.mark),
                    file=methodology.file.file,
                    zh=parameter.zh,
                    en=parameter.en,
                )
            )
            continue
        record, value = _record(methodology, tables, origin, (instead or {}).get(name), parameter.unit, on)
        hashes[record.file] = record.version_hash
        values.append(
            ParameterValue(
                name=name,
                value=value,
                unit=parameter.unit,
                key=record.key,
                source=_citation(record.source),
                mark=record.mark,
                file=record.file,
                zh=parameter.zh,
                en=parameter.en,
            )
        )
    return Resolved(tuple(values), tuple(sorted(hashes.items())))


def _record(
    methodology: Methodology, tables: Tables, origin: Value, instead: str | None, unit: str, on: date
) -> tuple[Record, str]:
    key = instead or str(origin.key)
    if key not in {origin.key, *origin.alternatives}:
        raise InvalidState("the methodology does not use this record", methodology=methodology.tag, key=key)
    if origin.table == "grid_factor":
        factor = tables.grid_factors.find(key, on)
        return factor, _in_unit(str(factor.mg_per_kwh), FACTOR_UNIT, unit)
    reference = tables.reference_values.find(key, on)
    return reference, _in_unit(reference.value, reference.unit, unit)


def _in_unit(value: str, given: str, wanted: str) -> str:
    source, target = parse_unit(given), parse_unit(wanted)
    if source.dimension != target.dimension:
        raise CorruptData(f"a parameter in {wanted} cannot come from a record in {given}")
    return str(Fraction(value) * source.scale / target.scale)


def _citation(source: Source) -> str:
    return f"{source.title}. {source.publisher}, {source.published}"
