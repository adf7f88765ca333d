"""`tanxin run` and `tanxin serve`: the service, with the sandbox and without."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn
from rich.console import Console

from credit_api.app.main import create_app
from credit_api.app.sandbox import is_seeded, mark_seeded, register_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import Parts, SubjectSigner, system_clock
from credit_api.cli.network import refusals, say
from credit_api.cli.opening import assembled, err
from credit_api.cli.options import Database, Home
from credit_api.http.connections import guarded
from federated.channel.client import urls_of
from federated.errors import DataMissing
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.nodes.store import is_described

if TYPE_CHECKING:
    from credit_api.nodes.following import Following

out = Console()
SHARED_DATA = Path("../shared/data")

Host = Annotated[str, typer.Option(envvar="TANXIN_HOST", help="Address to serve on.")]
Port = Annotated[int, typer.Option(envvar="TANXIN_PORT", min=1, max=65535, help="Port to serve on.")]


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
    parts = assembled(settings)
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


def serve(
    home: Home = Path("var"),
    database_url: Database = "",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    node: Annotated[
        list[str] | None,
        typer.Option(help="NAME=URL of a bank's node whose decisions about versions are followed, over mutual TLS."),
    ] = None,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="With a sandbox's participants and keys; nothing is trained or seeded."),
    ] = False,
) -> None:
    """Serve the API and the console: people sign in, machines ask for tokens.

    Beside banks' nodes (`--node`) the home is an exchange's, with its key and certificate (`tanxin node init`).
    """
    settings = Settings(home=home, database_url=database_url, host=host, port=port, sandbox=sandbox)
    followed = _followed(settings, node or [])
    parts = assembled(settings)
    if sandbox:
        register_founders(parts)
    with _Server(parts) as server, _in_the_background(followed):
        out.print(f"serving {server.url}; Ctrl-C ends it")
        server.wait()


def _followed(settings: Settings, nodes: Sequence[str]) -> Following | None:
    """What asks banks' nodes what they decided; one line for keys or names that do not fit."""
    if not nodes:
        return None
    from credit_api.nodes.following import Following  # noqa: PLC0415 (what few services do takes a second to load)

    with refusals():
        return Following(settings.home, settings.network_home, urls_of(nodes), system_clock)


@contextmanager
def _in_the_background(followed: Following | None) -> Iterator[None]:
    stopped = threading.Event()
    if followed is None:
        yield
        return
    thread = threading.Thread(target=followed.follow, args=(stopped, say), name="tanxin-following", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(5)
        followed.close()


class _Server:
    """uvicorn in a thread of its own, so that seeding can talk to it; Ctrl-C stops it cleanly."""

    def __init__(self, parts: Parts) -> None:
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
