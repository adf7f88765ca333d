"""`tanxin registry …`: what anyone who holds the books can ask of them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from credit_api.cli.options import REFUSED, Database, Home
from financing.base.context import Actor, Context
from financing.base.errors import FinancingError
from financing.base.parameters import load_parameters
from financing.lending.unit import UnitOfWork
from financing.registry.credits.explaining import Explanation, explain
from financing.registry.methodology.definition import compiled
from financing.registry.methodology.reduction import shown
from financing.registry.transfers.reconciling import TransferCounts, differences

registry_app = typer.Typer(no_args_is_help=True, help="Derive issued credits again, from the readings on.")


@registry_app.callback()
def commands() -> None:
    """Derive issued credits again."""


@registry_app.command("explain")
def explain_serial(
    serial: Annotated[str, typer.Argument(help="A serial number, of a whole issuance or any part of it.")],
    home: Home = Path("var"),
    database_url: Database = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Walk from a serial to its readings at the grid node, recompute everything, and say whether it is as issued."""
    settings = Settings(home=home, database_url=database_url)
    if not database_url and not (home / "tanxin.db").exists():
        _refuse("not_found", f"no books at {home / 'tanxin.db'}: is --home right?", as_json)
    parts = assemble(settings)
    try:
        with parts.reading() as connection:
            context = Context(
                Actor("explain", "registry"),
                parts.clock(),
                parts.new_id,
                parts.parameters,
                parts.signer,
                parts.nodes,
            )
            explanation = explain(UnitOfWork(connection), context, serial)
    except FinancingError as error:
        _refuse(error.code, error.detail, as_json)
    finally:
        parts.close()
    if as_json:
        sys.stdout.write(json.dumps(_document(explanation), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(explanation)


@registry_app.command("reconcile")
def reconcile(
    ours: Annotated[Path, typer.Argument(help="`GET /v1/transfer-reconciliation?other=…` of one registry, as JSON.")],
    theirs: Annotated[Path, typer.Argument(help="The same of the other registry, from its own books.")],
) -> None:
    """Hold two registries' counts of the transfers between them against each other. Exit 1 where they contradict."""
    try:
        one, other = (TypeAdapter(TransferCounts).validate_json(path.read_bytes()) for path in (ours, theirs))
    except (OSError, ValidationError) as error:
        raise typer.BadParameter("this is no answer of a registry's books") from error
    found = differences(one, other)
    for line in found:
        sys.stdout.write(f"{line}\n")
    for home, away in ((one, other), (other, one)):
        answered = sum(each in away.imported for each in home.on_the_way)
        waiting = f", {len(home.on_the_way)} on the way, {answered} of them answered there" if home.on_the_way else ""
        sys.stdout.write(
            f"{home.registry} to {away.registry}: {home.exported_kg} kg left, {away.imported_kg} kg came{waiting}\n"
        )
    if found:
        raise typer.Exit(1)


@registry_app.command("methodologies")
def methodologies(
    own: Annotated[
        Path | None, typer.Option("--own", envvar="TANXIN_METHODOLOGIES", help="Folder with files of one's own.")
    ] = None,
) -> None:
    """Read and check every methodology file: units, formulas, names, citations. No books are needed."""
    try:
        for file in load_parameters(more_methodologies=own).methodologies:
            checked = compiled(file)
            variants = sum(1 for _ in checked.variants())
            sys.stdout.write(f"{checked.tag}\t{file.name_en}\t{variants} variants\t{file.file}\t{file.version_hash}\n")
    except FinancingError as error:
        _refuse(error.code, error.detail, as_json=False)


def _print(explanation: Explanation) -> None:
    claim, reduction = explanation.claim, explanation.claim.reduction
    console = Console(highlight=False, soft_wrap=True)
    say = console.print
    say(f"serial    {explanation.serial}", markup=False)
    issuance = explanation.issuance
    say(f"issuance  {issuance.issuance_id}: {issuance.quantity.kg} kg to {issuance.owner_id}")
    say(f"period    {claim.monitoring_period_id}: {claim.period.start.isoformat()} – {claim.period.end.isoformat()}")
    for meter in explanation.meters:
        signed = "statement signed" if meter.statement_signed else "no signed statement"
        later = "; corrected since, the claim keeps what it rests on" if meter.corrected_since else ""
        say(f"meter     {meter.meter_id} at {meter.grid_id}: {meter.energy_wh} Wh, {meter.intervals_missing} missing; ")
        say(f"          readings {meter.commitment} recomputed at the node; {signed}{later}")
    say(f"committed {explanation.commitment}, as verified")
    for value in reduction.inputs:
        evidence = f"  ({value.evidence})" if value.evidence else ""
        say(f"input     {value.name} = {shown(value.value)} {value.unit}{evidence}", markup=False)
    for parameter in explanation.parameters:
        cited = f"{parameter.source} [{parameter.mark}]"
        say(f"parameter {parameter.name} = {shown(parameter.value)} {parameter.unit}: {cited}", markup=False)
    for file, sha256 in reduction.parameter_hashes:
        say(f"file      {file} {sha256}")
    for step in explanation.steps:
        say(f"step      {step.name} = {step.expression} = {shown(step.value)} {step.unit}", markup=False)
    carried = explanation.carried
    say(f"rules     deducted for uncertainty {reduction.rules.deducted}; buffer {carried.buffer.kg} kg")
    say(
        f"tonnes    {carried.carried_in.kg} kg carried in + {explanation.kilograms} kg"
        f" = {carried.issued.kg} kg issued + {carried.carried_out.kg} kg carried over"
    )
    if explanation.origin != issuance:
        say(f"region    minted against {explanation.origin.issuance_id} of {explanation.origin.registry_id}")
    how = "signature valid" if explanation.verifier_signed else "stated before statements were signed"
    say(f"verified  by {explanation.verifier}; {how}")
    say(f"re-derived: {carried.issued.kg} kg, as issued")


def _document(explanation: Explanation) -> dict[str, Any]:
    reduction = explanation.claim.reduction
    return {
        "serial": str(explanation.serial),
        "issuance_id": explanation.issuance.issuance_id,
        "owner_id": explanation.issuance.owner_id,
        "monitoring_period_id": explanation.claim.monitoring_period_id,
        "methodology": reduction.tag,
        "variant": dict(reduction.variant),
        "meters": [asdict(meter) for meter in explanation.meters],
        "commitment": explanation.commitment,
        "inputs": [asdict(value) for value in reduction.inputs],
        "parameters": [asdict(parameter) for parameter in explanation.parameters],
        "files": dict(reduction.parameter_hashes),
        "steps": [asdict(step) for step in explanation.steps],
        "deducted": reduction.rules.deducted,
        "verifier_id": explanation.verifier,
        "verifier_signed": explanation.verifier_signed,
        "issued_kg": explanation.issuance.quantity.kg,
        "rederived_kg": explanation.kilograms,
        "buffer_kg": explanation.carried.buffer.kg,
        "carried_in_kg": explanation.carried.carried_in.kg,
        "carried_out_kg": explanation.carried.carried_out.kg,
        "origin_issuance_id": explanation.origin.issuance_id,
        "as_issued": explanation.carried.issued == explanation.origin.quantity,
    }


def _refuse(code: str, detail: str, as_json: bool) -> NoReturn:
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": code, "detail": detail}}, ensure_ascii=False) + "\n")
    else:
        Console(stderr=True).print(f"error {code}: {detail}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(REFUSED)
