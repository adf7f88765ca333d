"""Routers that are asked only for paths that begin as one of theirs does.

FastAPI asks one router after the other, and each route of each: with three hundred of them that was half the time of a
short request (`tanxin bench scoring`).
"""

from __future__ import annotations

from functools import cached_property

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class Router(APIRouter):
    """A room's routes. All are added before the first request is answered."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and not self._beginnings & _beginnings(
            scope["path"].removeprefix(scope.get("root_path", ""))
        ):
            return Match.NONE, {}
        return super().matches(scope)

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        """The first two words of each route's path, or those before its first parameter."""
        return frozenset("/".join(_words(getattr(route, "path", ""))) for route in self.routes)


def _words(path: str) -> list[str]:
    first = path.split("/", 3)[1:3]
    return first[: next((at for at, word in enumerate(first) if "{" in word), None)]


def _beginnings(path: str) -> frozenset[str]:
    first = path.split("/", 3)[1:3]
    return frozenset({"", "/".join(first), *first[:1]})
