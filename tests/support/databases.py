"""Databases that stand ready: made once a worker, and copied for every test, as a file or from a template."""

import shutil
from contextlib import contextmanager
from itertools import count

from postgres import worker

from credit_api.app.database import migrate
from financing.base.storage.database import open_engine


class Databases:
    """Databases of either kind; `server` gives the PostgreSQL, which is started when it is first asked for."""

    def __init__(self, folder, server):
        self._folder, self._server, self._made, self._numbers = folder, server, {}, count(1)

    @contextmanager
    def empty(self, kind, path):
        """The address of a database without tables."""
        if kind == "sqlite":
            yield f"sqlite:///{path}"
            return
        with self._on_server("template1") as address:
            yield address

    @contextmanager
    def copied(self, kind, path, make):
        """The address of a database as `make(address)` leaves it, which runs once and closes what it opens."""
        if (kind, make) not in self._made:
            self._made[kind, make] = self._make(kind, make)
        made = self._made[kind, make]
        if kind == "sqlite":
            shutil.copyfile(made, path)
            yield f"sqlite:///{path}"
            return
        with self._on_server(made) as address:
            yield address

    def _make(self, kind, make):
        if kind == "postgresql":
            return self._server().made_once(f"made_{make.__module__}_{make.__name__}", make)
        path = self._folder / f"made{next(self._numbers)}"
        make(f"sqlite:///{path}")
        return path

    @contextmanager
    def _on_server(self, template):
        name = f"t{next(self._numbers)}_{worker()}"
        self._server().create(name, template)
        yield self._server().address(name)
        self._server().drop(name)


def migrated(address):
    """The books' schema, without rows."""
    engine = open_engine(address)
    migrate(engine)
    engine.dispose()
