"""Where the node of each grid company is, opened when it is first asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from financing.base.errors import NotFound
from financing.base.storage.database import open_engine
from financing.registry.metering.node.port import MeteringNode
from financing.registry.metering.node.store import SqlGridNode

ELSEWHERE = "https://"


class Closing(MeteringNode, Protocol):
    """A node that is closed with the service."""

    def close(self) -> None: ...


class GridNodes:
    """The node of every grid company: `urls` of databases by organisation id, else a file under `folder`; or in a
    process of its own (`https://…`), as `elsewhere(grid_id, url)` reaches it."""

    def __init__(
        self,
        folder: Path,
        urls: Mapping[str, str] | None = None,
        elsewhere: Callable[[str, str], Closing] | None = None,
    ) -> None:
        self._folder, self._elsewhere = folder, elsewhere
        self._urls = dict(urls or {})
        self._nodes: dict[str, Closing] = {}
        self._gate = threading.Lock()

    def of(self, grid_id: str) -> Closing:
        with self._gate:
            if grid_id not in self._nodes:
                self._nodes[grid_id] = self._opened(grid_id)
            return self._nodes[grid_id]

    def is_here(self, grid_id: str) -> bool:
        """Whether the node answers in this process: else it is asked before a command is committed, not while."""
        return not self._urls.get(grid_id, "").startswith(ELSEWHERE)

    def _opened(self, grid_id: str) -> Closing:
        if self.is_here(grid_id):
            return SqlGridNode(open_engine(self._url(grid_id)), grid_id)
        if self._elsewhere is None:
            raise NotFound("nothing here reaches nodes elsewhere", grid_id=grid_id)
        return self._elsewhere(grid_id, self._urls[grid_id])

    def close(self) -> None:
        with self._gate:
            for node in self._nodes.values():
                node.close()
            self._nodes.clear()

    def _url(self, grid_id: str) -> str:
        if grid_id in self._urls:
            return self._urls[grid_id]
        if not grid_id or not all(each.isalnum() or each in "-_." for each in grid_id) or grid_id.startswith("."):
            raise NotFound("this name cannot have a node", grid_id=grid_id)
        self._folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(self._folder / f'{grid_id}.db').resolve()}"
