"""The `tanxin` command. Rooms that it may not import add their own commands as entry points (`tanxin.commands`)."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.console import Console
from sqlalchemy import inspect

from credit_api.app.database import migrate
from credit_api.app.earlier_loans import EARLIER
from credit_api.app.file_modes import write_for_owner_only
from credit_api.app.sandbox import KEYS_FILE, OFFICER, SECOND, is_seeded, mark_seeded, officer, register_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import Parts, SubjectSigner, assemble
from credit_api.audit.model import AuditEvent
from credit_api.cli.audit import audit_app
from credit_api.cli.business_days import end_of_day
from credit_api.cli.entering import init
from credit_api.cli.machines import machine_app
from credit_api.cli.market import market_app
from credit_api.cli.models import models_app
from credit_api.cli.readings import readings_app
from credit_api.cli.registry import registry_app
from credit_api.http.auth.keys import issue, key_id
from credit_api.http.auth.principal import Principal
from credit_api.scores.batch import BatchRefused, score_rows
from federated.errors import DataMissing
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.nodes.store import is_described
from financing.base.errors import FinancingError
from financing.base.storage.database import open_engine
from financing.lending.unit import UnitOfWork

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # Locals in a traceback could hold a key.
    pretty_exceptions_show_locals=False,
    help="Tanxin (碳信): credit and financing on carbon assets.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys of a sandbox.")
ledger_app = typer.Typer(no_args_is_help=True, help="Check the books.")
app.add_typer(ledger_app, name="ledger")
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(machine_app, name="machine")
app.add_typer(market_app, name="market")
app.add_typer(models_app, name="models")
app.add_typer(readings_app, name="readings")
app.add_typer(registry_app, name="registry")
app.command("end-of-day")(end_of_day)
app.command("init")(init)
out = Console()
err = Console(stderr=True)
REFUSED = 2
SHARED_DATA = Path("../shared/data")

Home = Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder for everything the program writes.")]
Database = Annotated[
    str,
    typer.Option(
        "--database-url", envvar="TANXIN_DATABASE_URL", help="PostgreSQL instead of a SQLite file in the home folder."
    ),
]
Host = Annotated[str, typer.Option(envvar="TANXIN_HOST", help="Address to serve on.")]
Port = Annotated[int, typer.Option(envvar="TANXIN_PORT", min=1, max=65535, help="Port to serve on.")]


@app.command()
def run(
    home: Home = Path("var"),
    database_url: Database = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder with credit/ and energy/; found by itself if usual.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """The sandbox: train the network, seed the books over the API, and serve it until Ctrl-C. Data are kept."""
    settings = Settings(home=home, database_url=database_url, host=host, port=port, sandbox=True, data=_data(data))
    started = time.monotonic()
    _require_free(settings)
    _train_once(settings)
    parts = _assembled(settings)
    parts.subject_signer = _subject_signer(settings)
    keys = register_founders(parts)
    server = _Server(parts)
    with server:
        if not is_seeded(parts):
            _step("seeding plants, credits and loans over the API (kept for the next run)")
            _tanxin("sandbox-seed", "--url", server.url, "--keys", str(keys), *_option("--data", settings.data))
            mark_seeded(parts)
        out.print(f"[bold green]ready[/] after {time.monotonic() - started:.0f} s: [bold]{server.url}[/]")
        out.print(f"API documents: {server.url}/docs   sandbox API keys: {keys}   Ctrl-C ends it; the data stay")
        server.wait()


@app.command()
def serve(home: Home = Path("var"), database_url: Database = "", host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the API and the console, without the sandbox: people sign in, machines ask for tokens."""
    settings = Settings(home=home, database_url=database_url, host=host, port=port)
    with _Server(_assembled(settings)) as server:
        out.print(f"serving {server.url}; Ctrl-C ends it")
        server.wait()


@app.command("score-file")
def score_file(
    file: Annotated[Path, typer.Argument(help="CSV with the columns subject_id, consent_id and purpose.")],
    output: Annotated[Path, typer.Argument(help="CSV to write; rows that are in it already are not asked again.")],
    url: Annotated[str, typer.Option(help="Address of the running service.")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="TANXIN_KEY", help="The bank's token, or its API key in a sandbox.")] = "",
) -> None:
    """Score a file of customers over the API: a status for each row, resumable, every row a logged inquiry."""
    try:
        counts = score_rows(file, output, url, key, Console(stderr=True))
    except BatchRefused as error:
        err.print(f"error {error.code}: {error}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    out.print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing to ask")


@app.command()
def documents(folder: Annotated[Path, typer.Option(help="Folder of the committed documents.")] = Path("docs")) -> None:
    """Write what is made from the code: OpenAPI, error codes, authority, privacy claims and the tables of api.md."""
    # Only this command and the server need every route; the others start in half the time without them.
    from credit_api.app import documents as made_of  # noqa: PLC0415

    made = {
        "openapi.json": made_of.openapi_text(),
        "errors.md": made_of.errors_text(),
        "authority.md": made_of.authority_text(),
        "privacy-claims.md": made_of.claims_text(),
        "api.md": made_of.guide_text((folder / "api.md").read_text("utf-8")),
    }
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
        out.print(f"wrote {folder / name}")


@app.command("migrate")
def migrate_database(home: Home = Path("var"), database_url: Database = "") -> None:
    """Bring the books' schema up to date. What needs the rules besides, the service does when it opens the books."""
    settings = Settings(home=home, database_url=database_url)
    if not database_url:
        home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.url)
    migrate(engine)
    waiting = inspect(engine).has_table(EARLIER)
    engine.dispose()
    if waiting:
        out.print("loans of the earlier form get their accounts when the books are opened: try tanxin ledger verify")
    out.print(f"the schema of {engine.url.render_as_string()} is up to date")


@ledger_app.command("verify")
def verify(home: Home = Path("var"), database_url: Database = "") -> None:
    """Recompute every hash, balance and serial from the postings alone."""
    parts = _existing(Settings(home=home, database_url=database_url))
    try:
        with parts.reading() as connection:
            unit = UnitOfWork(connection)
            head, blocks = unit.ledger.verify(), unit.serials.verify()
        out.print(f"{head.entry_id} entries agree with their postings; {blocks} serial blocks; head {head.hash}")
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        parts.close()


@keys_app.command("issue")
def issue_key(
    organisation_id: str,
    home: Home = Path("var"),
    database_url: Database = "",
    second: Annotated[bool, typer.Option("--second", help="A key of the second officer.")] = False,
) -> None:
    """Hand out a new API key of an organisation's officer, in a sandbox. It is printed once and cannot be read back."""
    if not (home / KEYS_FILE).exists():
        err.print("this home is no sandbox: people sign in, and machines ask for tokens", style="red")
        raise typer.Exit(REFUSED)
    parts = _existing(Settings(home=home, database_url=database_url, sandbox=True))

    def command(unit: UnitOfWork) -> str:
        unit.organisations.get(organisation_id)
        person = officer(unit, organisation_id, SECOND if second else OFFICER, parts.clock())
        key = issue(unit.connection, person.person_id, "command line", parts.clock())
        by = Principal(organisation_id, "", "", "", person.person_id, credential="shell")
        parts.audit.record(unit, AuditEvent.of(by, parts.clock(), "issue_key", "committed", object_id=key_id(key)))
        return key

    try:
        print(parts.writer.execute(command))  # noqa: T201 (the key itself, for a pipe)
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        parts.close()


class _Server:
    """uvicorn in a thread of its own, so that seeding can talk to it; Ctrl-C stops it cleanly."""

    def __init__(self, parts: Parts) -> None:
        from credit_api.app.main import create_app  # noqa: PLC0415 (as in `documents`)
        from credit_api.http.connections import guarded  # noqa: PLC0415

        settings = parts.settings
        self.url = f"http://{settings.host}:{settings.port}"
        config = uvicorn.Config(
            create_app(parts),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            http=guarded(settings.limits),
            # A client that computes between two calls should find its connection where it left it.
            timeout_keep_alive=75,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="tanxin-http")

    def __enter__(self) -> _Server:
        # The writer's thread gives the interpreter up at every statement; it should not wait 5 ms to get it back.
        sys.setswitchinterval(0.0005)
        # Commands leave short-lived garbage by the thousand; looking through it less often serves a fifth more orders.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                err.print(f"cannot serve at {self.url}: is the port in use? Choose another with --port", style="red")
                raise typer.Exit(1)
            time.sleep(0.05)
        return self

    def wait(self) -> None:
        """Block until Ctrl-C or until the server ends."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            out.print("stopping")

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        while self._thread.is_alive():
            try:
                self._thread.join(0.5)
            except KeyboardInterrupt:
                # Asked twice: do not wait for open connections, but let what was queued be committed.
                self._server.force_exit = True


def _existing(settings: Settings) -> Parts:
    """Open books that are there; a mistyped folder is an error, not a new empty database."""
    if not settings.database_url and not (settings.home / "tanxin.db").exists():
        err.print(f"no books at {settings.home / 'tanxin.db'}: is --home right?", style="red", markup=False)
        raise typer.Exit(REFUSED)
    return _assembled(settings)


def _assembled(settings: Settings) -> Parts:
    """Open the books. What an earlier version left and this one cannot carry over is one line, and nothing is lost."""
    try:
        return assemble(settings)
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error


def _require_free(settings: Settings) -> None:
    """End at once, and not after minutes of training, if the address is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            err.print(f"cannot serve at {settings.host}:{settings.port} ({error.strerror}); choose another --port")
            raise typer.Exit(1) from error


def _train_once(settings: Settings) -> None:
    if _has_version(settings.network_home):
        if not all(is_described(path) for path in (settings.network_home / "nodes").glob("*.db")):
            _tanxin("describe-stores", "--home", str(settings.network_home))
        return
    credit = settings.data / "credit" if settings.data else None
    real = credit is not None and credit.exists()
    origin = f"real data from {credit}" if real else "a generated population"
    _step(f"training the federated credit model on {origin} (kept for the next run)")
    where = ("--home", str(settings.network_home), *_option("--data", credit if real else None))
    _tanxin("train", "--folds", "1", "--sandbox", *where)


def _subject_signer(settings: Settings) -> SubjectSigner | None:
    """What signs as the sandbox's customers: brought by a room that this one may not import (`tanxin.sandbox`)."""
    for point in entry_points(group="tanxin.sandbox", name="subject_signer"):
        open_signer: Callable[[Path], SubjectSigner] = point.load()
        with suppress(DataMissing):
            return open_signer(settings.network_home)
    return None


def _has_version(home: Path) -> bool:
    """Whether training came to its end here; whether the version may score is for banks to decide."""
    return bool(Governance(home, ModelRegistry(home)).lifecycle().versions)


def _data(given: Path | None) -> Path | None:
    return given if given is not None else (SHARED_DATA if SHARED_DATA.exists() else None)


def _option(name: str, value: Path | None) -> list[str]:
    return [name, str(value)] if value is not None else []


def _tanxin(*arguments: str) -> None:
    """Run another tanxin command in a process of its own: this one never loads torch."""
    done = subprocess.run([sys.executable, "-m", "credit_api", *arguments], check=False)
    if done.returncode != 0:
        err.print(f"tanxin {arguments[0]} failed", style="red")
        raise typer.Exit(done.returncode)


def _step(text: str) -> None:
    out.print(f"[bold]·[/] {text}")


def main() -> None:
    """The console script: own commands and those of the entry points."""
    write_for_owner_only()
    for point in entry_points(group="tanxin.commands"):
        extra: typer.Typer = point.load()
        app.registered_commands.extend(extra.registered_commands)
        app.registered_groups.extend(extra.registered_groups)
    app()
