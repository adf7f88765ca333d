"""The methodology page's own file and lines, used as they stand."""

import re
import subprocess
from fractions import Fraction
from pathlib import Path

from ready_commands import ready_commands
from reductions import reduction

from financing.base.parameters.loader import load_parameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "methodologies.md").read_text("utf-8")
(FILE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(LINES,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_a_methodology_and_calculates(tmp_path):
    (tmp_path / "heat_pump.toml").write_text(FILE, encoding="utf-8")
    found = reduction(
        "HEATPUMP",
        metered={"heat_pump": 1_000_000},
        declared={"performance": "3.5"},
        parameters=load_parameters(more_methodologies=tmp_path),
    )
    exact = 1000 * (Fraction("3.5") * Fraction("3.6") / Fraction("0.92") * Fraction("0.0561") - Fraction("0.5978"))
    assert Fraction(found.step("reduction").value) == exact
    assert found.reduction.kg == int(exact)


def test_the_lines_run(tmp_path):
    folder = tmp_path / "my-methodologies"
    folder.mkdir()
    (folder / "heat_pump.toml").write_text(FILE, encoding="utf-8")
    with ready_commands(tmp_path, ROOT) as tanxin:
        script = LINES.replace(".venv/bin/tanxin", str(tanxin))
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("HEATPUMP1") == 2
