"""Where the node of each grid company is, opened when it is first asked."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from financing.base.errors import NotFound
from financing.base.storage.database import open_engine
from financing.registry.metering.node.store import SqlGridNode


class GridNodes:
    """The node of every grid company: `urls` by organisation id, else a file under `folder`."""

    def __init__(self, folder: Path, urls: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._urls = dict(urls or {})
        self._nodes: dict[str, SqlGridNode] = {}
        self._gate = threading.Lock()

    def of(self, grid_id: str) -> SqlGridNode:
        with self._gate:
            if grid_id not in self._nodes:
                self._nodes[grid_id] = SqlGridNode(open_engine(self._url(grid_id)), grid_id)
            return self._nodes[grid_id]

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
