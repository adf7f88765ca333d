"""Paths that the documents name exist: a room that moves takes its readers along."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.relative_to(ROOT).as_posix())
NAMED = re.compile(
    r"[`(\s]((?:\.\./)*(?:federated|credit_api|financing|simulations|tests|docs)/[\w./-]*\w/?)(?=[`):\s#,])"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_named_exists(page):
    named = set(NAMED.findall(page.read_text("utf-8")))
    missing = [path for path in named if not (ROOT / path).exists() and not (page.parent / path).exists()]
    # A changelog tells of what was there then.
    assert page.name == "CHANGELOG.md" or missing == []
