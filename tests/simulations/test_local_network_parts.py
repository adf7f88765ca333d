"""What a local network writes down: where parties answer, which processes are its own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from federated.errors import CorruptData, DataMissing, HomeOccupied
from simulations.local_network.bringing_up import alone
from simulations.local_network.layout import HOST, IP, Layout
from simulations.local_network.processes import Processes, Running, last_line

SLEEPS = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]


def test_a_layout_is_made_once_and_read_back(tmp_path):
    made = Layout.at(tmp_path)
    assert Layout.at(tmp_path, namespaces=True) == made == Layout.known(tmp_path)
    assert len(set(made.ports.values())) == len(made.ports) == 12
    assert made.url("grid-sip") == f"https://{HOST}:{made.ports['grid-sip']}"
    assert made.within("grid-sip", ["true"]) == ["true"]
    assert made.urls("--peer", but="grid-sip")[::2] == ["--peer"] * 4


def test_one_process_at_a_time_brings_a_network_up(tmp_path):
    with alone(tmp_path / "home"):
        with pytest.raises(HomeOccupied, match="another process"), alone(tmp_path / "home"):
            raise AssertionError("two at once")
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "home"):
        assert not list((tmp_path / "home").glob("*.json"))


def test_nodes_with_namespaces_have_addresses_of_their_own(tmp_path):
    made = Layout.at(tmp_path, namespaces=True)
    assert len({made.hosts[node] for node in made.nodes} | {made.hosts["superlink"]}) == 6
    assert made.hosts["supernode-grid-sip"] == HOST
    assert made.within("grid-sip", ["true"]) == [IP, "netns", "exec", "tx-grid-sip", "true"]


def test_no_layout_and_a_spoilt_one_are_said(tmp_path):
    with pytest.raises(DataMissing, match="no local network"):
        Layout.known(tmp_path)
    for spoilt in ("{", "[]", '{"ports": {"a": "x"}, "hosts": {}, "namespaces": false}', '{"ports": {}}'):
        (tmp_path / "network.json").write_text(spoilt)
        with pytest.raises(CorruptData):
            Layout.known(tmp_path)


def test_processes_are_started_once_and_ended(tmp_path):
    processes = Processes(tmp_path)
    first = processes.start("one", SLEEPS)
    assert processes.start("one", SLEEPS) == first
    until = time.monotonic() + 20
    while last_line(processes.log("one")) != "awake":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert processes.log("one").stat().st_mode & 0o077 == 0
    assert processes.stop("one") == []
    assert not first.runs
    assert processes.listed() == []
    assert processes.stop() == []


def test_another_process_that_has_the_number_now_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        old = Running("one", stranger.pid, 1, "2026-01-01T00:00:00+00:00", ["x"])
        (tmp_path / "processes.json").write_text(json.dumps([asdict(old)]))
        processes = Processes(tmp_path)
        assert processes.running("one") is None
        processes.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert not Running("one", os.getpid(), 0, "", []).runs
