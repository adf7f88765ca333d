"""A file of customers: a status for each row, nobody asked twice, and a clear stop when the batch itself is wrong."""

import csv
import threading
import time

import pytest
import uvicorn
from rich.console import Console

from credit_api.scores.batch import BatchRefused, score_rows

QUIET = Console(quiet=True)


@pytest.fixture
def served(sqlite_world):
    """The world on a real port."""
    server = uvicorn.Server(
        uvicorn.Config(sqlite_world.client.app, port=0, log_level="error", ws="none", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield sqlite_world, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def batch(served, tmp_path):
    """Ten rows: eight scores, one customer without a file, one without consent."""
    world, url = served
    customers = [customer["subject_id"] for customer in world.get("bank-gusu", "/v1/customers?limit=9")]
    rows = []
    for subject in [*customers[:8], "NOBODY-1"]:
        rows.append((subject, world.consent("bank-gusu", subject)["consent_id"], "credit_application"))
    rows.append((customers[8], "con_none", "credit_application"))
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("subject_id", "consent_id", "purpose"), *rows])
    return world, url, path, tmp_path / "out.csv"


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_status_for_each_row(batch):
    world, url, source, output = batch
    counts = score_rows(source, output, url, world.keys["bank-gusu"], QUIET)
    assert counts == {"score": 8, "no_file": 1, "refused": 1}
    rows = read(output)
    assert [row["subject_id"] for row in rows] == [row["subject_id"] for row in read(source)]
    assert all(300 <= int(row["score"]) <= 850 for row in rows if row["status"] == "score")
    assert rows[-1]["code"] == "consent_missing"


def test_an_interrupted_batch_asks_nobody_twice(batch):
    world, url, source, output = batch
    score_rows(source, output, url, world.keys["bank-gusu"], QUIET)
    whole = output.read_bytes()
    lines = whole.split(b"\r\n")
    # Cut off in the middle of the sixth answer, as a power failure would.
    output.write_bytes(b"\r\n".join(lines[:6]) + b"\r\n" + lines[6][:10])
    before = len(world.get("bank-gusu", "/v1/inquiries"))
    counts = score_rows(source, output, url, world.keys["bank-gusu"], QUIET)
    assert sum(counts.values()) == 5
    assert len(world.get("bank-gusu", "/v1/inquiries")) == before + 4
    assert [row["subject_id"] for row in read(output)] == [row["subject_id"] for row in read(source)]
    assert score_rows(source, output, url, world.keys["bank-gusu"], QUIET) == {}


def test_a_batch_that_is_wrong_itself(batch, tmp_path):
    world, url, source, output = batch
    with pytest.raises(BatchRefused, match="was revoked") as refusal:
        score_rows(source, output, url, "txk_wrong", QUIET)
    assert refusal.value.code == "unauthenticated"
    with pytest.raises(BatchRefused) as refusal:
        score_rows(source, tmp_path / "o.csv", "http://127.0.0.1:9", world.keys["bank-gusu"], QUIET)
    assert refusal.value.code == "service_unreachable"
    for name, content in (("a.csv", b"x,y\n1,2\n"), ("b.csv", b"\xff\xfe\x00"), ("c.csv", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BatchRefused) as refusal:
            score_rows(tmp_path / name, output, url, "k", QUIET)
        assert refusal.value.code == "corrupt_data"
    # Another program's file, one with an earlier version's columns, one without a whole line: all left as they are.
    older = b"subject_id,consent_id,purpose,status,code,score\r\nTW-1,C-1,loan_review,score,,600\r\nTW-2,C"
    for foreign in (b"something,else\n1,2\n3", older, b"no line at all"):
        (tmp_path / "other.csv").write_bytes(foreign)
        with pytest.raises(BatchRefused) as refusal:
            score_rows(source, tmp_path / "other.csv", url, "k", QUIET)
        assert refusal.value.code == "output_not_ours"
        assert (tmp_path / "other.csv").read_bytes() == foreign
