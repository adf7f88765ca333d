import pickle
import shutil

import pytest
from hidden_world import hide
from nodes_apart import Apart
from small_network import AT
from trained import trained_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = trained_folder(tmp_path_factory)
    with (folder / "result.pickle").open("rb") as file:
        return folder / "home", pickle.load(file)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    home = tmp_path_factory.mktemp("apart") / "home"
    shutil.copytree(trained[0], home)
    return hide(home, trained[1].tables, AT, factors=2)


@pytest.fixture
def apart(made, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    # Who is pinned in one process is pinned between the same nodes apart.
    found = Apart(tmp_path / "home", tmp_path)
    yield found
    for org in list(found.serving):
        found.stop(org)
