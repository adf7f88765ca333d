"""Files of customers: what they say is taken to the last bit, and what they do not say is refused with its line."""

import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from arriving import AT, BANK, DAY, GRID, SCHEMA, all_of, digest_of, store_of

from federated.errors import CorruptData, DataMissing, SchemaMismatch
from federated.nodes import customer_files
from federated.nodes.customer_files import CustomerFile
from federated.nodes.customers import load_customers, set_outcomes

COLUMNS = SCHEMA.bank.columns
HEADER = ["subject_id", *COLUMNS, "outcome"]
ROWS = [
    ["X", "1", "-2.5", "", "4e-3", "5.", ".6", "+7", "8", "1"],
    ["Y", "0.1", "1e300", "3", "4", "5", "6", "7", "8", ""],
    ["A", "", "", "", "", "", "", "", "", "0"],
]


@pytest.fixture
def bank(tmp_path):
    opened = store_of(tmp_path)
    yield opened
    opened.close()


def written(tmp_path, rows=ROWS, header=HEADER, end="\n"):
    path = tmp_path / "customers.csv"
    path.write_bytes(end.join(",".join(row) for row in [header, *rows]).encode() + end.encode())
    return path


def load(store, path):
    return load_customers(store, CustomerFile(store, path).customers(), AT)


def test_a_file_is_taken_as_it_is_in_any_order_of_columns(bank, tmp_path):
    order = [3, 9, 0, 1, 2, 4, 8, 7, 6, 5]
    path = written(tmp_path, [[row[j] for j in order] for row in ROWS], [HEADER[j] for j in order])
    read = []
    done = load_customers(bank, CustomerFile(bank, path, read.append).customers())
    assert (done.added, done.changed, sum(read)) == (2, 1, path.stat().st_size)
    assert bank.values_of("X").tolist()[:2] + bank.values_of("X").tolist()[3:] == [1, -2.5, 0.004, 5, 0.6, 7, 8]
    assert np.isnan(bank.values_of("A")).all()
    assert np.isnan(bank.values_of("X")[2])
    assert bank.table().labels.tolist() == [0, 1, 0, 1, 1, -1]
    assert done.data_sha256 == digest_of(bank)


FORMS = {
    "gzip": gzip.compress,
    "with a mark of UTF-8": lambda raw: b"\xef\xbb\xbf" + raw,
    "with carriage returns": lambda raw: raw.replace(b"\n", b"\r\n"),
    "without an end of line": lambda raw: raw[:-1],
    "in quotes": lambda raw: b"\n".join(
        b",".join(b'"' + cell + b'"' for cell in line.split(b",")) for line in raw.split(b"\n")[:-1]
    ),
    "with ids in quotes": lambda raw: re.sub(rb"^(\w+),", rb'"\1",', raw, flags=re.MULTILINE),
    "with spaces": lambda raw: raw.replace(b",8,", b", 8 ,"),
}


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_say_the_same(bank, tmp_path, form):
    path = written(tmp_path)
    plain = load(bank, path)
    path.write_bytes(FORMS[form](path.read_bytes()))
    again = load(bank, path)
    assert (again.unchanged, again.data_sha256) == (3, plain.data_sha256)


def test_blocks_and_cells_read_the_same_numbers_to_the_last_bit(bank, tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    raw = rng.integers(0, 2**64, 3_000 * 8, dtype=np.uint64).view(np.float64).reshape(-1, 8)
    values = np.where(np.isfinite(raw), raw, np.nan)
    values[::7, 3] = np.nan
    cells = [["" if np.isnan(v) else repr(v) for v in row] for row in values.tolist()]
    path = written(tmp_path, [[f"S-{i}", *row, ""] for i, row in enumerate(cells)])
    monkeypatch.setattr(customer_files, "BLOCK", 10_000)
    with monkeypatch.context() as patch:
        patch.delattr(CustomerFile, "_parsed_by_cell")
        blocks = list(CustomerFile(bank, path).customers())
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.vstack([block.values for block in blocks]), values)
    assert [line for block in blocks for line in block.lines] == list(range(2, 3_002))
    monkeypatch.setattr(CustomerFile, "_parsed_at_once", staticmethod(lambda *_: None))
    slow = list(CustomerFile(bank, path).customers())
    np.testing.assert_array_equal(np.vstack([block.values for block in slow]), values)


def changed(row, column, cell):
    rows = [list(each) for each in ROWS]
    rows[row][column] = cell
    return rows


WRONG = {
    "a word": (changed(1, 2, "high"), "column current_ratio line 3 is not a finite number"),
    "nan": (changed(1, 2, "nan"), "column current_ratio line 3"),
    "NA": (changed(1, 2, "NA"), "column current_ratio line 3"),
    "null": (changed(1, 2, "null"), "column current_ratio line 3"),
    "inf": (changed(1, 2, "-inf"), "column current_ratio line 3"),
    "infinity": (changed(0, 2, "Infinity"), "column current_ratio line 2"),
    "too large": (changed(2, 8, "1e999"), "column account_inflow_trend line 4"),
    "an underscore": (changed(1, 2, "1_000"), "column current_ratio line 3"),
    "hexadecimal": (changed(1, 2, "0x10"), "column current_ratio line 3"),
    "true": (changed(1, 2, "True"), "column current_ratio line 3"),
    "wide digits": (changed(1, 2, "１２"), "column current_ratio line 3"),
    "a percentage": (changed(1, 2, "12%"), "column current_ratio line 3"),
    "another outcome": (changed(1, 9, "2"), "column outcome line 3 is neither 0 nor 1 nor empty"),
    "half an outcome": (changed(1, 9, "0.5"), "column outcome line 3"),
    "no id": (changed(1, 0, ""), "column subject_id line 3 is no id"),
    "a name": (changed(1, 0, "Zhang San"), "column subject_id line 3 is no id"),
    "an id again": ([*ROWS, ROWS[1]], "column subject_id line 5 has the id of line 3 again"),
    "a short line": ([*ROWS, ["Z", "1"]], "line 5 has 2 cells, not 10"),
    "a long line": ([ROWS[0], [*ROWS[1], "9"], ROWS[2]], "line 3 has 11 cells, not 10"),
    "a cell moved to the line before": ([[*ROWS[0], "Y"], ROWS[1][:-1]], "line 2 has 11 cells"),
    "a cell moved to the line after": ([ROWS[0][:-1], [*ROWS[1], ""]], "line 2 has 9 cells"),
    "an empty line": ([ROWS[0], [""], ROWS[1]], "line 3 has an empty line"),
    "an open quote": (changed(1, 2, '"1'), "line 3 is no line of CSV"),
    "a lone carriage return": (changed(1, 2, "1\r2"), "line 3 is no line of CSV"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("block", [40, 1 << 20])
def test_a_wrong_line_is_named_and_nothing_is_loaded(bank, tmp_path, monkeypatch, what, block):
    monkeypatch.setattr(customer_files, "BLOCK", block)
    rows, said = WRONG[what]
    before = all_of(bank)
    with pytest.raises(CorruptData, match=said) as refused:
        load(bank, written(tmp_path, rows))
    assert refused.value.context["party"] == BANK
    assert "line" in refused.value.context
    assert refused.value.detail.startswith(BANK)
    assert all_of(bank) == before


def test_columns_go_by_name_and_each_has_to_be_there(bank, tmp_path):
    for header, rows, said, column in (
        (HEADER[:1] + HEADER[2:], [row[:1] + row[2:] for row in ROWS], "lacks 'leverage'", "leverage"),
        ([*HEADER, "telephone"], [[*row, "1"] for row in ROWS], "has no use for 'telephone'", "telephone"),
        ([*HEADER, "leverage"], [[*row, "1"] for row in ROWS], "has twice 'leverage'", "leverage"),
        (["id", *HEADER[1:]], ROWS, "lacks 'subject_id' and has no use for 'id'", "subject_id"),
    ):
        with pytest.raises(SchemaMismatch, match=said) as refused:
            load(bank, written(tmp_path, rows, header))
        assert (refused.value.context["party"], refused.value.context["column"]) == (BANK, column)


def test_what_is_no_file_is_refused(bank, tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    for raw, refusal, said in (
        (b"", CorruptData, "is empty"),
        (gzip.compress(whole)[:-9], CorruptData, "cannot be read"),
        (whole.replace(b"Y", "银".encode("gb18030")), CorruptData, "line 3 is not UTF-8"),
        (",".join(HEADER).encode() + b"\n", CorruptData, "no rows"),
        # Ten million bytes of one line in ten thousand: none of it is kept to be put together.
        (gzip.compress(whole + b"A" * 10_000_000), CorruptData, "has a line of more than 1,048,576 bytes"),
    ):
        path.write_bytes(raw)
        with pytest.raises(refusal, match=said):
            load(bank, path)
    with pytest.raises(DataMissing, match=r"nothing.csv does not exist"):
        load(bank, tmp_path / "nothing.csv")
    with pytest.raises(CorruptData, match="cannot be read"):
        load(bank, tmp_path)
    assert bank.count() == 4


def test_outcomes_and_ids_have_files_of_their_own(bank, tmp_path):
    path = tmp_path / "outcomes.csv"
    path.write_text("outcome,subject_id\n1,A\n,B\n")
    done = set_outcomes(bank, CustomerFile(bank, path).outcomes())
    assert (done.changed, bank.table().labels.tolist()) == (2, [1, -1, 0, 1])
    path.write_text("subject_id\nA\nB\n")
    assert [list(part) for part in CustomerFile(bank, path).subjects()] == [["A", "B"]]
    with pytest.raises(SchemaMismatch, match="lacks 'outcome'"):
        set_outcomes(bank, CustomerFile(bank, path).outcomes())


def test_a_grid_companys_file_says_of_which_days_it_is(tmp_path):
    grid = store_of(tmp_path, GRID)
    header = ["subject_id", *SCHEMA.grid.columns, "read_from", "read_until"]
    rows = [["X", *"12345678", "2025-11-30", "2026-11-29"], ["Y", *"12345678", "2025-12-01", "2026-11-30"]]
    assert load(grid, written(tmp_path, rows, header)).added == 2
    ((batch),) = CustomerFile(grid, tmp_path / "customers.csv").customers()
    assert batch.read_until.tolist() == [DAY - 1, DAY]
    for day in ("2026-11", "20261129", "2026-02-30", "", "29.11.2026"):
        with pytest.raises(CorruptData, match=r"column read_until line 2 is not a day \(2026-01-31\)"):
            load(grid, written(tmp_path, [[*rows[0][:-1], day], rows[1]], header))
    with pytest.raises(SchemaMismatch, match="lacks 'read_until'"):
        load(grid, written(tmp_path, [row[:-1] for row in rows], header[:-1]))
    with pytest.raises(SchemaMismatch, match="has no use for 'outcome'"):
        load(grid, written(tmp_path, [[*row, "1"] for row in rows], [*header, "outcome"]))
    grid.close()


def test_parquet_without_pyarrow_says_what_to_install(bank, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "customers.parquet"
    path.write_bytes(b"PAR1" + bytes(40))
    with pytest.raises(DataMissing, match=r"pip install 'tanxin\[parquet\]'"):
        load(bank, path)


# In a process of its own: where pyarrow is, pandas is another, for every test that comes later.
PARQUET = """
import json, sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq
from arriving import AT, GRID, SCHEMA, all_of, digest_of, store_of
from federated.errors import FederatedError
from federated.nodes import customer_files
from federated.nodes.customer_files import CustomerFile
from federated.nodes.customers import load_customers

folder = Path(sys.argv[1])
store, path, told = store_of(folder), folder / "c.parquet", {}
customer_files.ROWS = 2

def load(store, **columns):
    pq.write_table(pa.table(columns), path)
    try:
        return load_customers(store, CustomerFile(store, path).customers(), AT)
    except FederatedError as error:
        return f"{error.code} {error.detail}"

names = SCHEMA.bank.columns
good = {"subject_id": pa.array(["X", "Y", "A"])} | {name: pa.array([1.5, None, 0.1]) for name in names}
done = load(store, **good, outcome=pa.array([1, None, 0], pa.int8()))
told["loaded"] = [done.added, done.changed, done.data_sha256 == digest_of(store)]
told["labels"] = store.table().labels.tolist()
told["missing"] = bool(np.isnan(store.values_of("Y")).all())
told["value"] = store.values_of("A").tolist()
other = good | {names[0]: pa.array([1, 2, 3]), names[1]: pa.array([Decimal("0.1")] * 3)}
load(store, **other)
told["other types"] = store.values_of("Y").tolist()[:2]
before = all_of(store)
wrong = {
    "words": good | {names[1]: pa.array(["1", "2", "3"])},
    "nan": good | {names[1]: pa.array([1.0, 2.0, float("nan")])},
    "inf": good | {names[1]: pa.array([1.0, float("inf"), 2.0])},
    "no id": good | {"subject_id": pa.array(["X", None, "A"])},
    "numbers for ids": good | {"subject_id": pa.array([1, 2, 3])},
    "an id again": good | {"subject_id": pa.array(["X", "Y", "X"])},
    "an outcome": good | {"outcome": pa.array([0, 1, 2])},
    "a column": good | {"telephone": pa.array([0, 1, 2])},
    "too exact": good | {names[1]: pa.array([1, 2, 2**53 + 1])},
}
for what, columns in wrong.items():
    told[what] = load(store, **columns)
told["none"] = {name: column for name, column in good.items() if name != names[0]} and load(
    store, **{name: column for name, column in good.items() if name != names[0]}
)
path.write_bytes(path.read_bytes()[:-30])
try:
    list(CustomerFile(store, path).customers())
except FederatedError as error:
    told["cut off"] = f"{error.code} {error.detail}"
told["same"] = all_of(store) == before
grid = store_of(folder, GRID)
days = {"read_from": pa.array([date(2025, 11, 30)] * 3), "read_until": pa.array([date(2026, 11, 29)] * 3)}
grids = {"subject_id": good["subject_id"]} | {name: pa.array([1.0, 2.0, 3.0]) for name in SCHEMA.grid.columns}
told["grid"] = load(grid, **grids, **days).added
told["grid without days"] = load(grid, **grids)
print(json.dumps(told))
"""


def test_parquet_says_the_same_as_csv(tmp_path):
    pytest.importorskip("pyarrow")
    done = subprocess.run(
        [sys.executable, "-c", PARQUET, str(tmp_path)],
        check=True,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    told = json.loads(done.stdout)
    assert told.pop("loaded") == [2, 1, True]
    assert told.pop("labels") == [0, 1, 0, 1, 1, -1]
    assert told.pop("value") == [0.1] * 8
    assert told.pop("other types") == [2.0, 0.1]
    assert (told.pop("missing"), told.pop("same"), told.pop("grid")) == (True, True, 2)
    assert told.pop("none").endswith("c.parquet line 1 lacks 'leverage'")
    assert told == {
        "words": "schema_mismatch bank-gusu: c.parquet has string in column current_ratio",
        "nan": "corrupt_data bank-gusu: column current_ratio line 3 is not a finite number",
        "inf": "corrupt_data bank-gusu: column current_ratio line 2 is not a finite number",
        "no id": "corrupt_data bank-gusu: column subject_id line 2 is empty",
        "numbers for ids": "schema_mismatch bank-gusu: c.parquet has int64 in column subject_id",
        "an id again": "corrupt_data bank-gusu: column subject_id line 3 has the id of line 1 again",
        "an outcome": "corrupt_data bank-gusu: column outcome line 3 is neither 0 nor 1 nor empty",
        "a column": "schema_mismatch bank-gusu: c.parquet line 1 has no use for 'telephone'",
        "too exact": told["too exact"],
        "cut off": told["cut off"],
        "grid without days": "schema_mismatch grid-sip: c.parquet line 1 lacks 'read_from', 'read_until'",
    }
    assert told["too exact"].startswith("corrupt_data bank-gusu: c.parquet cannot be read: Integer value")
    assert told["cut off"].startswith("corrupt_data bank-gusu: c.parquet cannot be read: ")
