"""Every list takes `limit` and `cursor`, and names its next page in a `Link` header (RFC 8288); other parameters that
it does not declare are refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from credit_api.app.errors import InvalidRequest
from financing.base.storage.paging import Page, Window, plain

T = TypeVar("T")
A = TypeVar("A")
LIMIT, LIMIT_MAX = 100, 1_000


@dataclass(frozen=True, slots=True)
class Paging:
    """The window that a request asks for, and the answer that will name the next one."""

    window: Window
    request: Request
    response: Response

    def answers(self, page: Page[T], turn: Callable[[T], A]) -> list[A]:
        """A page's rows as answers; the next page is named if there is one: the same request with another cursor."""
        if page.last is not None:
            query = [(name, value) for name, value in self.request.query_params.multi_items() if name != "cursor"]
            path = self.request.url.path
            address = f"{path}?{urlencode([*query, ('cursor', as_cursor(page.last, path))])}"
            self.response.headers["Link"] = f'<{address}>; rel="next"'
        return [turn(row) for row in page]

    def require_whole(self, whole: bool) -> None:
        """Raise `InvalidRequest` for a part of what is only answered whole: a file of half a list looks like all."""
        asked = sorted({"limit", "cursor"} & set(self.request.query_params))
        if whole and asked:
            raise InvalidRequest("a file has the whole list: the answer in JSON has pages", unknown=asked)


def page_by_id(window: Window, read: Callable[[int, str], Sequence[T]], id_of: Callable[[T], str]) -> Page[T]:
    """The window of a list that a node keeps in order of id: `read(limit, after)`. Raises `InvalidRequest`.

    The nodes know no windows: financing's types do not reach them.
    """
    after = window.after or ("",)
    if len(after) != 1 or not isinstance(after[0], str):
        raise InvalidRequest("this cursor is of no page of this list", field="cursor")
    limit = window.limit or LIMIT_MAX
    items = list(read(limit + 1, after[0]))
    return Page(items[:limit], (id_of(items[limit - 1]),)) if len(items) > limit else Page(items)


def as_cursor(order: Iterable[Any], of: str) -> str:
    """Where a page of the list `of` ended. It is of no use for another list, whose order may look the same."""
    return base64.urlsafe_b64encode(orjson.dumps([_mark(of), *plain(list(order))])).decode().rstrip("=")


def _mark(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:8]


async def paging(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="rows a page")] = LIMIT,
    cursor: Annotated[
        str | None,
        Query(max_length=400, description="from the `Link` header of the page before; first page if left out"),
    ] = None,
) -> Paging:
    """The window asked for. Raises `InvalidRequest` for a cursor that no page gave."""
    return Paging(window_at(cursor, limit, request.url.path), request, response)


def window_at(cursor: str | None, limit: int, of: str) -> Window:
    """The window after a cursor of the list `of`, the first one without. Raises `InvalidRequest` for a cursor that no
    page of it gave."""
    if cursor is None:
        return Window(limit)
    try:
        after = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise InvalidRequest("this cursor is of no page", field="cursor") from None
    if not isinstance(after, list) or after[:1] != [_mark(of)]:
        raise InvalidRequest("this cursor is of no page of this list", field="cursor")
    return Window(limit, tuple(after[1:]))


PagingDep = Annotated[Paging, Depends(paging)]


async def known_parameters(request: Request) -> None:
    """Raise `InvalidRequest` for a query parameter that the route does not declare: a misspelt filter is no filter.

    What only computes is async: a plain function would wait for a thread, at every request.
    """
    if not request.query_params:
        return
    unknown = sorted(set(request.query_params) - declared(request.scope["route"]))
    if unknown:
        raise InvalidRequest("the route takes no such parameter", unknown=unknown)


def declared(route: APIRoute) -> frozenset[str]:
    """The names of a route's query parameters, those of a model in the query among them."""
    names: set[str] = set()
    for field in get_flat_dependant(route.dependant, skip_repeats=True).query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= {part.alias or name for name, part in kind.model_fields.items()}
        else:
            names.add(field.alias)
    return frozenset(names)
