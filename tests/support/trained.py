"""The network that tests score with, trained once in a run: 1,500 generated firms and two registered versions, the
first of them champion."""

import pickle
from datetime import UTC, datetime

from worker_shared import made_once

TRAINED_AT = datetime(2026, 11, 1, tzinfo=UTC)


def trained_folder(tmp_path_factory):
    """A folder with the network's `home`, and what the run measured in `result.pickle`."""
    return made_once(tmp_path_factory, "network", _train)


def _train(folder):
    from hand_made import in_use
    from small_network import BOTH_BLENDS

    from federated.protocols.operator_run import Reporter
    from simulations.experiments.vertical_credit.pipeline import run
    from simulations.worlds.credit_population import generate_population

    home, quiet = folder / "home", Reporter(lambda _: None, lambda *_: None)
    tables = generate_population(1_500, seed=2024)
    result = run(tables, folds=1, protocols=[BOTH_BLENDS], at=TRAINED_AT, home=home, reporter=quiet, threads=1)
    in_use(home, TRAINED_AT)
    with (folder / "result.pickle").open("wb") as file:
        pickle.dump(result, file)
