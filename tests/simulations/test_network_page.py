"""The page of a local network: every party and store of what was seen, whatever they are called, and nothing loaded."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from simulations.local_network.layout import OPERATOR, SUPERLINK, Layout
from simulations.local_network.page import page
from simulations.local_network.parties import CERTIFIES, roles
from simulations.local_network.picture import picture_of
from simulations.local_network.views import Party, Seen, StoreFile, View, look_at
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS

AT = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
UNTIL = "2026-12-31T09:00:00+00:00"
NODES = (*BANKS, *GRIDS)
VOID = {"meta", "br"}


def view(name, **changes):
    standing = {"met": [each for each in NODES if each != name], "unmet": [], "champion": "v0001"}
    made = View(
        name, 4242, "127.0.0.1:9000", 81.6, "2026-12-01T08:00:00+00:00", (f"{name}/nodes/{name}.db",), UNTIL, (),
        {"joint, included": 1234, "query_budget_spent": 2}, 77, standing,
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def layout(tmp_path):
    return Layout.at(tmp_path)


@pytest.fixture
def seen(layout):
    parties = [
        Party(name, role, view(name) if name in NODES else None, UNTIL if name in NODES else None)
        for name, role in roles(layout).items()
    ]
    stores = [StoreFile(f"{name}/nodes/{name}.db", "0600", (name,)) for name in NODES]
    return Seen(layout.home, AT, tuple(parties), (*stores, StoreFile("operator/x.db", "0644", ())))


def changed(seen, name, **changes):
    """What is seen where the process of one party differs."""
    parties = [replace(each, process=view(name, **changes)) if each.name == name else each for each in seen.parties]
    return replace(seen, parties=tuple(parties))


class Tags(HTMLParser):
    """Elements of a page; each that is opened is closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self._open = [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


def row_of(text, name):
    return " ".join(re.sub("<[^>]+>", " ", re.search(f'<tr id="{name}">(.*?)</tr>', text, re.DOTALL)[1]).split())


def test_every_party_says_what_it_is_where_it_runs_what_it_holds_and_never_sees(seen, layout):
    text = page(seen)
    for name, role in roles(layout).items():
        row = row_of(text, name).replace("&#39;", "'")
        for said in (name, role.kind, role.runs, role.holds, role.never_sees):
            assert said in row
        if name in NODES:
            for said in ("pid 4242", "82 MiB", "since 2026-12-01 08:00", "at 127.0.0.1:9000", "2026-12-31 09:00"):
                assert said in row
            assert "well 4 of 4 peers met version v0001 scores 1,234 × joint, included; 2 × query budget spent" in row
            assert "77 messages of others" in row
        else:
            assert role.without in row
            assert "pid" not in row
    assert "a sandbox&#39;s wallet, which signs for all" in row_of(text, "identity-authority")
    assert "it runs while it certifies" in row_of(text, CERTIFIES)


def test_a_process_that_is_ill_or_silent_is_said_so(seen):
    text = page(changed(seen, "grid-sip", wrong=("certificate_over", "store_unreadable"), standing=None))
    assert "certificate over, store unreadable" in row_of(text, "grid-sip")
    assert '<span class="dot wrong"' in text
    met = {"met": ["bank-gusu"], "unmet": ["bank-jinji", "bank-taihu", "grid-gaoxin"], "champion": None}
    row = row_of(page(changed(seen, "grid-sip", standing=met, scores={})), "grid-sip")
    assert "well 1 of 4 peers met no version scores 77 messages" in row


def test_stores_are_told_with_their_mode_and_who_has_them_open(seen):
    stores = page(seen).partition("<h2>Stores</h2>")[2]
    rows = [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in re.findall("<tr>(.*?)</tr>", stores, re.DOTALL)]
    assert rows[1:] == [
        *(f"{name}/nodes/{name}.db 0600 {name}" for name in NODES), "operator/x.db 0644 no process",
    ]  # fmt: skip


def test_nothing_is_loaded_run_or_sent_and_every_tag_is_closed(seen):
    tags = Tags(page(seen)).found
    names = [tag for tag, _ in tags]
    assert names.count("tr") == len(seen.parties) + len(seen.stores) + 2
    assert not {"script", "link", "img", "iframe", "form", "a", "object"} & set(names)
    for _, attributes in tags:
        assert not {"src", "href", "style", "action"} & set(attributes)
        assert not [each for each in attributes if each.startswith("on")]
    assert "url(" not in page(seen)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags


def test_whatever_things_are_called_they_are_text(seen, tmp_path):
    odd = '<b onclick="x">&'
    told = changed(seen, "grid-sip", address=odd, scores={odd: 1}, wrong=(odd,))
    told = replace(told, home=tmp_path / "<i>", stores=(StoreFile(odd, odd, (odd,)),))
    text = page(told)
    assert "<b" not in text.replace("<body", "").replace("<br>", "")
    assert "<i>" not in text
    assert text.count("&lt;b onclick=&#34;x&#34;&gt;&amp;") == 6


def test_the_picture_has_each_party_once_and_a_line_for_each_two_that_met(seen):
    picture = picture_of(seen)
    assert sorted(box.name for box in picture.boxes) == sorted([*NODES, EXCHANGE, OPERATOR])
    assert {box.name: box.state for box in picture.boxes} == dict.fromkeys(NODES, "well") | {
        EXCHANGE: "off",
        OPERATOR: "off",
    }
    kinds = [line.kind for line in picture.lines]
    assert (kinds.count("met"), kinds.count("unmet"), kinds.count("trains"), kinds.count("follows")) == (10, 0, 5, 0)
    silent = picture_of(changed(seen, "grid-sip", wrong=("does not answer",), standing=None))
    kinds = [line.kind for line in silent.lines]
    assert (kinds.count("met"), kinds.count("unmet")) == (6, 4)
    assert [box.state for box in silent.boxes if box.name == "grid-sip"] == ["wrong"]
    # All of it lies within the picture, and no box lies upon another.
    for box in picture.boxes:
        assert 0 <= box.left <= picture.width - 100
        assert 0 <= box.top <= picture.height - 36
        for other in picture.boxes:
            assert box is other or abs(box.x - other.x) >= 100 or abs(box.y - other.y) >= 36


def test_the_exchange_follows_banks_and_a_superlink_stands_in_the_operators_box(seen, layout):
    (layout.of(OPERATOR) / SUPERLINK).mkdir(parents=True)
    parties = [*changed(seen, EXCHANGE, standing=None).parties]
    parties.append(Party(SUPERLINK, roles(layout)[SUPERLINK], view(SUPERLINK, pid=77, wrong=None), UNTIL))
    picture = picture_of(replace(seen, parties=tuple(parties)))
    assert [line.says for line in picture.lines if line.kind == "follows"] == [
        f"{EXCHANGE} asks {bank} what it decided" for bank in BANKS
    ]
    assert [box.line for box in picture.boxes if box.name == OPERATOR] == ["SuperLink 77"]
    assert "supernode-grid-sip" in roles(layout)
    row = row_of(page(replace(seen, parties=tuple(parties))), SUPERLINK)
    assert "flower-superlink pid 77" in row
    assert "it runs, and tells no health" in row


def test_of_a_network_that_does_not_run_parties_and_stores_are_seen(layout):
    layout.store("grid-sip").parent.mkdir(parents=True)
    layout.store("grid-sip").write_bytes(b"")
    layout.store("grid-sip").chmod(0o640)
    found = look_at(layout, AT)
    assert found.processes == ()
    assert [each.name for each in found.parties] == list(roles(layout))
    with layout.store("grid-sip").open("rb"):
        opened = look_at(layout, AT).stores
    assert found.stores == (StoreFile("grid-sip/nodes/grid-sip.db", "0640", ()),)
    (name,) = opened[0].opened_by
    assert re.fullmatch(r"process \d+", name)
    assert "0 processes run" in page(found)
