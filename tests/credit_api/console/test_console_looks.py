"""Contrast of the colour tokens (WCAG 2.1 AA), and the policy that no style or script is inline."""

import re

import pytest

from credit_api.console.pages import HERE, STATIC

CSS = (STATIC / "console.css").read_text("utf-8")
TEXT_ON = [
    *[(ink, ground) for ink in ("ink", "muted") for ground in ("bg", "surface", "sunken")],
    *[("accent", ground) for ground in ("bg", "surface", "accent-soft")],
    ("accent-ink", "accent"),
    *[("ink", f"{tone}-soft") for tone in ("good", "warn", "call", "bad", "accent")],
    *[(tone, f"{tone}-soft") for tone in ("good", "warn", "call", "bad")],
    *[(tone, "surface") for tone in ("good", "warn", "call", "bad")],
]
# What is not text but must be seen: borders of inputs, the chart's line.
SEEN_ON = [("field-line", "surface"), ("field-line", "bg"), ("accent", "surface"), ("accent", "bg")]


def tokens(block):
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", block))


LIGHT = tokens(CSS[: CSS.index("@media (prefers-color-scheme: dark)")])
SYSTEM_DARK = tokens(re.search(r'data-theme="auto"\] \{(.*?)\n  \}', CSS, re.S)[1])
CHOSEN_DARK = tokens(re.search(r':root\[data-theme="dark"\] \{(.*?)\n\}', CSS, re.S)[1])


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_the_known_extreme():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


def test_the_chosen_dark_theme_is_the_systems():
    assert SYSTEM_DARK == CHOSEN_DARK
    assert set(SYSTEM_DARK) == set(LIGHT)


@pytest.mark.parametrize("theme", [LIGHT, CHOSEN_DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT_ON)
def test_text_can_be_read(theme, ink, ground):
    assert contrast(theme[ink], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, CHOSEN_DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("mark", "ground"), SEEN_ON)
def test_borders_and_lines_can_be_seen(theme, mark, ground):
    assert contrast(theme[mark], theme[ground]) >= 3.0


@pytest.mark.parametrize("template", sorted(HERE.glob("templates/*.html")), ids=lambda path: path.name)
def test_no_template_carries_style_script_or_handlers(template):
    markup = template.read_text("utf-8")
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:|\|\s*safe", markup)
    assert not re.search(r"<script(?![^>]*\ssrc=)", markup)
    assert "http://" not in markup
    assert "https://" not in markup


def test_the_script_stays_small_and_nothing_comes_from_elsewhere():
    script = (STATIC / "console.js").read_text("utf-8")
    assert len(script.splitlines()) <= 60
    for name in ("console.css", "console.js"):
        assert "//" not in re.sub(r"^\s*//.*$", "", (STATIC / name).read_text("utf-8"), flags=re.M)
