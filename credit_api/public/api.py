"""Data for everyone: statistics, every unit in the shape of the CAD Trust, the PV subsidy calculator."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal, Self

import orjson
from fastapi import Query, Request, Response

from credit_api.http.callers import CallDep, PartsDep
from credit_api.http.fields import ResponseModel, read
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.http.spreadsheets import CSV_TYPE, ROWS_MAX, XLSX_TYPE, as_csv, as_xlsx, read_csv, read_xlsx
from credit_api.public.cad_trust import COLUMNS, CadUnit, read_units, unit_of
from financing.base.commands import Command, use_case
from financing.base.context import Context
from financing.base.errors import CorruptData
from financing.base.quantities import INT64_MAX
from financing.base.storage.paging import ALL
from financing.lending.unit import UnitOfWork
from financing.registry.oversight.overlap_guard import put_on_record
from financing.registry.statistics import SHOWN, Cell, StatisticsStore
from financing.valuation.streams.subsidies import estimate

router = Router(prefix="/v1", tags=["public"], responses=PROBLEMS)
Table = Annotated[Literal["json", "csv", "xlsx"], Query()]


class StatisticOut(ResponseModel):
    """Kilograms of one method, region and vintage: issued, and where they are now."""

    methodology: str
    region: str
    vintage: int
    issued_kg: int
    holding_kg: int
    pledged_kg: int
    escrow_kg: int
    packaged_kg: int
    buffer_kg: int
    retired_kg: int
    cancelled_kg: int
    exported_kg: int

    @classmethod
    def of(cls, cell: Cell) -> Self:
        return cls.joined(cell, **{kind: cell.by_account[kind] for kind in SHOWN})


class SubsidyYearOut(ResponseModel):
    year: int = read("number")
    starts_on: date
    kwh_low: int
    kwh_high: int
    low_fen: int
    high_fen: int


class SubsidyOut(ResponseModel):
    """An estimate. `mark` says how the programme's rate is known (docs/parameters.md)."""

    programme: str
    name_zh: str
    name_en: str
    mark: str
    note: str
    fen_per_kwh: int
    years: list[SubsidyYearOut]
    low_fen: int
    high_fen: int


class ImportOut(ResponseModel):
    """Units of another registry on record: their projects cannot claim the same time here."""

    units: int
    recorded: int


class RecordUnits(Command):
    """Units of another registry, in the shape of the CAD Trust."""

    units: list[CadUnit]


@use_case
def record_units(unit: UnitOfWork, context: Context, command: RecordUnits) -> ImportOut:
    """Put what is not on record yet on record, so that the overlap guard knows its projects and time."""
    known = {(each.subject, each.period.start, each.reference) for each in unit.guard.external()}
    recorded = 0
    for each in command.units:
        subject, period = each.subject(), each.period()
        if (subject, period.start, each.serialNumberBlock) not in known:
            put_on_record(unit, context, "PHCER", subject, period, each.serialNumberBlock)
            recorded += 1
    return ImportOut(units=len(command.units), recorded=recorded)


@router.get("/statistics", response_model=list[StatisticOut])
def show_statistics(parts: PartsDep, paging: PagingDep, table: Table = "json") -> Any:
    """Issued, held, pledged, retired and so on by method, region and vintage. Public.

    JSON by pages, CSV and XLSX whole.
    """
    paging.require_whole(table != "json")
    with parts.reading() as connection:
        cells = StatisticsStore(connection).by_kind(paging.window if table == "json" else ALL)
    if table == "json":
        return paging.answers(cells, StatisticOut.of)
    columns = tuple(StatisticOut.model_fields)
    rows = ([getattr(row, name) for name in columns] for row in map(StatisticOut.of, cells))
    return _table(table, "statistics", columns, rows)


@router.get("/cad-trust/units", response_model=list[CadUnit])
def export_units(parts: PartsDep, paging: PagingDep, table: Table = "json") -> Any:
    """Blocks of serial numbers as CAD Trust units. Public; JSON by pages, CSV and XLSX whole. Owners are named."""
    paging.require_whole(table != "json")
    link = f"{parts.settings.address}/v1/serials"
    if table == "json":
        with parts.reading() as connection:
            units = StatisticsStore(connection).units(paging.window)
        return paging.answers(units, lambda each: unit_of(each, link))
    with parts.reading() as connection:
        every = (unit_of(each, link).model_dump(mode="json") for each in StatisticsStore(connection).every_unit())
        return _table(table, "units", COLUMNS, ([each[name] for name in COLUMNS] for each in every))


@router.post(
    "/cad-trust/units",
    status_code=201,
    response_model=ImportOut,
    openapi_extra={"requestBody": {"required": True, "content": {
        "application/json": {"schema": {"type": "array", "items": {"type": "object"}, "maxItems": ROWS_MAX}},
        "text/csv": {"schema": {"type": "string"}},
        XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}},
    }}},
)  # fmt: skip
async def import_units(request: Request, call: CallDep, table: Table = "json") -> Response:
    """Put units of another registry on record, as a registry: the overlap guard then knows their projects and time."""
    units = read_units(_rows(await request.body(), table))
    return await call.commit(record_units.given(RecordUnits(units=units)), answer=lambda done: done)


@router.get("/subsidy-estimate")
def estimate_subsidy(
    parts: PartsDep,
    capacity_w: Annotated[int, Query(gt=0, le=INT64_MAX)],
    connected_on: date,
    programme: Annotated[str, Query(max_length=64)] = "sip_pv",
) -> SubsidyOut:
    """What a rooftop plant may be paid for its generation, year by year, low and high. Public; an estimate."""
    rules = parts.parameters.pv_subsidy(programme, connected_on)
    years = estimate(rules, capacity_w, connected_on)
    low, high = sum(each.low.fen for each in years), sum(each.high.fen for each in years)
    return SubsidyOut.joined(rules, programme=rules.key, years=years, low_fen=low, high_fen=high)


def _rows(content: bytes, table: str) -> list[dict[str, Any]]:
    if table == "csv":
        return read_csv(content)
    if table == "xlsx":
        return read_xlsx(content)
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CorruptData(f"not JSON: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CorruptData("units are an array of objects")
    return rows


def _table(kind: str, name: str, columns: tuple[str, ...], rows: Iterable[list[Any]]) -> Response:
    content = as_csv(columns, rows) if kind == "csv" else as_xlsx(name, columns, rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return Response(content, media_type=CSV_TYPE if kind == "csv" else XLSX_TYPE, headers=headers)
