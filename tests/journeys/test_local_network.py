"""A network of real processes on loopback, from nothing to a score and a loan: who can read what, and what happens when
processes are killed."""

import json
import os
import stat
import subprocess
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from federated.channel.own_socket import SOCKET, OwnNode, ask_own
from federated.errors import ConsentExpired, ConsentMissing, NodeUnavailable
from financing.base.storage.database import open_engine
from simulations.benchmarks.network_faults import Fault, Kind, measured
from simulations.local_network.faults import Meddled, kill, of_another_network, over
from simulations.local_network.layout import AUTHORITY, OPERATOR, Layout
from simulations.local_network.lending import CANDIDATES
from simulations.local_network.processes import Processes, last_line
from simulations.local_network.relay import doubled, held, swallowed
from simulations.local_network.replaying import replay_queries
from simulations.local_network.views import look_at
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS

BANK = BANKS[0]


def tanxin(*words):
    done = subprocess.run(
        [sys.executable, "-m", "credit_api", *words],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    home = tmp_path_factory.mktemp("ln")
    # Of this population a joint model is better than banks alone, or no grid company would be asked.
    small = ("--firms", "2000", "--seed", "2", "--least-rows", "60", "--folds", "1", "--no-superlink")
    try:
        told = tanxin("network", "up", "--local", "--home", str(home), "--json", *small)
        yield Layout.known(home), json.loads(told.stdout), told.stderr
    finally:
        tanxin("network", "down", "--home", str(home))
    assert not [each for each in Processes(home).listed() if each.runs]


def test_it_trains_approves_and_scores_between_processes(network):
    layout, told, said = network
    assert told["version"] == "v0001"
    assert (told["answer"]["basis"], told["answer"]["electricity"]) == ("joint", "included")
    assert 300 <= told["answer"]["score"] <= 850
    assert "protected, round" in said
    for name in layout.nodes:
        standing = ask_own(layout.of(name), "/standing")
        assert (standing["versions"], standing["champion"]) == ({"v0001": "approved"}, "v0001")
        assert standing["unmet"] == []
    with pytest.raises(ConsentMissing):
        ask_own(layout.of(BANK), "/score", {"subject": told["subject"], "consent": "-", "purpose": "loan_review"})
    with pytest.raises(NodeUnavailable, match="no node serves"):
        ask_own(layout.of(OPERATOR), "/standing")


def test_the_exchange_lends_on_what_the_banks_node_signed_and_has_nobodys_store(network):
    layout, told, said = network
    decision, loan = told["decision"], told["loan"]
    assert (decision["outcome"], decision["model_version"]) == ("approve", "v0001")
    assert decision["assessment_id"].startswith("stm_")
    assert (loan["state"], loan["drawn_fen"]) == ("active", decision["max_amount_fen"])
    assert "approve, CNY" in said
    home = layout.of(EXCHANGE)
    assert tanxin("audit", "statements", "--home", str(home)).stdout.startswith("1 stored statements are what banks'")
    assert not (home / "network" / "nodes").exists()
    # Readings lie at the grid company's node, and what it stated of them is signed with its key, the verifier's
    # statement with the verifier's: the exchange keeps nobody's.
    (meter,) = json.loads(tanxin("node", "meter", "list", "--home", str(layout.of("grid-sip"))).stdout)
    assert meter["intervals"] == 8760
    assert not list(home.glob("grid-nodes/*"))
    assert not list(home.glob("signing/*.key"))
    engine = open_engine(f"sqlite:///{home / 'tanxin.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT organisation_id, held_by FROM signing_key ORDER BY 1")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("grid-sip", "node"), ("verifier-cqc", "holder")]


def test_each_store_and_key_is_read_by_one_process_and_by_its_owner_alone(network):
    layout, *_ = network
    running = {each.name: each for each in Processes(layout.home).listed()}
    assert set(running) == {*BANKS, *GRIDS, EXCHANGE, AUTHORITY}
    for name in layout.nodes:
        holders = {
            process for process in Path("/proc").iterdir()
            if process.name.isdigit() and _has_open(process, layout.store(name).resolve())
        }  # fmt: skip
        assert {process.name for process in holders} == {str(running[name].pid)}
    for path in layout.home.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} may be opened by others: {mode:o}"
    # Nobody's private key lies in another's home: each sealed key is opened by the secret beside it alone.
    keys = [path for path in layout.home.rglob("*.key") if path.parent.name == "node-keys"]
    assert sorted(path.parent.parent.name for path in keys) == sorted(layout.nodes)
    assert stat.S_ISSOCK((layout.of(BANK) / SOCKET).stat().st_mode)


def _has_open(process, path):
    try:
        return any(os.readlink(each) == str(path) for each in (process / "fd").iterdir())
    except OSError:
        return False


def test_status_says_who_runs_where(network, tmp_path):
    layout, answered, _ = network
    page = tmp_path / "network.html"
    told = json.loads(tanxin("network", "status", "--home", str(layout.home), "--json", "--page", str(page)).stdout)
    assert [each["name"] for each in told] == [*layout.nodes, AUTHORITY, EXCHANGE]
    own_books = {EXCHANGE: "tanxin.db", AUTHORITY: "identity.db"}
    for each in told:
        own = own_books.get(each["name"], f"nodes/{each['name']}.db")
        assert f"{each['name']}/{own}" in each["stores"]
        assert (f"{each['name']}/readings.db" in each["stores"]) is (each["name"] in GRIDS)
        assert {store.split("/")[0] for store in each["stores"]} == {each["name"]}
        assert each["wrong"] == []
        assert each["certificate_until"] > each["since"]
    bank = told[0]
    assert bank["scores"]["joint, included"] > 0
    assert bank["messages"] > 0
    # The page says the same, of each store who has it open, and nothing that is its party's alone.
    text = page.read_text("utf-8")
    assert text.count('<span class="well">well</span>') == len(told)
    opened = {store.path: store.opened_by for store in look_at(layout).stores}
    assert {path: names for path, names in opened.items() if path.split("/")[0] != OPERATOR} == {
        store: (each["name"],) for each in told for store in each["stores"]
    }
    passphrase = (layout.home / "ca-passphrase").read_text("utf-8")
    for secret in (passphrase, answered["subject"], "CONS-", "node-keys", ".pem", "PRIVATE"):
        assert secret not in text


ALONE, JOINT = ("bank_only", "unavailable"), ("joint", "included")


def question(subject):
    return {"subject": subject, "consent": f"CONS-{subject}", "purpose": "credit_application"}


class Customer:
    """One of the bank's, whose electricity data a consent opens, with the score of a network that is well."""

    def __init__(self, layout, subject, score):
        self.layout, self.subject, self.score = layout, subject, score

    def asked(self):
        """On what its score rests now; one that says it is joint is the right one."""
        answer = ask_own(self.layout.of(BANK), "/score", question(self.subject))
        if answer["electricity"] == "included":
            assert answer["score"] == self.score
        return answer["basis"], answer["electricity"]

    def answers(self):
        """How often grid companies answered the bank about it, as their logs of uses say."""
        asked = {"subject": self.subject}
        uses = [use for grid in GRIDS for use in ask_own(self.layout.of(grid), "/customers/uses", asked)["uses"]]
        return sum((use["action"], use["outcome"], use["organisation"]) == ("score", "answered", BANK) for use in uses)


@pytest.fixture(scope="module")
def customers(network):
    bank, found = OwnNode(network[0].of(BANK)), []
    # The first were asked about while the network came up.
    for subject in bank.ask("/customers", {"limit": 80})["subjects"][CANDIDATES:]:
        answer = bank.ask("/score", question(subject))
        if (answer.get("basis"), answer.get("electricity")) == JOINT:
            found.append(Customer(network[0], subject, answer["score"]))
    return found


@pytest.fixture
def customer(customers):
    """One that no other test asks about: a grid company answers a bank six times a month about one."""
    return customers.pop()


@pytest.fixture(scope="module")
def meddled(network):
    found = Meddled(network[0], BANK)
    yield found
    found.close()


def test_killed_nodes_come_back_and_scores_fall_back_meanwhile(network, customer, meddled):
    processes = Processes(network[0].home)
    for grid in GRIDS:
        kill(processes, grid)
    assert customer.asked() == ALONE
    kill(processes, BANK)
    with pytest.raises(NodeUnavailable):
        customer.asked()
    # They come back with relays between them and clocks that can be set: what follows is done to these processes.
    meddled.start()
    assert customer.asked() == JOINT


def health(layout, name):
    status, told = OwnNode(layout.of(name)).look("/healthz")
    return status, json.loads(told)["wrong"]


@pytest.mark.parametrize("certifies", [over, of_another_network])
@pytest.mark.parametrize("whose", [GRIDS, (BANK,)], ids=["grids", "bank"])
def test_nobody_answers_by_a_certificate_that_is_over_or_of_another_network(customer, meddled, certifies, whose):
    before, layout = customer.answers(), meddled.layout
    with meddled.certified(certifies(layout), *whose):
        assert customer.asked() == ALONE
        assert customer.answers() == before
        assert health(layout, whose[0]) == ((503, ["certificate_over"]) if certifies is over else (200, []))
    assert customer.asked() == JOINT


@pytest.mark.parametrize("hours", [1, -1])
def test_with_a_clock_an_hour_off_nothing_is_answered_and_the_bank_answers_alone(customer, meddled, hours):
    before, off = customer.answers(), timedelta(hours=hours)
    with meddled.clocks_off(off, *GRIDS):
        assert customer.asked() == ALONE
    with meddled.clocks_off(off, BANK):
        if hours > 0:
            assert customer.asked() == ALONE
        else:
            # By a bank's clock that is behind, consents of this young network do not hold yet.
            with pytest.raises(ConsentExpired):
                customer.asked()
    assert customer.answers() == before
    assert customer.asked() == JOINT


@pytest.mark.parametrize(
    ("treatment", "meanwhile", "answered"),
    [
        ({"towards": swallowed}, ALONE, 0),
        ({"back": swallowed}, ALONE, 1),
        ({"towards": doubled}, ALONE, 1),
        ({"towards": held(0.1)}, JOINT, 1),
        ({"towards": held(2.5)}, ALONE, 1),
    ],
    ids=["dropped", "answer dropped", "doubled", "delayed", "too late"],
)
def test_bytes_that_are_dropped_delayed_or_doubled_open_nothing(customer, meddled, treatment, meanwhile, answered):
    # Connections stand: what is treated are messages, not handshakes.
    assert customer.asked() == JOINT
    before = customer.answers()
    with meddled.treated(**treatment):
        assert customer.asked() == meanwhile
    assert customer.asked() == JOINT
    # A question that arrived may have been answered, once: to whom it was put, who did not wait for it.
    assert customer.answers() - before <= 1 + answered


def test_a_connection_that_was_recorded_is_no_use_to_who_sends_it_again(customer, meddled):
    assert customer.asked() == JOINT
    before = customer.answers(), messages(meddled.layout)
    for relay in meddled.relays.values():
        # How it was made, and all that was asked on it: who has no key comes no further than the handshake.
        said = bytes(max(relay.recorded, key=len))
        assert len(said) > 2_000
        assert len(relay.replay(said)) < 4_000
    assert (customer.answers(), messages(meddled.layout)) == before
    assert customer.asked() == JOINT


def messages(layout):
    """How many messages grid companies read, as their metrics say, but for what nodes ask each other in any case."""
    told = [OwnNode(layout.of(grid)).look("/metrics")[1].decode() for grid in GRIDS]
    lines = [line for each in told for line in each.splitlines() if line.startswith("tanxin_messages_total")]
    return [line for line in lines if "/decisions" not in line]


def test_messages_of_a_query_are_answered_once_whoever_has_the_banks_key(customer, meddled):
    before = customer.answers()
    found = replay_queries(meddled.layout, BANK, BANKS[1], [customer.subject])
    assert found.scores == {customer.subject: customer.score}
    assert [path for _, path, _ in found.sent] == ["/first", "/shuffled", "/answered"]
    assert (found.answered_again, found.refusals) == (0, {"query_lost", "not_permitted"})
    assert customer.answers() == before + 1
    assert customer.asked() == JOINT


def test_a_fault_that_does_nothing_is_told_by_what_is_counted(customer):
    """Nobody may answer, and it is answered; and a score other than the known one is wrong each time."""
    nothing = Kind("nothing", lambda _: nullcontext(), may_answer=False)
    for apart, wrong in ((0, 0), (1, 2)):
        known = {customer.subject: (customer.score + apart, "included")}
        found = measured(customer.layout, OwnNode(customer.layout.of(BANK)), nothing, [customer.subject], known)
        assert found == Fault("nothing", "1 included", "1 included", wrong, opened=1)


def test_what_a_process_said_last_is_told_also_out_of_a_box(tmp_path):
    log = tmp_path / "operator.log"
    assert last_line(log) == "it wrote nothing"
    log.write_text("began\nfold 0\n\n", "utf-8")
    assert last_line(log) == "fold 0"
    log.write_text(
        "fold 0\n╭─ Error ──╮\n│ Connection to the SuperLink │\n│ is unavailable. │\n╰──────────╯\n", "utf-8"
    )
    assert last_line(log) == "Connection to the SuperLink is unavailable."
