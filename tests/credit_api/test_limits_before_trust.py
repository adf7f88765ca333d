"""Nothing that a stranger sends costs memory or time: limits stand before parsing, and a key before a body."""

import gc
import os
import re
import select
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from test_every_route import DOCUMENT

from credit_api.app.main import create_app
from credit_api.app.settings import Limits, Settings
from credit_api.app.wiring import assemble
from credit_api.http.connections import guarded
from simulations.local_network.layout import free_ports

LIMITS = Limits(
    head_seconds=1.5,
    head_bytes=8_192,
    body_seconds=0.5,
    body_bytes=65_536,
    file_bytes=1_048_576,
    connections_per_address=40,
    wrong_keys_per_address="5/minute",
    requests_per_key="50/second",
    requests_at_once=3,
)


@pytest.fixture
def served(sqlite_world):
    """The world's books behind a real port, with low limits: (port, world)."""
    parts = assemble(Settings(home=sqlite_world.parts.settings.home, sandbox=True, limits=LIMITS))
    [port] = free_ports(1)
    config = uvicorn.Config(
        create_app(parts), host="127.0.0.1", port=port, log_level="error", http=guarded(LIMITS), ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield port, sqlite_world
    server.should_exit = True
    thread.join()


def exchange(port, head, body=b"", *, most=10.0):
    """Send a request as it is, and read until the connection ends: status (None: closed without), seconds, answer."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=most) as connection:
        try:
            connection.sendall(head)
            for chunk in body:
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionResetError:
            pass
    status = re.match(rb"HTTP/1\.1 (\d+)", answer)
    return int(status.group(1)) if status else None, time.monotonic() - started, answer


def post(path, *, key="", length=None):
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", "Idempotency-Key: k"]
    lines += [f"Authorization: Bearer {key}"] * bool(key)
    lines += ["Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunks(size, count):
    for _ in range(count):
        yield f"{size:x}\r\n".encode() + b"1," * (size // 2) + b"\r\n"
    yield b"0\r\n\r\n"


def memory():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_body_of_nobody_is_not_read(served):
    port, _ = served
    before = memory()
    status, _, _ = exchange(port, post("/v1/listings", length=200_000_000), (b"[" * 65_536 for _ in range(3_000)))
    # The connection is closed while the rest is still under way: then the answer may be lost with it.
    assert status in {401, None}
    status, seconds, answer = exchange(port, post("/v1/listings", length=200_000_000))
    assert (status, seconds < 2) == (401, True)
    assert b"connection: close" in answer.lower()
    assert memory() - before < 20_000_000


@pytest.mark.parametrize("length", [200_000_000, None])
def test_a_large_body_is_refused_at_the_limit(served, length):
    port, world = served
    head = post("/v1/listings", key=world.keys["bank-gusu"], length=length)
    before = memory()
    status, _, answer = exchange(port, head, chunks(65_536, 3) if length is None else ())
    assert (status, b"body_too_large" in answer) == (413, True)
    assert memory() - before < 20_000_000
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


def test_a_body_that_trickles_and_a_head_that_never_ends_are_given_up(served):
    port, world = served
    key = world.keys["bank-gusu"]
    status, seconds, answer = exchange(port, post("/v1/listings", key=key, length=10))
    assert (status, seconds < 5, b"request_timeout" in answer) == (408, True, True)
    for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        status, seconds, _ = exchange(port, begun)
        assert (status, seconds < 5) == (None, True)
    status, seconds, _ = exchange(port, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 50_000)
    assert (status, seconds < 5) == (None, True)
    # A connection that has been answered may rest, and half a request on it is given up like a first one.
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(whole)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(whole[:10])
        while connection.recv(65_536):
            pass


def test_one_address_holds_so_many_connections_and_no_more(served):
    port, _ = served
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    time.sleep(0.2)
    # What is one too many is closed at once, what is not only when its first request is overdue.
    closed = [select.select([each], [], [], 0)[0] != [] for each in held]
    assert sum(closed) == 60 - LIMITS.connections_per_address
    for each in held:
        each.close()
    time.sleep(0.2)
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


def test_guessing_keys_is_slowed_and_known_ones_go_on(served):
    port, world = served
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:

        def answer(key):
            return client.get("/v1/balances", headers={"Authorization": f"Bearer {key}"})

        known = world.keys["bank-gusu"]
        first = answer(known)
        assert first.headers["RateLimit-Limit"] == "50"
        assert int(first.headers["RateLimit-Remaining"]) < 50
        guesses = [answer(f"txk_{number}") for number in range(8)]
        assert [each.status_code for each in guesses] == [401] * 5 + [429] * 3
        assert guesses[-1].json()["code"] == "too_many_requests"
        assert 1 <= int(guesses[-1].headers["Retry-After"]) <= 60
        assert answer(known).status_code == 200


def test_one_key_asks_so_often_and_no_more(served):
    port, world = served
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        heads = {who: {"Authorization": f"Bearer {world.keys[who]}"} for who in ("bank-gusu", "bank-jinji")}
        codes = [client.get("/v1/nothing", headers=heads["bank-gusu"]).status_code for _ in range(200)]
        assert set(codes) == {404, 429}
        # The window ends within a second; another key was free all the time.
        assert client.get("/v1/nothing", headers=heads["bank-jinji"]).status_code == 404
        time.sleep(1.1)
        assert client.get("/v1/nothing", headers=heads["bank-gusu"]).status_code == 404


def test_more_at_once_than_the_service_takes_is_overload(served):
    port, world = served
    key = world.keys["bank-gusu"]
    # Bodies are read before a request is let in, so what is let in is what the handlers work on.
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        head = {"Authorization": f"Bearer {key}"}
        found = set()

        def ask():
            for _ in range(10):
                found.add(client.get("/v1/organisations", headers=head).status_code)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found <= {200, 429, 503}
    assert 503 in found


def test_what_is_wrong_is_told_twenty_times_at_most(sqlite_world):
    body = {"readings": [1] * 9_000}
    headers = {"Authorization": f"Bearer {sqlite_world.keys['grid-sip']}", "Idempotency-Key": "k"}
    answer = sqlite_world.client.post("/v1/meters/M-1/readings", json=body, headers=headers)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= 20
    assert len(answer.content) < 8_192


SCHEMAS = DOCUMENT["components"]["schemas"]
# What a pattern bounds, because no part of it repeats without an end.
ENDLESS = re.compile(r"[*+]|\{\d*,\}")


def unbounded(schema, where, inside=()):
    """The texts, lists and maps of what is sent that have no most."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return [] if name in inside else unbounded(SCHEMAS[name], name, (*inside, name))
    found = []
    for part in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(part, ()):
            found += unbounded(each, where, inside)
    kind = schema.get("type")
    bounded = {"maxLength", "enum", "format", "const"} & set(schema)
    if kind == "string" and not bounded and ENDLESS.search(schema.get("pattern", "*")):
        found.append(where)
    if kind == "array":
        found += [where] if "maxItems" not in schema else []
        found += unbounded(schema.get("items", {}), f"{where}[]", inside)
    for name, each in schema.get("properties", {}).items():
        found += unbounded(each, f"{where}.{name}", inside)
    if isinstance(schema.get("additionalProperties"), dict):
        found += [where] if "maxProperties" not in schema else []
        found += unbounded(schema["additionalProperties"], f"{where}{{}}", inside)
    return found


# Files, bounded by the size of a body.
FILES = {"text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def test_every_list_and_text_that_is_sent_has_a_most():
    found = []
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                found += [] if kind in FILES else unbounded(content["schema"], path)
            for each in operation.get("parameters", ()):
                found += unbounded(each["schema"], f"{path}?{each['name']}")
    assert not sorted(set(found))


def test_keys_are_not_guessed_faster_at_the_sign_in_page(sqlite_world):
    client = sqlite_world.client
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text).group(1)
    answers = [client.post("/session", data={"csrf": token, "api_key": f"txk_{n}"}) for n in range(25)]
    assert [each.status_code for each in answers] == [401] * 20 + [429] * 5
    assert "too_many_requests" in answers[-1].text
