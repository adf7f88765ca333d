"""Seed a running service: read the founders' keys, show progress, keep the keys of everyone admitted on the way."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import httpx
from rich.console import Console

from federated.errors import FederatedError
from financing.base.errors import FinancingError
from simulations.worlds.api_client import ApiClient, Refused
from simulations.worlds.sandbox import seed_sandbox
from simulations.worlds.wallet import NETWORK, Wallet


class SeedingFailed(RuntimeError):
    """The world could not be brought in to the end. Running it again goes on from where it stopped."""


def seed_over_http(url: str, keys_file: Path, energy: Path | None, console: Console) -> None:
    """Seed the service at `url`; the sandbox's wallet lies beside the keys file, under `network`.

    The keys file gains the keys of admitted organisations. Raises `SeedingFailed`.
    """
    content = json.loads(keys_file.read_text("utf-8"))
    try:
        wallet = Wallet.open(keys_file.parent / NETWORK)
    except FederatedError as error:
        raise SeedingFailed(f"{error.code}: {error.detail}") from error
    with httpx.Client(base_url=url, timeout=120.0, trust_env=False) as http, console.status("seeding") as status:
        api = ApiClient(http, content["keys"])

        def say(line: str) -> None:
            status.update(line)
            console.print(f"  {line}", highlight=False, markup=False)

        try:
            seed_sandbox(api, datetime.fromisoformat(content["started_at"]), energy, wallet, say)
        except (Refused, httpx.HTTPError, FinancingError) as error:
            raise SeedingFailed(str(error)) from error
        finally:
            content["keys"] = api.keys
            keys_file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
