import pickle
import shutil
from datetime import timedelta

import pytest
from hand_made import in_use
from small_network import AT, BOTH_BLENDS
from worker_shared import made_once

from federated.serving import Network
from simulations.experiments.vertical_credit.pipeline import Reporter, run
from simulations.worlds.credit_population import generate_population


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A home with 1,500 generated firms and two registered versions, the first champion, and what the run measured."""
    home = made_once(tmp_path_factory, "trained", _train)
    with (home / "result.pickle").open("rb") as file:
        return home, pickle.load(file)


def _train(home):
    tables = generate_population(1_500, seed=2024)
    reporter = Reporter(lambda _: None, lambda *_: None)
    result = run(tables, folds=1, protocols=[BOTH_BLENDS], at=AT, home=home, reporter=reporter, threads=1)
    in_use(home, AT)
    with (home / "result.pickle").open("wb") as file:
        pickle.dump(result, file)


@pytest.fixture
def home(trained, tmp_path):
    """A copy of the trained home, to be spoilt."""
    shutil.copytree(trained[0], tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def network(home):
    """The network of that copy."""
    opened = Network.open(home, lambda: AT + timedelta(days=1))
    yield opened
    opened.close()
