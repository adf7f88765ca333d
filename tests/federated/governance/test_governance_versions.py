"""Decisions on disk: the log keeps its chain, survives a crash, and lets one of two processes win."""

import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hand_made import AT, DAY, BareRegistry, appointed, approved, governed, manifest, publish
from ready_process import python

from federated.errors import ModelCorrupt, ModelExpired, ModelInUse, ModelNotFound, VersionNotFound
from federated.governance.decisions import Act
from federated.governance.lifecycle import APPROVAL_DAYS, Kind, Role, Status
from federated.governance.versions import Governance

ACT = Act("bank-gusu", AT)
ROOT = Path(__file__).parents[3]


def in_use(home, *versions):
    """All versions approved, the first of them champion."""
    governance = governed(home, *versions)
    for version in versions:
        approved(governance, version, ACT.at)
    appointed(governance, versions[0], ACT.at)
    return governance


def lines_of(home):
    return (home / "registry" / "credit" / "events.jsonl").read_bytes().splitlines(keepends=True)


def write_lines(home, lines):
    (home / "registry" / "credit" / "events.jsonl").write_bytes(b"".join(lines))


def test_nothing_scores_until_someone_appoints_it(tmp_path):
    governance = governed(tmp_path, "v0001")
    with pytest.raises(ModelNotFound):
        governance.champion(AT)
    approved(governance, "v0001", ACT.at)
    appointed(governance, "v0001", ACT.at)
    assert governance.champion(AT) == manifest("v0001")
    assert governance.challenger(AT) is None


def test_a_version_of_one_bank_displaces_that_of_two_with_both_their_words(tmp_path):
    governance = governed(tmp_path, "v0002")
    both = {"bank-gusu|grid-sip": 200, "bank-jinji|grid-sip": 100}
    governance.register(publish(tmp_path, manifest("v0001", aligned_rows=both)), AT)
    for version in ("v0001", "v0002"):
        approved(governance, version, ACT.at)
    appointed(governance, "v0001", ACT.at)
    assert governance.appoint("v0002", Role.CHAMPION, ACT).kind is Kind.NOMINATED
    assert governance.champion(AT).version == "v0001"
    governance.appoint("v0002", Role.CHAMPION, Act("bank-jinji", AT))
    assert governance.champion(AT).version == "v0002"


def test_scoring_fails_closed_when_the_approval_lapses(tmp_path):
    governance = in_use(tmp_path, "v0001", "v0002")
    governance.appoint("v0002", Role.CHALLENGER, ACT)
    late = AT + APPROVAL_DAYS * DAY
    assert governance.challenger(late - DAY) == manifest("v0002")
    with pytest.raises(ModelExpired):
        governance.champion(late)
    assert governance.challenger(late) is None
    approved(governance, "v0001", late)
    assert governance.champion(late).version == "v0001"


def test_another_process_sees_what_was_decided(tmp_path):
    first, second = in_use(tmp_path, "v0001", "v0002"), Governance(tmp_path, BareRegistry(tmp_path))
    assert second.champion(AT).version == "v0001"
    appointed(first, "v0002", ACT.at)
    assert second.champion(AT).version == "v0002"
    second.roll_back(ACT)
    assert first.champion(AT).version == "v0001"


def test_a_request_sent_twice_is_obeyed_once(tmp_path):
    governance = in_use(tmp_path, "v0001", "v0002", "v0003")
    for version in ("v0002", "v0003"):
        appointed(governance, version, ACT.at)
    command = Act("bank-gusu", AT, command="cmd_1")
    assert governance.roll_back(command) == governance.roll_back(command)
    assert governance.champion(AT).version == "v0002"
    governance.roll_back(Act("bank-taihu", AT, command="cmd_1"))
    assert governance.champion(AT).version == "v0001"


def test_one_of_two_processes_appoints(tmp_path):
    in_use(tmp_path, "v0001", "v0002")
    script = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests/support")!r}]
from hand_made import AT, BareRegistry
from federated.errors import ModelInUse
from federated.governance.decisions import Act
from federated.governance.versions import Governance
from federated.governance.lifecycle import Role
from pathlib import Path
home = Path({str(tmp_path)!r})
print("ready", flush=True)
sys.stdin.readline()
won = 0
for _ in range(20):
    governance = Governance(home, BareRegistry(home))
    for version in ("v0002", "v0001"):
        try:
            governance.appoint(version, Role.CHAMPION, Act("bank-gusu", AT))
            won += 1
        except ModelInUse:
            pass
print(won)
"""
    running = [
        subprocess.Popen([python(), "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for each in running:
        assert each.stdout.readline() == "ready\n"
    for each in running:
        each.stdin.write("go\n")
        each.stdin.flush()
    won = sum(int(each.communicate(timeout=60)[0]) for each in running)
    champions = Governance(tmp_path, BareRegistry(tmp_path)).lifecycle().champions
    assert len(champions) == 1 + won > 1
    assert all(a != b for a, b in pairwise(champions))


def test_an_unknown_version_is_no_path(tmp_path):
    governance = governed(tmp_path, "v0001")
    for version in ("v0009", "../../nodes", ""):
        with pytest.raises(VersionNotFound):
            governance.manifest(version)
        with pytest.raises(VersionNotFound):
            governance.appoint(version, Role.CHAMPION, ACT)


def test_what_was_registered_cannot_be_exchanged(tmp_path):
    governance = governed(tmp_path, "v0001", "v0002")
    for version in ("v0001", "v0002"):
        approved(governance, version, ACT.at)
    folder = tmp_path / "registry" / "credit"
    prettier = replace(manifest("v0001"), metrics={"federated": {"auc": 0.99}})
    (folder / "v0001" / "manifest.json").write_text(prettier.to_json())
    (folder / "v0002" / "weights.npz").write_bytes(b"others")
    for version in ("v0001", "v0002"):
        with pytest.raises(ModelCorrupt):
            governance.appoint(version, Role.CHAMPION, ACT)
    assert governance.lifecycle().champion is None


def test_only_what_was_published_is_registered(tmp_path):
    governance = governed(tmp_path)
    with pytest.raises((ModelNotFound, FileNotFoundError)):
        governance.register(manifest("v0001"), AT)
    assert governance.lifecycle().versions == {}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_edited_line_is_named(tmp_path, number):
    in_use(tmp_path, "v0001")
    extra = Governance(tmp_path, BareRegistry(tmp_path))
    approved(extra, "v0001", AT)
    lines = lines_of(tmp_path)
    lines[number - 1] = lines[number - 1].replace(b"2026", b"2027")
    write_lines(tmp_path, lines)
    with pytest.raises(ModelCorrupt, match=f"line {number} "):
        extra.lifecycle()
    with pytest.raises(ModelCorrupt, match=f"line {number} "):
        approved(extra, "v0001", AT)


def test_a_rewritten_hash_breaks_the_next_line(tmp_path):
    from federated.governance.event_log import FIRST, _line, _parsed

    governance = in_use(tmp_path, "v0001")
    lines = lines_of(tmp_path)
    event, _ = _parsed(lines[0])
    lines[0] = _line(replace(event, by="bank-gusu"), FIRST)
    write_lines(tmp_path, lines)
    with pytest.raises(ModelCorrupt, match="line 2 "):
        governance.lifecycle()


@pytest.mark.parametrize("change", ["swap", "drop", "repeat", "garbage", "not an object"])
def test_moved_missing_and_foreign_lines_are_found(tmp_path, change):
    governance = in_use(tmp_path, "v0001")
    a, b, c = lines_of(tmp_path)
    write_lines(
        tmp_path,
        {
            "swap": [b, a, c],
            "drop": [a, c],
            "repeat": [a, b, b, c],
            "garbage": [a, b"\xff\x00\n", c],
            "not an object": [a, b"[]\n", c],
        }[change],
    )
    with pytest.raises(ModelCorrupt):
        governance.champion(AT)


def test_a_torn_line_is_not_served_and_is_mended_by_the_next(tmp_path):
    governance = in_use(tmp_path, "v0001", "v0002")
    before, lines = governance.lifecycle(), lines_of(tmp_path)
    for cut in (1, len(lines[0]) // 2, len(lines[0]) - 1):
        write_lines(tmp_path, [*lines, lines[0][:cut]])
        assert governance.lifecycle() == before
    appointed(governance, "v0002", ACT.at)
    after = lines_of(tmp_path)
    assert after[:-1] == lines
    assert json.loads(after[-1])["kind"] == "appointed"
    assert Governance(tmp_path, BareRegistry(tmp_path)).champion(AT).version == "v0002"


def test_a_first_line_that_tore_leaves_an_empty_log(tmp_path):
    (tmp_path / "registry" / "credit").mkdir(parents=True)
    write_lines(tmp_path, [b'{"at":'])
    governance = governed(tmp_path)
    assert governance.lifecycle().events == ()
    governance.register(publish(tmp_path, manifest("v0001")), AT)
    assert governance.lifecycle().status("v0001", AT) is Status.REGISTERED


def test_a_refusal_writes_nothing(tmp_path):
    governance = in_use(tmp_path, "v0001")
    lines = lines_of(tmp_path)
    with pytest.raises(ModelInUse):
        governance.retire("v0001", ACT)
    assert lines_of(tmp_path) == lines
