"""`tanxin node`: what a bank's own people load, correct, delete and look at, and what they are told."""

import json

import pytest
from arriving import BANK, GRID, SCHEMA, digest_of, store_of
from typer.testing import CliRunner

from credit_api.cli.customers import node_app
from federated.nodes.store import NodeStore

HEADER = ",".join(["subject_id", *SCHEMA.bank.columns, "outcome"])


def node(command, path, *arguments):
    return CliRunner().invoke(node_app, [command, "--store", str(path), *map(str, arguments)])


@pytest.fixture
def store(tmp_path):
    made = store_of(tmp_path)
    made.put_alignment(GRID, ["C", "A"])
    made.close()
    return made.path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(f"{HEADER}\nX,1,2,3,,5,6,7,8,1\nA,1,2,3,4,5,6,7,8,\n")
    return path


def test_a_file_is_loaded_and_loaded_again(store, file):
    done = node("load", store, "--file", file)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("bank-gusu: 1 added, 1 changed, 0 as they were; 5 customers, data ")
    assert "customers.csv" in done.stderr
    again = json.loads(node("load", store, "--file", file, "--json").stdout)
    opened = NodeStore(store)
    assert again.pop("others_waited_s") >= 0
    assert again == {
        "party": BANK, "rows": 2, "added": 0, "changed": 0, "unchanged": 2, "customers": 5,
        "data_sha256": digest_of(opened),
    }  # fmt: skip
    opened.close()


def test_outcomes_are_set_and_show_counts_them(store, tmp_path):
    path = tmp_path / "outcomes.csv"
    path.write_text("subject_id,outcome\nA,1\nB,\n")
    done = node("outcomes", store, "--file", path)
    assert done.stdout.startswith("bank-gusu: 0 added, 2 changed, 0 as they were; 4 customers")
    shown = node("show", store)
    assert "outcomes         not known: 1, paid: 1, defaulted: 2\n" in shown.stdout
    assert "schema           generated-firms 1, data origin: generated\n" in shown.stdout
    assert "folds            0: 1, 1: 1, 2: 1, 3: 1\n" in shown.stdout
    held = json.loads(node("show", store, "--json").stdout)
    assert (held["customers"], held["alignments"], held["columns"]) == (4, {GRID: 2}, list(SCHEMA.bank.columns))
    assert held["outcomes"] == {"-1": 1, "0": 1, "1": 2}
    assert f"data             {held['data_sha256']}\n" in shown.stdout


def test_a_deletion_names_what_is_left_and_why(store, tmp_path):
    done = node("delete", store, "--subject", "A", "--subject", "Q")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("bank-gusu: 1 deleted; 3 customers, data ")
    assert lines[1] == "alignment with grid-sip: 1 places are empty now"
    assert lines[2].startswith("left, grid-sip: its own file, alignment, copy of the consent and log are its own")
    assert [line.split(":")[0] for line in lines[3:]] == ["left, books", "left, backups"]
    assert "no file here of: Q" in done.stderr
    path = tmp_path / "gone.csv"
    path.write_text("subject_id\nB\nC\n")
    told = json.loads(node("delete", store, "--file", path, "--subject", "A", "--json").stdout)
    assert (told["deleted"], told["unknown"], told["customers"], told["scrubbed"]) == (2, ["A"], 1, True)
    assert [kept["what"] for kept in told["kept"]] == [GRID, "books", "backups"]
    assert node("delete", store).exit_code == 2


def test_refusals_have_a_code_and_a_line_and_end_with_two(store, file, tmp_path):
    file.write_text(f"{HEADER}\nX,1,2,3,high,5,6,7,8,1\n")
    grid = store_of(tmp_path, GRID)
    grid.close()
    for done, said in (
        (node("load", store, "--file", file), "error corrupt_data: bank-gusu: column interest_cover line 2 is not a"),
        (node("outcomes", store, "--file", file), "error schema_mismatch: bank-gusu: customers.csv line 1 has no use"),
        (node("outcomes", grid.path, "--file", file), "error not_permitted: grid-sip is a grid: it keeps no outcomes"),
        (node("load", store, "--file", tmp_path / "none.csv"), "error data_missing: bank-gusu: none.csv does not"),
        (node("show", tmp_path / "none.db"), "error data_missing: no node store at none.db"),
        (node("delete", store, "--subject", "no id"), "error corrupt_data: bank-gusu: column subject_id line 1"),
    ):
        assert done.exit_code == 2
        assert said in done.stderr
        assert done.stdout == ""
    assert json.loads(node("show", store, "--json").stdout)["customers"] == 4


def test_a_grid_companys_store_says_of_which_days_its_values_are(tmp_path):
    grid = store_of(tmp_path, GRID)
    grid.close()
    path = tmp_path / "grid.csv"
    header = ",".join(["subject_id", *SCHEMA.grid.columns, "read_from", "read_until"])
    path.write_text(f"{header}\nX,1,2,3,4,5,6,7,8,2025-01-01,2025-12-31\n")
    assert node("load", grid.path, "--file", path).exit_code == 0
    shown = node("show", grid.path).stdout
    assert "readings         2025-01-01 to 2025-12-31, 4 without a period\n" in shown
    assert "outcomes" not in shown
