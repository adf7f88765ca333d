"""A bank's customers loaded from a file into its node's store, beside the same row by row. All customers are generated.

The file is written first and not timed. Peak memory is of a process that does nothing but load.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from federated.nodes.customers import ID, OUTCOME, folds_of
from federated.nodes.schema import FeatureSchema
from federated.nodes.store import NodeStore, clear_digest
from simulations.worlds.columns import load_schema

BANK = "bank-gusu"
ROWS_A_PART = 100_000
# In a process of its own, so that its peak is the load's; `getrusage` would tell its parent's, if that is larger.
LOADER = """
import json, re, sys, time
from dataclasses import asdict
from pathlib import Path
from federated.nodes.customer_files import CustomerFile
from federated.nodes.customers import load_customers
from federated.nodes.store import NodeStore
began, cpu = time.perf_counter(), time.process_time()
store = NodeStore(Path(sys.argv[1]))
done = asdict(load_customers(store, CustomerFile(store, Path(sys.argv[2])).customers()))
seconds = time.perf_counter() - began
store.close()
cpu = time.process_time() - cpu
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps(done | {"seconds": seconds, "cpu_s": cpu, "peak_mib": peak}))
"""


@dataclass(frozen=True, slots=True)
class LoadSpeed:
    """One file loaded: `file_mb` megabytes, seconds from opening the store to the new data hash, of which the processor
    worked `cpu_s`, peak memory of the process (MiB), how long nobody else could write, and `store_mb` afterwards."""

    rows: int
    file_mb: float
    seconds: float
    cpu_s: float
    rows_per_s: float
    peak_mib: float
    others_waited_s: float
    store_mb: float


@dataclass(frozen=True, slots=True)
class CustomersSpeed:
    """`csv` and, where pyarrow is there, `parquet` into stores with two customers each; `again` the same CSV file once
    more, `corrected` with every tenth customer changed.

    Row by row is measured on fewer rows: each is parsed, checked and put by itself, in one transaction (as atomic as a
    load, and nobody else writes meanwhile), and with a commit each. The first ratio is of processor time, which
    what else runs on a machine changes least, the second of time, because a commit waits for the disk.
    """

    data_origin: str
    columns: int
    csv: LoadSpeed
    again: LoadSpeed
    corrected: LoadSpeed
    parquet: LoadSpeed | None
    row_by_row_sample: int
    row_by_row_per_s: float
    row_by_row_per_cpu_s: float
    times_row_by_row: float
    commit_a_row_sample: int
    commit_a_row_per_s: float
    times_commit_a_row: float


def measure_customers(
    rows: int, say: Callable[[str], None], sample: int = 20_000, committed: int = 2_000
) -> CustomersSpeed:
    """Load `rows` generated customers of a bank from files of each kind, and fewer of them row by row."""
    schema = load_schema("generated-firms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"writing {rows:,} generated customers")
        file = folder / "customers.csv"
        _write_csv(file, schema, rows, changed=False)
        say("loading CSV")
        store = _store(folder / "csv" / "nodes", schema)
        csv_speed = _loaded(store, file)
        say("loading the same file again")
        again = _loaded(store, file)
        say("loading it with a tenth of the customers corrected")
        _write_csv(file, schema, rows, changed=True)
        corrected = _loaded(store, file)
        parquet = None
        if find_spec("pyarrow") is not None:
            say("loading parquet")
            written = folder / "customers.parquet"
            _write_parquet(written, schema, rows)
            parquet = _loaded(_store(folder / "parquet" / "nodes", schema), written)
        _write_csv(file, schema, rows, changed=False)
        sample, committed = min(sample, rows), min(committed, rows)
        say(f"loading {sample:,} row by row, and {committed:,} with a commit each")
        columns = schema.bank.columns
        slow = _row_by_row(_store(folder / "rows" / "nodes", schema), file, columns, sample)
        slowest = _row_by_row(_store(folder / "each" / "nodes", schema), file, columns, committed, commit=True)
    return CustomersSpeed(
        data_origin="generated",
        columns=len(columns),
        csv=csv_speed,
        again=again,
        corrected=corrected,
        parquet=parquet,
        row_by_row_sample=sample,
        row_by_row_per_s=slow[0],
        row_by_row_per_cpu_s=slow[1],
        times_row_by_row=rows / csv_speed.cpu_s / slow[1],
        commit_a_row_sample=committed,
        commit_a_row_per_s=slowest[0],
        times_commit_a_row=csv_speed.rows_per_s / slowest[0],
    )


def _store(folder: Path, schema: FeatureSchema) -> Path:
    path = folder / f"{BANK}.db"
    NodeStore.create(
        path,
        org_id=BANK,
        role="bank",
        schema=schema,
        data_origin="generated",
        authority=b"a" * 32,
        subjects=["FIRST", "SECOND"],
        values=np.ones((2, len(schema.bank.columns))),
        labels=[0, 1],
        folds=[0, 1],
    ).close()
    return path


def _parts(schema: FeatureSchema, rows: int, changed: bool) -> Iterator[tuple[list[str], np.ndarray[Any, Any]]]:
    """Ids in no order, values with a tenth missing, outcomes of nine in ten (NaN = not known) as the last column."""
    rng = np.random.default_rng(20261130)
    order = rng.permutation(rows)
    for start in range(0, rows, ROWS_A_PART):
        ids = order[start : start + ROWS_A_PART]
        values = rng.normal(size=(len(ids), len(schema.bank.columns)))
        values[rng.random(values.shape) < 0.1] = np.nan
        if changed:
            values[ids % 10 == 0] += 1.0
        outcomes = np.where(rng.random(len(ids)) < 0.1, np.nan, (rng.random(len(ids)) < 0.12).astype(np.float64))
        yield [f"CUSTOMER-{i:09d}" for i in ids.tolist()], np.column_stack([values, outcomes])


def _frame(schema: FeatureSchema, subjects: list[str], values: np.ndarray[Any, Any]) -> Any:
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(values, columns=[*schema.bank.columns, OUTCOME])
    frame[OUTCOME] = frame[OUTCOME].astype("Int8")
    frame.insert(0, ID, np.array(subjects, dtype=object))
    return frame


def _write_csv(path: Path, schema: FeatureSchema, rows: int, *, changed: bool) -> None:
    for number, (subjects, values) in enumerate(_parts(schema, rows, changed)):
        _frame(schema, subjects, values).to_csv(path, index=False, mode="a" if number else "w", header=not number)


def _write_parquet(path: Path, schema: FeatureSchema, rows: int) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    writer = None
    for subjects, values in _parts(schema, rows, False):
        frame = _frame(schema, subjects, values)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        table = table.set_column(0, ID, pa.array(subjects, pa.string()))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _loaded(store: Path, file: Path) -> LoadSpeed:
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(store), str(file)], check=True, stdout=subprocess.PIPE, text=True
    )
    told = json.loads(done.stdout)
    return LoadSpeed(
        rows=told["rows"],
        file_mb=file.stat().st_size / 1e6,
        seconds=told["seconds"],
        cpu_s=told["cpu_s"],
        rows_per_s=told["rows"] / told["seconds"],
        peak_mib=told["peak_mib"],
        others_waited_s=told["others_waited_s"],
        store_mb=store.stat().st_size / 1e6,
    )


def _row_by_row(
    path: Path, file: Path, columns: tuple[str, ...], sample: int, *, commit: bool = False
) -> tuple[float, float]:
    """Customers a second, and a second of the processor, when each line is parsed, checked and put by itself; the hash
    of all of them at the end."""
    store = NodeStore(path)
    began, cpu = time.perf_counter(), time.process_time()
    with store.connected() as db, file.open(newline="", encoding="utf-8") as lines:
        db.execute("BEGIN IMMEDIATE")
        for number, row in zip(range(2, sample + 2), csv.DictReader(lines), strict=False):
            subject = row[ID]
            if not subject or db.execute("SELECT COUNT(*) FROM files WHERE subject_id = ?", (subject,)).fetchone()[0]:
                raise ValueError(f"line {number} has an id again, or none")
            values = np.array([float(row[column]) if row[column] else np.nan for column in columns])
            if np.isinf(values).any():
                raise ValueError(f"line {number} has an infinite number")
            db.execute(
                "INSERT INTO files (subject_id, features, label, fold) VALUES (?, ?, ?, ?)",
                (
                    subject,
                    values.astype("<f8").tobytes(),
                    int(row[OUTCOME]) if row[OUTCOME] else None,
                    int(folds_of([subject])[0]),
                ),
            )
            if commit:
                db.execute("COMMIT")
                db.execute("BEGIN IMMEDIATE")
        clear_digest(db)
        db.execute("COMMIT")
    digest = store.data_sha256
    elapsed, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    store.close()
    if not digest:
        raise ValueError("a store has no hash")
    return sample / elapsed, sample / cpu_s
