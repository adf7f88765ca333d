"""`tanxin bench customers`, small: both sides load the same customers, and the figures are of what was loaded."""

import json

from command_line import CliRunner, app


def test_both_sides_are_measured():
    done = CliRunner().invoke(app, ["bench", "customers", "--rows", "300", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["data_origin"], told["columns"]) == ("generated", 8)
    assert [told[name]["rows"] for name in ("csv", "again", "corrected")] == [300] * 3
    assert (told["row_by_row_sample"], told["commit_a_row_sample"]) == (300, 300)
    for each in (told["csv"], told["again"], told["corrected"]):
        assert each["rows_per_s"] == each["rows"] / each["seconds"]
        assert 30 < each["peak_mib"] < 2_048
    assert told["times_row_by_row"] == 300 / told["csv"]["cpu_s"] / told["row_by_row_per_cpu_s"]
