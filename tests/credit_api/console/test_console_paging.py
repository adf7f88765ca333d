"""Long lists in the console: a page of each, a link that leads on, and sums of the whole."""

import re
from contextlib import contextmanager
from html import unescape

import pytest
from sqlalchemy import event
from test_console_forms import Browser
from world import World

from financing.base.storage import records

ROWS = 120


def section(page, name):
    start = page.index(f'id="{name}"')
    return page[start : page.index("</section>", start)]


def next_of(part):
    found = re.search(r'<a href="([^"]*)">Next page</a>', part)
    return unescape(found[1]) if found else None


def walked(browser, path, name, row):
    """The rows of a list of a page, part by part, as its own links lead on."""
    parts = []
    while path is not None:
        part = section(browser.get(path).text, name)
        parts.append(re.findall(row, part))
        path = next_of(part)
    return parts


@pytest.fixture(scope="module")
def long_lists(tmp_path_factory, founded_world):
    """A developer with as many pledges and as many retirements as make three parts of a page."""
    with World.copied(founded_world, tmp_path_factory.mktemp("long") / "home") as w:
        w.admit("dev-a", "developer")
        issuance = w.credits("dev-a")["issuance_id"]
        w.price(3_000)
        some = {"issuance_id": issuance, "quantity_kg": 1_000}
        w.pledges = [w.post("dev-a", "/v1/pledges", some | {"bank_id": "bank-gusu"})["pledge_id"] for _ in range(ROWS)]
        use = {"beneficiary": "x", "purpose": "y"}
        w.retired = [w.post("dev-a", "/v1/retirements", some | use)["certificate_number"] for _ in range(ROWS)]
        yield w


@pytest.mark.parametrize(
    ("who", "path", "name", "row", "rows"),
    [
        ("dev-a", "/console/assets", "pledges", r'title="(plg_\w+)"', "pledges"),
        ("dev-a", "/console/assets", "retirements", r'href="/certificates/([\w-]+)"', "retired"),
        ("registry-sip", "/console/registry", "retirements", r'href="/certificates/([\w-]+)"', "retired"),
        ("bank-gusu", "/console/desk", "pledges", r'title="(plg_\w+)"', "pledges"),
    ],
)
def test_a_long_list_shows_a_page_and_leads_on(long_lists, who, path, name, row, rows):
    parts = walked(Browser(long_lists).act_as(who), path, name, row)
    assert [len(part) for part in parts] == [50, 50, 20]
    shown = [each for part in parts for each in part]
    assert sorted(shown) == sorted(getattr(long_lists, rows))


def test_the_parts_of_two_lists_are_turned_by_themselves(long_lists):
    browser = Browser(long_lists).act_as("dev-a")
    first = browser.get("/console/assets").text
    second = browser.get(next_of(section(first, "pledges"))).text
    both = browser.get(next_of(section(second, "retirements"))).text
    assert section(both, "pledges").count("plg_") == section(second, "pledges").count("plg_")
    assert re.findall(r'title="(plg_\w+)"', section(both, "pledges")) != re.findall(
        r'title="(plg_\w+)"', section(first, "pledges")
    )
    back = re.search(r'<a href="([^"]*)">Back to the start</a>', section(both, "pledges"))[1]
    again = browser.get(unescape(back)).text
    assert "Back to the start" not in section(again, "pledges")
    assert "Back to the start" in section(again, "retirements")
    browser.get("/console/assets?pledges=zzz", status=422)
    browser.get("/console/assets?pledges=WzFd", status=422)


def test_sums_are_of_the_whole_list(long_lists):
    assets = Browser(long_lists).act_as("dev-a").get("/console/assets").text
    registry = Browser(long_lists).act_as("registry-sip").get("/console/registry").text
    for page in (assets, registry):
        tiles = page[: page.index("</dl>")]
        assert "120.000 t" in tiles


@contextmanager
def decoded(monkeypatch, engine):
    """How many stored records are turned into objects meanwhile, and how many statements are sent."""
    seen = {"records": 0, "statements": 0}
    decode = records.Codec.decode

    def counting(codec, *given):
        seen["records"] += 1
        return decode(codec, *given)

    def counted(*_):
        seen["statements"] += 1

    with monkeypatch.context() as patch:
        patch.setattr(records.Codec, "decode", counting)
        event.listen(engine, "before_cursor_execute", counted)
        yield seen
        event.remove(engine, "before_cursor_execute", counted)


def test_no_page_decodes_more_than_it_shows(long_lists, monkeypatch):
    for who, path in (("dev-a", "/console/assets"), ("registry-sip", "/console/registry")):
        browser = Browser(long_lists).act_as(who)
        with decoded(monkeypatch, long_lists.parts.engine) as seen:
            browser.get(path)
        assert seen["records"] <= 60, (path, seen)
        assert seen["statements"] <= 60, (path, seen)
