"""`tanxin bench privacy` part by part: what each measures, quick and in full, with progress on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulations.benchmarks.alignment import measure_alignment
from simulations.benchmarks.differential import measure_differential
from simulations.benchmarks.extraction import measure_extraction
from simulations.benchmarks.few_rows import QUICK, SIZES, measure_few_rows
from simulations.benchmarks.hidden_scores import measure_hidden_scores
from simulations.benchmarks.inversion import measure_inversion
from simulations.benchmarks.membership import measure_membership
from simulations.benchmarks.probing import measure_probing
from simulations.benchmarks.robustness import measure_robustness
from simulations.benchmarks.secure_aggregation import measure_aggregation
from simulations.benchmarks.vertical import measure_vertical
from simulations.benchmarks.withdrawal import measure_withdrawal
from simulations.experiments.private_credit.world import load_table
from simulations.training_run import load_tables
from simulations.worlds.credit_nodes import CreditTables

SEED = 2024
Part = Callable[[], Any]


def parts_of(data: Path | None, peer: Path, *, quick: bool) -> Mapping[str, Part]:
    """The parts by name, each ready to run; `peer` is where openmined-psi's environment is kept.

    With `data` the vertical exchange and private training run on the Taiwan set, otherwise on generated firms.
    """
    firms = 4_000 if quick else 12_000

    def tables() -> CreditTables:
        return load_tables(data, firms, SEED)

    def rows() -> Any:
        return load_table(data, firms, SEED)

    if quick:
        return {
            "alignment": lambda: measure_alignment(5_000, peer),
            "secure_aggregation": lambda: measure_aggregation(20, 400),
            "vertical": lambda: measure_vertical(tables(), SEED, most=15_000),
            "few_rows": lambda: measure_few_rows(tables(), SEED, QUICK, 2),
            "withdrawal": lambda: measure_withdrawal(100),
            "probing": lambda: measure_probing(1_000),
            "extraction": lambda: measure_extraction(600, 20),
            "hidden_scores": lambda: measure_hidden_scores(300, SEED),
            "differential": lambda: measure_differential(rows(), 1, 40),
            "membership": lambda: measure_membership(rows(), 12, 400),
            "robustness": lambda: measure_robustness(rows(), 1, 1, ("sign ×10", "backdoor ×10")),
            "inversion": lambda: measure_inversion(rows(), 1),
        }
    return {
        "alignment": lambda: measure_alignment(100_000, peer),
        "secure_aggregation": measure_aggregation,
        "vertical": lambda: measure_vertical(tables(), SEED),
        "few_rows": lambda: measure_few_rows(tables(), SEED, SIZES),
        "withdrawal": lambda: measure_withdrawal(10_000),
        "probing": lambda: measure_probing(10_000),
        "extraction": lambda: measure_extraction(3_000, 60),
        "hidden_scores": lambda: measure_hidden_scores(4_000, SEED),
        "differential": lambda: measure_differential(rows(), 5, 150),
        "membership": lambda: measure_membership(rows(), 96, 6_000),
        "robustness": lambda: measure_robustness(rows(), 5, 10),
        "inversion": lambda: measure_inversion(rows(), 20),
    }


def measured(parts: Mapping[str, Part], say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Figures by part, in order; each is announced as it begins, and its seconds when it is done."""
    report = {}
    for number, (name, measure) in enumerate(parts.items(), start=1):
        say(f"{number} of {len(parts)}: {name}")
        started = time.perf_counter()
        report[name] = asdict(measure())
        say(f"{name} took {time.perf_counter() - started:.1f} s")
    return report
