"""What a local network writes down: where parties answer, which processes are its own."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from federated.errors import CorruptData, DataMissing, HomeOccupied
from simulations.local_network.bringing_up import alone
from simulations.local_network.layout import HOST, IP, Layout
from simulations.local_network.processes import Processes, Running, last_line, tanxin
from simulations.local_network.relay import Relay, doubled, held, passed, swallowed
from simulations.local_network.set_clock import off_by

SLEEPS = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]


def test_a_layout_is_made_once_and_read_back(tmp_path):
    made = Layout.at(tmp_path)
    assert Layout.at(tmp_path, namespaces=True) == made == Layout.known(tmp_path)
    assert len(set(made.ports.values())) == len(made.ports) == 13
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


@pytest.fixture
def echoed():
    """A server that answers each connection with what it was sent, in brackets, and a relay before it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection:
            while content := connection.recv(1000):
                connection.sendall(b"(" + content + b")")

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    relay = Relay(*listening.getsockname())
    yield relay
    relay.close()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def says(connection, content, answer):
    connection.sendall(content)
    told = b""
    while len(told) < len(answer) and (part := connection.recv(1000)):
        told += part
    return told == answer


def test_a_relay_passes_on_swallows_doubles_holds_and_cuts(echoed):
    with socket.create_connection(("127.0.0.1", echoed.port)) as connection:
        connection.settimeout(5)
        assert says(connection, b"one", b"(one)")
        echoed.back = doubled
        assert says(connection, b"two", b"(two)(two)")
        echoed.back, echoed.towards = passed, held(0.2)
        began = time.monotonic()
        assert says(connection, b"three", b"(three)")
        assert time.monotonic() - began >= 0.2
        echoed.towards = swallowed
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            says(connection, b"four", b"(four)")
        echoed.cut()
        assert connection.recv(1000) == b""
    assert [bytes(each) for each in echoed.recorded] == [b"onetwothreefour"]


def test_what_a_relay_recorded_is_sent_again_on_a_connection_of_its_own(echoed, monkeypatch):
    monkeypatch.setattr("simulations.local_network.relay.ANSWERS_S", 0.3)
    assert echoed.replay(b"again") == b"(again)"
    assert not echoed.recorded


def test_a_relay_that_is_closed_takes_nobody(echoed):
    echoed.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", echoed.port))


def test_a_clock_is_off_by_what_its_file_says_at_each_look(tmp_path):
    file = tmp_path / "clock"
    clock = off_by(file)
    for seconds in (0, 3600, -3600):
        file.write_text(str(seconds), "ascii")
        off = clock.now(UTC) - datetime.now(UTC) - timedelta(seconds=seconds)
        assert abs(off) < timedelta(seconds=1)
    words = tanxin("node", "serve", clock=file)
    assert words[1:] == ["-m", "simulations.local_network.set_clock", str(file), "node", "serve"]
