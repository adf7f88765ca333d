"""What every store does alike: one row or a refusal, a value into a row and back by the names of its fields."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from sqlalchemy import Connection, Row, Select, Table, insert, update

from financing.base.errors import NotFound
from financing.base.quantities import Carbon, Energy, Money, Price, Rate

T = TypeVar("T")
QUANTITIES = (Money, Carbon, Energy, Price, Rate)
# How the name of a column, or of an answer's field, ends that tells a unit, or that only the id is there.
ENDINGS = ("_fen_per_tonne", "_fen", "_kg", "_wh", "_bps", "_id")


class Store:
    """Rows of one part of the books, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _one(self, query: Select[Any], missing: str, **named: object) -> Row[Any]:
        """The first row. Raises `NotFound`, in these words and naming what was asked for, when there is none."""
        row = self._connection.execute(query).first()
        if row is None:
            raise NotFound(missing, **named)
        return row

    def _add(self, table: Table, *values: object, **others: object) -> None:
        """A new row, as `columns_of` has it."""
        self._connection.execute(insert(table).values(columns_of(table, *values, **others)))

    def _save(self, table: Table, key: str, value: object, **changing: object) -> None:
        """Change the row of this id, or add it, with all else that the table keeps of `value`, if there is none."""
        done = self._connection.execute(update(table).where(table.c.id == key).values(**changing))
        if not done.rowcount:
            self._add(table, value, id=key, **changing)


def columns_of(table: Table, *values: object, **others: object) -> dict[str, object]:
    """What a row of `table` keeps of `values`: each column is named in `others`, or is the attribute of its name (or of
    its name without the ending) of the first value that has it. A number that the database gives is left out."""
    plan = _sources(table, tuple(map(type, values)), frozenset(others))
    return others | {column: _plain(getattr(values[place], name)) for column, place, name in plan}


@cache
def _sources(table: Table, kinds: tuple[Any, ...], others: frozenset[str]) -> list[tuple[str, int, str]]:
    """Where each column is read: in which value, under which name. Raises `AttributeError` for one that none has."""
    known = [_attributes(kind) for kind in kinds]
    plan = []
    for column in table.columns:
        if column.name in others or column is table.autoincrement_column:
            continue
        names = (column.name, bare(column.name))
        found = [(place, name) for name in names for place, has in enumerate(known) if name in has]
        if not found:
            raise AttributeError(f"no value has the column {column}")
        plan.append((column.name, *found[0]))
    return plan


def _attributes(kind: Any) -> set[str]:
    return set(dir(kind)).union(*(vars(each).get("__annotations__", ()) for each in kind.__mro__))


def _plain(value: Any) -> object:
    if type(value) in QUANTITIES:
        return value.amount
    return value.value if isinstance(value, Enum) else value


def bare(name: str) -> str:
    """A name without the ending that tells its unit, or that only the id is there."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def value_of(kind: Callable[..., T], row: Row[Any], **others: object) -> T:
    """The value that a row keeps: each field is given in `others`, or is the column of its name or of its name with
    an ending, as the quantity or enumeration that the field declares. What no column keeps has its default."""
    plan = _plan(kind, row._fields)
    return kind(**{name: read(row[place]) for name, place, read in plan if name not in others}, **others)


@cache
def _plan(kind: Any, columns: tuple[str, ...]) -> list[tuple[str, int, Callable[[Any], Any]]]:
    """Which fields the columns give: the name of each, the place of its column, and what reads it."""
    places = {bare(column): place for place, column in enumerate(columns)}
    places |= {column: place for place, column in enumerate(columns)}
    hints = get_type_hints(kind).items()
    return [(name, places[name], _reader(hint)) for name, hint in hints if name in places]


def _reader(hint: Any) -> Callable[[Any], Any]:
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, (*QUANTITIES, StrEnum)):
            return lambda value: None if value is None else part(value)
    return tuple if get_origin(hint) is tuple else lambda value: value
