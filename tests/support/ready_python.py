"""Python for the workers of a run: what files of tests import, and they themselves, are loaded once for all of them,
which takes a worker thirteen seconds of processor, and ten more where nothing was compiled before. Each is forked from
the process that has loaded it, as it would have begun itself."""

import gc
import importlib
import json
import sys
import tomllib
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from ready_process import ReadyProcess, answer, first_call

ROOT = Path(__file__).parents[2]
LOADED = (
    "credit_api.app.main",
    "federated.engines.in_process",
    "federated.protocols.catalogue",
    "simulations.cli",
    "simulations.experiments.vertical_credit.pipeline",
    "simulations.privacy_report.report",
    "exchange_calendars",
    "hypothesis",
    "selenium.webdriver.support.ui",
    "sklearn.linear_model",
)


def ready_python(folder, tests):
    """For workers that will find `tests`, which are words of pytest's command line."""
    return ReadyProcess(folder, "python", __file__, ROOT, json.dumps(tests))


def _serve(address, tests):
    gc.disable()
    with warnings.catch_warnings():
        _warn_as_tests_do()
        for name in LOADED:
            importlib.import_module(name)
    # Files of tests stay loaded, with their assertions rewritten, and so does what hypothesis reads of all sources.
    # What is wrong with a file each worker finds again, and says.
    with redirect_stdout(StringIO()):
        pytest.main([*tests, "--collect-only"])
    asked, words = first_call(address), sys.argv[1:]
    if "-c" in words:
        at = words.index("-c")
        program, sys.argv[:] = words[at + 1], ["-c", *words[at + 2 :]]
    else:
        program, sys.argv[:] = Path(words[0]).read_text("utf-8"), words
    # execnet gives its workers their program on standard input.
    answer(asked, lambda: exec(program, sys.modules["__main__"].__dict__))


def _warn_as_tests_do():
    """What the tests' own settings say of a warning holds while modules are loaded."""
    from _pytest.config import parse_warning_filter

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    for each in settings["filterwarnings"]:
        warnings.filterwarnings(*parse_warning_filter(each, escape=False))


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
