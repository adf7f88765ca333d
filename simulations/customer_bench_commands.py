"""`tanxin bench customers`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from simulations.bench_commands import bench


@bench.command("customers")
def customers(
    rows: Annotated[int, typer.Option(min=100, max=20_000_000, help="Customers in the file.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """A bank's customers from CSV (and parquet, with pyarrow) into its node's store, beside a load row by row."""
    from simulations.benchmarks.customers import measure_customers  # noqa: PLC0415

    progress = Console(stderr=True)
    speed = measure_customers(rows, lambda line: progress.print(line, highlight=False, markup=False))
    if as_json:
        sys.stdout.write(json.dumps(asdict(speed), indent=1) + "\n")
        return
    for name, each in (
        ("CSV", speed.csv), ("again", speed.again), ("corrected", speed.corrected), ("parquet", speed.parquet)
    ):  # fmt: skip
        if each is None:
            sys.stdout.write(f"{name:10} not measured: pyarrow is not installed\n")
            continue
        sys.stdout.write(
            f"{name:10} {each.rows:,} customers in {each.seconds:.1f} s ({each.rows_per_s:,.0f}/s), {each.cpu_s:.1f} s"
            f" of the processor, peak {each.peak_mib:,.0f} MiB; nobody else could write for"
            f" {each.others_waited_s:.1f} s; file {each.file_mb:,.0f} MB, store {each.store_mb:,.0f} MB\n"
        )
    sys.stdout.write(
        f"row by row {speed.row_by_row_per_s:,.0f}/s in one transaction (of {speed.row_by_row_sample:,}), for"
        f" {speed.times_row_by_row:.1f} times the processor's time; with a commit each"
        f" {speed.commit_a_row_per_s:,.0f}/s (of {speed.commit_a_row_sample:,}),"
        f" {speed.times_commit_a_row:,.0f} times as long\n"
    )
