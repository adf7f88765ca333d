"""Lists by pages: a window of a query by its own order, which rows that come or go meanwhile do not shift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, TypeVar, overload

from sqlalchemy import Column, ColumnElement, Connection, Date, Integer, Row, Select, and_, false, or_

from financing.base.errors import CursorInvalid
from financing.base.quantities import INT64_MAX
from financing.base.storage.columns import UtcDateTime

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` rows (None: all) after the row whose order is `after` (None: from the first)."""

    limit: int | None = None
    after: tuple[Any, ...] | None = None


ALL = Window()


@dataclass(frozen=True)
class Page(Sequence[T]):
    """A window's rows in order. `last` is the order of the last one if more follow, else None."""

    rows: list[T]
    last: tuple[Any, ...] | None = None

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def map(self, turn: Callable[[list[T]], list[S]]) -> Page[S]:
        """The page of what the rows turn into, all at once."""
        return Page(turn(self.rows), self.last)


@dataclass(frozen=True, slots=True)
class Key:
    """A column that a list is ordered by. The last key of an order tells any two rows apart."""

    column: Column[Any] | ColumnElement[Any]
    descending: bool = False


def page_of(
    connection: Connection, query: Select[Any], keys: Sequence[Key], window: Window, read: Callable[[Row[Any]], T]
) -> Page[T]:
    """The window of `query` in the order of `keys`, which are selected under their own names. Raises `CursorInvalid`.

    One row more than the limit is asked for, to know whether more follow. Rows that were added or removed before the
    window neither repeat nor hide any in it.
    """
    ordered = query.order_by(*(key.column.desc() if key.descending else key.column.asc() for key in keys))
    if window.after is not None:
        ordered = ordered.where(_beyond(keys, order_of(keys, window.after)))
    if window.limit is not None:
        ordered = ordered.limit(window.limit + 1)
    rows = connection.execute(ordered).all()
    more = window.limit is not None and len(rows) > window.limit
    kept = rows[: window.limit] if more else rows
    last = tuple(getattr(kept[-1], str(key.column.name)) for key in keys) if more else None
    return Page([read(row) for row in kept], last)


def page_of_rows(rows: Iterable[T], order: Callable[[T], tuple[str | int, ...]], window: Window) -> Page[T]:
    """The window of rows that no query orders: a dated file's, or one firm's at several nodes. Raises `CursorInvalid`.

    `rows` come in the order of `order`; no more of them are taken than the window shows, and one to know whether more
    follow.
    """

    def beyond(row: T) -> bool:
        if window.after is None:
            return True
        here = order(row)
        if list(map(type, here)) != list(map(type, window.after)):
            raise CursorInvalid("this cursor is of no page of this list")
        return here > window.after

    following = filter(beyond, rows)
    if window.limit is None:
        return Page(list(following))
    kept = list(islice(following, window.limit + 1))
    if len(kept) <= window.limit:
        return Page(kept)
    return Page(kept[:-1], order(kept[-2]))


def plain(order: Sequence[Any]) -> list[str | int]:
    """An order as JSON has it."""
    return [each.isoformat() if isinstance(each, datetime | date) else each for each in order]


def order_of(keys: Sequence[Key], values: Sequence[Any]) -> tuple[Any, ...]:
    """An order, or what `plain` made of it, as the columns' values. Raises `CursorInvalid` if it is of other keys."""
    try:
        return tuple(_typed(key, value) for key, value in zip(keys, values, strict=True))
    except (TypeError, ValueError, OverflowError):
        raise CursorInvalid("this cursor is of no page of this list") from None


def _typed(key: Key, value: Any) -> Any:
    kind = key.column.type
    if isinstance(kind, UtcDateTime):
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError("a time without a zone")
        return at.astimezone(UTC)
    if isinstance(kind, Date):
        return value if isinstance(value, date) else date.fromisoformat(value)
    if type(value) is not (int if isinstance(kind, Integer) else str):
        raise TypeError("another type")
    # What no column holds, a database refuses in its own way; here it is a wrong cursor like any other.
    if "\x00" in value if isinstance(value, str) else not -INT64_MAX <= value <= INT64_MAX:
        raise ValueError("no value of a column")
    return value


def _beyond(keys: Sequence[Key], after: Sequence[Any]) -> ColumnElement[bool]:
    """Rows after `after`: a later first key, or the same and a later second one, and so on."""
    alternatives: list[ColumnElement[bool]] = []
    for place, key in enumerate(keys):
        same = [earlier.column == after[number] for number, earlier in enumerate(keys[:place])]
        later = key.column < after[place] if key.descending else key.column > after[place]
        alternatives.append(and_(*same, later))
    return or_(false(), *alternatives)
