"""`tanxin consent …`: sign as a customer of the sandbox, whose keys are in its wallet. Prints what `curl` posts."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import FederatedError, InvalidConsent
from simulations.worlds.wallet import NETWORK, Wallet

consent = typer.Typer(no_args_is_help=True, help="Sign consents as a customer of the sandbox.")
REFUSED = 2
Home = Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder for everything the program writes.")]
Subject = Annotated[str, typer.Option(help="The customer that signs.")]
Bank = Annotated[str, typer.Option(help="The bank that it allows.")]


@consent.command("sign")
def sign(
    subject: Subject,
    bank: Bank,
    purposes: Annotated[
        str, typer.Option(help="With commas: credit_application, loan_review, model_training.")
    ] = "credit_application",
    scope: Annotated[str, typer.Option(help="With commas: bank_file, electricity.")] = "bank_file,electricity",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it holds from now on.")] = 365,
    grid: Annotated[
        str, typer.Option(help="The grid company that serves the customer; otherwise the one that has its file.")
    ] = "",
    consent_id: Annotated[str, typer.Option("--id", help="The consent's id; a fresh one otherwise.")] = "",
    home: Home = Path("var"),
) -> None:
    """Print a signed consent as the JSON body of `POST /v1/consents`."""
    # Whole seconds, an hour back: the consent holds already where a clock is behind.
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    try:
        draft = ConsentRecord(
            consent_id=consent_id or f"con_{secrets.token_hex(10)}",
            subject_id=subject,
            bank_id=bank,
            purposes=frozenset(Purpose(each.strip()) for each in purposes.split(",")),
            scope=frozenset(DataScope(each.strip()) for each in scope.split(",")),
            valid_from=start,
            valid_until=start + timedelta(days=days),
            grid_id=grid,
        )
        wallet = Wallet.open(home / NETWORK)
        signed = wallet.sign(wallet.named(draft))
        print(json.dumps(as_document(signed)))  # noqa: T201 (for a pipe)
    except FederatedError as error:
        _refuse(error.code, error.detail)
    except ValueError as error:
        _refuse(InvalidConsent.code, str(error))


@consent.command("withdraw")
def withdraw(
    consent_id: Annotated[str, typer.Argument(help="The consent to withdraw.")], bank: Bank, home: Home = Path("var")
) -> None:
    """Print the subject's signature under a withdrawal as the JSON body of `POST …/withdrawal`."""
    # The network takes a second to load, and signing does not need it.
    from federated.serving import Network  # noqa: PLC0415

    folder = home / NETWORK
    try:
        network = Network.open(folder)
        try:
            record = network.consent(consent_id, bank)
        finally:
            network.close()
        print(f'{{"signature": "{Wallet.open(folder).sign_withdrawal(record).hex()}"}}')  # noqa: T201
    except FederatedError as error:
        _refuse(error.code, error.detail)


def _refuse(code: str, detail: str) -> NoReturn:
    Console(stderr=True).print(f"error {code}: {detail}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(REFUSED)
