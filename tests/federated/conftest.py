import pickle
import shutil
from datetime import timedelta

import pytest
from small_network import AT
from trained import trained_folder

from federated.serving import Network


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A home with 1,500 generated firms and two registered versions, the first champion, and what the run measured."""
    folder = trained_folder(tmp_path_factory)
    with (folder / "result.pickle").open("rb") as file:
        return folder / "home", pickle.load(file)


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
