"""The page on trust names tests that exist, and every border says what stands against which threat."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/trust.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_threat_names_a_test_that_exists(path, test):
    source = (ROOT / path).read_text("utf-8")
    assert not test or f"def {test}(" in source


def test_every_threat_has_a_test_or_is_said_to_be_open():
    rows = re.findall(r"^\| ([STRIDE]) \| .*$", TEXT, re.MULTILINE)
    lines = re.findall(r"^\| [STRIDE] \| (.*)$", TEXT, re.MULTILINE)
    assert len(lines) > 25
    assert set(rows) == set("STRIDE")
    assert [line for line in lines if "tests/" not in line and "**open**" not in line] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([\w/.-]+\.md)\)", TEXT))))
def test_links_lead_somewhere(target):
    assert (ROOT / "docs" / target).is_file()
