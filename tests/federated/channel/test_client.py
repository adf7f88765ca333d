"""What a party makes of a peer with a genuine certificate that answers as it likes."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from test_tls import Network

from federated.channel.client import MOST_SAID, Channel
from federated.channel.tls import server_context
from federated.errors import ConsentMissing, NodeUnavailable

READ_S = 0.6


@pytest.fixture
def network(tmp_path):
    return Network(tmp_path)


def answer(content, status="200 OK", more=""):
    return f"HTTP/1.1 {status}\r\n{more}content-length: {len(content)}\r\n\r\n".encode() + content


@contextmanager
def answering(network, *answers, read_s=READ_S):
    """A channel to a grid company that answers with each of these in turn: bytes, or a generator of them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        context, port = server_context(network.grid), listening.getsockname()[1]

        def serve():
            left = list(answers)
            while left:
                with suppress(OSError), context.wrap_socket(listening.accept()[0], server_side=True) as connection:
                    while left and connection.recv(1 << 16):
                        for part in left.pop(0):
                            connection.sendall(part)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        channel = Channel(network.bank, "grid-sip", f"https://127.0.0.1:{port}", read_s)
        yield channel
        channel.close()
        thread.join(5)


def dripping(head):
    yield head
    for _ in range(100):
        time.sleep(READ_S / 10)
        yield b"a"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nx-a: ", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", b"H"])
def test_an_answer_that_comes_a_byte_at_a_time_has_the_time_of_a_whole_one(network, head):
    with answering(network, dripping(head)) as channel:
        began = time.monotonic()
        with pytest.raises(NodeUnavailable, match=r"does not answer: .*timed out"):
            channel.post("/meet", b"{}")
        assert time.monotonic() - began < 10 * READ_S


def test_a_connection_that_answered_is_used_again_with_its_whole_time(network):
    def late():
        time.sleep(1.6)
        yield answer(b"ok")

    with answering(network, late(), late(), read_s=3.0) as channel:
        assert [channel.post("/meet", b"{}") for _ in range(2)] == [b"ok"] * 2


def test_what_a_party_refuses_with_is_one_line_of_a_few_words(network):
    said = "no\nconsent \x1b[2J" + "x" * 2_000
    told = json.dumps({"code": "consent_missing", "detail": said, "context": {}}).encode()
    with (
        answering(network, [answer(told, "403 Forbidden")]) as channel,
        pytest.raises(ConsentMissing) as refused,
    ):
        channel.post("/first", b"{}")
    assert refused.value.detail.startswith("no consent  [2Jxx")
    assert len(refused.value.detail) == MOST_SAID + 1
