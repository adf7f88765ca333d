"""Worlds, and desks without one, where something happened already: what is asked for in many files once in a run, all
else once a worker, and every test gets a copy."""

import pickle
from contextlib import contextmanager
from copy import deepcopy
from itertools import count

import pytest
from desk import Desk
from postgres import worker
from worker_shared import made_once_in_a_run
from world import World


def with_a_loan(world):
    return world.loan()


def with_a_loan_at_desk(desk):
    return desk.lend()


def with_a_story_to_tell(world):
    """A bank's best customer with issued credits and a price, a buyer, and money; nothing pledged yet."""
    world.fund("bank-gusu", 100_000_000)
    subject_id = world.best_customer("bank-gusu")["subject_id"]
    world.admit("dev-a", "developer", subject_id)
    issuance = world.credits("dev-a", "PV1")
    world.admit("buyer-a", "buyer")
    world.fund("buyer-a", 10_000_000)
    world.fund("dev-a", 1_000_000)
    world.price(3_100, at=world.now.replace(day=20))
    world.price(3_000)
    return subject_id, issuance


def with_full_lists(world):
    from full_world import filled

    return filled(world)


def begun(make, wherever):
    """The `sqlite_world` of a file whose fixture `wherever` begins with `make(world)`: for tests that take this fixture
    it has happened already, and `given` is what it returned."""

    @pytest.fixture(name="sqlite_world")
    def opened(request, tmp_path, ready_worlds):
        done = make if wherever in request.fixturenames else founders_only
        with ready_worlds.copied("sqlite", tmp_path / "home", done) as (world, given):
            world.given = given
            yield world

    return opened


def founders_only(world):
    return None


class ReadyWorlds:
    opener, template = World, "founded"
    founded = {"sqlite": "founded_world", "postgresql": "founded_database"}  # noqa: RUF012

    def __init__(self, request, folder):
        self._request, self._folder, self._made, self._numbers = request, folder, {}, count(1)

    @contextmanager
    def copied(self, kind, home, make):
        """A world on a database of `kind` as `make(world)` leaves it, and what that returned."""
        if (kind, make) not in self._made:
            self._made[kind, make] = self._make(kind, make)
        name, founded, known = self._made[kind, make]
        with self._opened(kind, founded, home, name) as opened:
            yield opened, deepcopy(known)

    def _make(self, kind, make):
        if make.__module__ != __name__:
            return self._fill(kind, make, self._name("ready"), self._folder / self._name("home"))
        name = f"{self.template}_{make.__name__}"

        def fill(folder):
            folder.mkdir()
            made = self._fill(kind, make, name, folder / "home")
            (folder / "made.pickle").write_bytes(pickle.dumps(made))

        factory = self._request.getfixturevalue("tmp_path_factory")
        return pickle.loads((made_once_in_a_run(factory, f"{kind}-{name}", fill) / "made.pickle").read_bytes())

    def _fill(self, kind, make, name, home):
        founded = self._request.getfixturevalue(self.founded[kind])
        if kind == "postgresql":
            self._server.create(name, self.template)
        with self.opener.copied(founded, home, self._address(kind, name)) as opened:
            known = make(opened)
            ready = opened.founded()
        return name, ready, known

    @contextmanager
    def _opened(self, kind, founded, home, template):
        name = self._name("copy")
        if kind == "postgresql":
            self._server.create(name, template)
        with self.opener.copied(founded, home, self._address(kind, name)) as opened:
            yield opened
        if kind == "postgresql":
            self._server.drop(name)

    def _name(self, what):
        return f"{self.template}_{what}{next(self._numbers)}_{worker()}"

    def _address(self, kind, name):
        return self._server.address(name) if kind == "postgresql" else ""

    @property
    def _server(self):
        return self._request.getfixturevalue("postgres_server")


class ReadyDesks(ReadyWorlds):
    opener, template = Desk, "books"
    founded = {"sqlite": "founded_books", "postgresql": "founded_books_database"}  # noqa: RUF012
