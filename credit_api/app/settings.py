"""Settings, from the environment (`TANXIN_…`) or the command line. docs/operations.md lists them."""

from __future__ import annotations

from pathlib import Path

from limits import parse
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseModel):
    """What anybody may ask of the service before it knows who asks, and one key afterwards.

    Rates are written as `limits` reads them (`500/second`). Sizes in bytes, times in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_key: str = "500/second"
    requests_per_address: str = "200/second"
    wrong_keys_per_address: str = "20/minute"
    wrong_passwords_per_login: str = "10/15 minute"
    requests_at_once: int = Field(default=256, ge=1)
    connections_per_address: int = Field(default=512, ge=1)
    head_seconds: float = Field(default=10, gt=0)
    head_bytes: int = Field(default=64 * 1024, ge=1024)
    body_seconds: float = Field(default=30, gt=0)
    body_bytes: int = Field(default=256 * 1024, ge=1024)
    file_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)

    @field_validator("requests_per_key", "requests_per_address", "wrong_keys_per_address", "wrong_passwords_per_login")
    @classmethod
    def _is_a_rate(cls, text: str) -> str:
        parse(text)
        return text


class Settings(BaseSettings):
    """`home` holds everything the program writes; `database_url` may point at PostgreSQL instead of a file in it.

    `methodologies` is a folder of methodology files of one's own; `grid_nodes` maps a grid company to the URL of its
    readings' database (JSON in the environment), a file in `home` where it is not named. `score_gateway` says whether
    this service asks nodes for scores; without it banks ask their own, and decide by signed statements.
    `identity_authority` is the public key (Ed25519, 64 hex digits) of who attests subjects' keys, for a service without
    nodes, which pin it; `identity_url` is where that authority publishes which keys it ended, `identity_roots` a file
    of roots that certify that address, the system's without one.
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
    score_gateway: bool = True
    identity_authority: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    identity_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    identity_roots: Path | None = None
    limits: Limits = Limits()

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
