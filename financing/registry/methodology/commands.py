"""Which text of a methodology holds for whom: lifecycle, pinning, and the archive that keeps old results derivable."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal, cast

from pydantic import Field

from financing.base.commands import Command, Text, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, MethodologyNotApproved, NotFound, NotRederivable
from financing.base.parameters.methodologies import STATUSES, Status, read_methodology
from financing.base.quantities import Energy, business_date
from financing.registry.methodology.definition import Methodology, compiled
from financing.registry.methodology.engine import Declared, Metered, calculate
from financing.registry.methodology.model import ArchivedFile, Transition
from financing.registry.methodology.reduction import Reduction
from financing.registry.methodology.resolving import Tables, resolve
from financing.registry.projects.model import Project
from financing.registry.regions import own_region
from financing.registry.unit import RegistryUnit

Code = Annotated[str, Field(pattern=r"^[A-Z]{1,12}$")]


class MoveMethodology(Command):
    """The registry's decision on one version, on the text that it read."""

    status: Literal["consultation", "approved", "superseded"]
    reason: Text


def status_of(unit: RegistryUnit, methodology: Methodology, on: date) -> Status:
    """What the registry recorded last, or what the file says where nothing was recorded.

    A file that was changed after the registry decided on it is a draft again: nobody has looked at that text.
    """
    recorded = unit.methodologies.transitions(methodology.file.code, methodology.file.version)
    if not recorded:
        return methodology.file.status_on(on)
    last = recorded[-1]
    return (
        cast(Status, last.status)
        if last.sha256 == methodology.file.version_hash or last.status == "superseded"
        else "draft"
    )


@use_case
def move_methodology(
    unit: RegistryUnit, context: Context, code: str, version: int, command: MoveMethodology
) -> Transition:
    """Record the next status of a version: draft, consultation, approved, superseded, one after the other.

    A text holds in every region, so any region's registry decides. Raises `NotPermitted` for a registry without one,
    `ParameterMissing`, `MethodologyInvalid`, `InvalidState` for a step back or a leap.
    """
    own_region(context)
    methodology = compiled(context.parameters.methodology(code, version))
    before = status_of(unit, methodology, business_date(context.at))
    if STATUSES.index(command.status) != STATUSES.index(before) + 1:
        raise InvalidState(f"the version is {before}", methodology=methodology.tag, status=before, asked=command.status)
    transition = Transition(
        code=code,
        version=version,
        status=command.status,
        sha256=methodology.file.version_hash,
        reason=command.reason,
        recorded_by=context.actor.id,
        recorded_at=context.at,
    )
    archive(unit, context, [(methodology.file.file, methodology.file.version_hash)])
    unit.methodologies.add_transition(transition)
    return transition


def require_approved(unit: RegistryUnit, context: Context, code: str, version: int) -> Methodology:
    """The version for a new project. Raises `ParameterMissing`, `MethodologyInvalid`, `MethodologyNotApproved`."""
    methodology = compiled(context.parameters.methodology(code, version))
    status = status_of(unit, methodology, business_date(context.at))
    if status != "approved":
        raise MethodologyNotApproved(f"the version is {status}", methodology=methodology.tag, status=status)
    return methodology


def pinned(unit: RegistryUnit, context: Context, project: Project) -> Methodology:
    """The text that the project was registered on, whatever the file says today; superseded versions go on."""
    if not project.methodology_sha256:
        return compiled(context.parameters.methodology(project.methodology, project.methodology_version))
    file = unit.methodologies.file(project.methodology_sha256)
    return compiled(read_methodology(file.path, file.content.encode("utf-8")))


def archive(unit: RegistryUnit, context: Context, files: Iterable[tuple[str, str]]) -> None:
    """Keep the texts of the files named with their SHA-256, where they are the ones loaded now."""
    loaded = context.parameters
    unit.methodologies.archive(
        (ArchivedFile(sha256, path, loaded.texts[path]) for path, sha256 in files if loaded.hashes.get(path) == sha256),
        context.at,
    )


def derived_again(unit: RegistryUnit, project: Project, reduction: Reduction, on: date) -> Reduction:
    """Calculate a stored reduction anew, from its inputs and the archived texts alone.

    Raises `NotRederivable` when a text is not archived; what comes out is the caller's to compare.
    """
    texts: dict[str, str] = {}
    methodology = None
    for path, sha256 in reduction.parameter_hashes:
        try:
            file = unit.methodologies.file(sha256)
        except NotFound as error:
            raise NotRederivable("a file that the result rests on is not archived", file=path, sha256=sha256) from error
        texts[path] = file.content
        if path.startswith(("methodologies/", "own/")):
            methodology = compiled(read_methodology(path, file.content.encode("utf-8")))
    if methodology is None:
        raise NotRederivable("the result names no methodology file", project_id=project.project_id)
    variant = dict(reduction.variant)
    # Alternatives of records were allowed when the result was made; its own keys say which ones were taken.
    instead = {each.name: each.key for each in reduction.parameters if each.key}
    resolved = resolve(methodology, Tables.archived(texts), variant, on, instead)
    return calculate(
        methodology,
        choices=variant,
        metered=_metered_again(methodology, reduction),
        declared=_declared_again(reduction),
        parameters=resolved.values,
        parameter_hashes=resolved.hashes,
        period=reduction.period,
    )


def _metered_again(methodology: Methodology, reduction: Reduction) -> dict[str, Metered]:
    metered: dict[str, Metered] = {}
    stated = {each.name: Fraction(each.value) for each in reduction.inputs}
    for role in methodology.file.roles:
        energy, export = Energy(0), None
        for name, each in methodology.file.inputs.items():
            if each.kind == "metered" and each.role == role and name in stated:
                value = Energy(int(stated[name] * methodology.units[name].scale))
                if each.channel == "energy":
                    energy = value
                else:
                    export = value
        metered[role] = Metered(max(energy, export or Energy(0)), export)
    return metered


def _declared_again(reduction: Reduction) -> dict[str, Declared]:
    return {
        each.name: Declared(Fraction(each.value), each.evidence) for each in reduction.inputs if each.kind == "declared"
    }
