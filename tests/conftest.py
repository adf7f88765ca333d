"""Databases of both kinds, a trained network of generated firms, and a running service on top of them."""

import atexit
import gc
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from kinds import BOTH
from scratch import IN_MEMORY

# What is imported stays: to look for garbage in it while it is loaded, and at the end, takes as long as loading it.
gc.disable()
atexit.register(gc.freeze)
# It looks for garbage as it is loaded: so early, as long as there is little to look at. Its plugins are trio's alone.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")
import hypothesis  # noqa: E402, F401

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
# Workers are as many as processors: a second thread of theirs finds no processor, and waits for one at full speed.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
if IN_MEMORY:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)
    # And what benches and training put into folders of their own, where each commit would wait for the disk.
    tempfile.tempdir = os.environ["TMPDIR"] = os.environ.get("TMPDIR", IN_MEMORY)

# Files that take longest begin first, so that no worker is left with one of them when the others are done.
SLOWEST = (
    "test_readme",
    "test_privacy_bench",
    "test_conservation",
    "test_authority_matrix",
    "test_command_line",
    "test_customer_story",
    "test_servicing_at_random",
    "test_zoo_sums",
    "test_financing_rules_collateral",
    "test_protected_training",
    "test_private_commands",
    "test_federated_training",
    "test_paging_routes",
    "test_console_pages",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Workers are forked from a process that has loaded tests and what they import, instead of loading it each."""
    from ready_process import LOADED
    from ready_python import ready_python

    folder = tempfile.TemporaryDirectory(prefix="tanxin-workers-")
    config.add_cleanup(folder.cleanup)
    ready = ready_python(Path(folder.name), config.args)
    config.add_cleanup(ready.close)
    program = os.environ[LOADED] = str(ready.loaded())
    for spec in specs:
        spec.python = program


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else len(SLOWEST))


def pytest_collection_finish():
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once():
    """Engines of one kind of database share what SQLAlchemy made of statements: each opens a database of one test's
    own, and would compile every statement anew."""
    from sqlalchemy import create_engine, event

    from financing.base.storage import database

    shared = {}

    def opened(url, **options):
        engine = create_engine(url, **options)
        name = engine.dialect.name
        if name in shared:
            engine.dialect, engine._compiled_cache = shared[name]
        else:
            # A dialect knows its server once it is connected.
            event.listen(
                engine, "connect", lambda *_: shared.setdefault(name, (engine.dialect, engine._compiled_cache))
            )
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", opened)
        yield


@pytest.fixture(scope="session", autouse=True)
def empty_books_are_made_once(tmp_path_factory):
    """Whoever opens books on SQLite that are not there yet finds them as the migrations leave them, which run once in a
    run: a test that begins with an empty home waits a second for them, and there are many."""
    from databases import migrated
    from worker_shared import made_once_in_a_run

    from credit_api.app import database

    revision, made = database._revision, []

    def found(engine):
        at = revision(engine)
        if at is not None or engine.dialect.name != "sqlite" or not made:
            return at
        with engine.connect() as connection:
            if connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
                return None
            connection.rollback()
            with closing(sqlite3.connect(made[0])) as books:
                books.backup(connection.connection.driver_connection)
        return revision(engine)

    def make(folder):
        folder.mkdir()
        migrated(f"sqlite:///{folder / 'books.db'}")

    made.append(made_once_in_a_run(tmp_path_factory, "empty-books", make) / "books.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_revision", found)
        yield


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A PostgreSQL started from pip, which all workers share."""
    from postgres import Server
    from worker_shared import run_folder

    server = Server(run_folder(tmp_path_factory))
    yield server
    server.close()


@pytest.fixture(scope="session")
def databases(request, tmp_path_factory):
    """Where databases of both kinds come from; the PostgreSQL is started by the first test that needs it."""
    from databases import Databases

    return Databases(tmp_path_factory.mktemp("databases"), lambda: request.getfixturevalue("postgres_server"))


@pytest.fixture(params=BOTH)
def kind(request):
    """The kind of the database: every test that takes it runs on SQLite and on PostgreSQL, but where a file says that
    its rules are tried on one, and marks the tests that are on both."""
    return request.param


@pytest.fixture
def database_url(kind, tmp_path, databases):
    """The address of an empty database of either kind."""
    with databases.empty(kind, tmp_path / "books.db") as address:
        yield address


@pytest.fixture
def books_url(kind, tmp_path, databases):
    """As `database_url`, with the books' schema in it."""
    from databases import migrated

    with databases.copied(kind, tmp_path / "books.db", migrated) as address:
        yield address


@pytest.fixture(scope="session")
def trained_network(tmp_path_factory):
    """A home with node stores of 1,500 generated firms and two registered versions, the first of them champion."""
    from trained import trained_folder

    return trained_folder(tmp_path_factory) / "home"


@pytest.fixture(scope="session")
def founded_world(tmp_path_factory, trained_network):
    """A world on SQLite with registry, exchange, verifier, banks and grid companies, built once and copied."""
    from worker_shared import made_once
    from world import World

    return World.read(made_once(tmp_path_factory, "founded", lambda home: World.make(home, "", trained_network)))


@pytest.fixture(scope="session")
def founded_database(tmp_path_factory, trained_network, postgres_server):
    """The same on PostgreSQL: a world, whose database is the template `founded`."""
    from worker_shared import made_once
    from world import World

    def make(home):
        postgres_server.made_once("founded", lambda address: World.make(home, address, trained_network))

    return World.read(made_once(tmp_path_factory, "founded-database", make))


@pytest.fixture(scope="session")
def founded_books(tmp_path_factory):
    """As `founded_world`, without a federated network: the books of a desk, which need nothing trained."""
    from desk import Desk, Founded
    from worker_shared import made_once

    return Founded(made_once(tmp_path_factory, "books", Desk.make))


@pytest.fixture(scope="session")
def founded_books_database(tmp_path_factory, postgres_server):
    """The same on PostgreSQL: books, whose database is the template `books`."""
    from desk import Desk, Founded
    from worker_shared import made_once

    def make(home):
        postgres_server.made_once("books", lambda address: Desk.make(home, address))

    return Founded(made_once(tmp_path_factory, "books-database", make))


@pytest.fixture
def world(request, kind, tmp_path):
    """A service with registry, exchange, verifier, banks and grid companies, on either database."""
    from world import World

    if kind == "sqlite":
        with World.copied(request.getfixturevalue("founded_world"), tmp_path / "home") as opened:
            yield opened
        return
    founded, server = request.getfixturevalue("founded_database"), request.getfixturevalue("postgres_server")
    name = f"w{abs(hash(str(tmp_path))):x}"
    server.create(name, "founded")
    with World.copied(founded, tmp_path / "home", server.address(name)) as opened:
        yield opened
    server.drop(name)


@pytest.fixture(scope="session")
def ready_worlds(request, tmp_path_factory):
    """Copies of worlds in which something happened already."""
    from ready_worlds import ReadyWorlds

    return ReadyWorlds(request, tmp_path_factory.mktemp("ready"))


@pytest.fixture(scope="session")
def ready_desks(request, tmp_path_factory):
    """As `ready_worlds`, without HTTP: copies of books in which something happened already."""
    from ready_worlds import ReadyDesks

    return ReadyDesks(request, tmp_path_factory.mktemp("desks"))


@pytest.fixture
def desk(kind, tmp_path, ready_desks):
    """Commands on the books of founders, without HTTP, on either database."""
    from ready_worlds import founders_only

    with ready_desks.copied(kind, tmp_path / "home", founders_only) as (opened, _):
        yield opened


@pytest.fixture
def lent_desk(kind, tmp_path, ready_desks):
    """A `desk` at which a loan runs, and what `Desk.lend` gave: (desk, how the loan stands, pledge, issuance)."""
    from ready_worlds import with_a_loan_at_desk

    with ready_desks.copied(kind, tmp_path / "home", with_a_loan_at_desk) as (opened, given):
        yield opened, *given


@pytest.fixture
def lent(kind, tmp_path, ready_worlds):
    """A `world` in which a loan runs, and what `World.loan` gave: (world, loan, pledge, issuance)."""
    from ready_worlds import with_a_loan

    with ready_worlds.copied(kind, tmp_path / "home", with_a_loan) as (opened, given):
        yield opened, *given


@pytest.fixture
def sqlite_world(tmp_path, founded_world):
    """As `world`, on SQLite only: for what does not depend on the database."""
    from world import World

    with World.copied(founded_world, tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def sqlite_desk(tmp_path, founded_books):
    """As `desk`, on SQLite only."""
    from desk import Desk

    with Desk.copied(founded_books, tmp_path / "home") as opened:
        yield opened
