"""Settings, from the environment (`TANXIN_…`) or the command line. docs/operations.md lists them."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`home` holds everything the program writes; `database_url` may point at PostgreSQL instead of a file in it.

    `methodologies` is a folder of methodology files of one's own; `grid_nodes` maps a grid company to the URL of its
    readings' database (JSON in the environment), a file in `home` where it is not named.
    """

    model_config = SettingsConfigDict(env_prefix="TANXIN_", frozen=True)

    home: Path = Path("var")
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    sandbox: bool = False
    data: Path | None = None
    methodologies: Path | None = None
    grid_nodes: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{(self.home / 'tanxin.db').resolve()}"

    @property
    def address(self) -> str:
        """Where people reach the service: what QR codes on certificates point to."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def network_home(self) -> Path:
        return self.home / "network"
