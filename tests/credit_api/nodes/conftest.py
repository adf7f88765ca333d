import pickle
import shutil

import pytest
from hidden_world import hide
from nodes_apart import Apart, certified
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


@pytest.fixture(scope="module")
def homes(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("homes")
    certified(folder, [path.stem for path in sorted((made.home / "nodes").glob("*.db"))], made.home / "registry")
    return folder


@pytest.fixture
def apart(made, homes, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    shutil.copytree(homes, tmp_path, dirs_exist_ok=True)
    # Who is pinned in one process is pinned between the same nodes apart.
    found = Apart(tmp_path / "home", tmp_path)
    yield found
    found.stop(*found.serving)
