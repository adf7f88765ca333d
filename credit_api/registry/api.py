"""What a registry does beside issuing: oversight, packages, other regions, the overlap guard, a serial's history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from credit_api.credits.schemas import CertificateOut
from credit_api.http.callers import PartsDep, PrincipalDep
from credit_api.http.commands import IdempotencyDep, commit
from credit_api.http.fields import Id
from credit_api.http.problems import PROBLEMS
from credit_api.registry.schemas import (
    BreakdownOut,
    CancellationIn,
    CancellationOut,
    CancellationsOut,
    ConstituentOut,
    EnergyLinkIn,
    EnergyLinkOut,
    ExternalClaimIn,
    ExternalClaimOut,
    FreezeIn,
    FreezeOut,
    GreenCertificateIn,
    GreenCertificateOut,
    PackageContentOut,
    PackageIn,
    PackageOut,
    PackedOut,
    PutInIn,
    QuantityIn,
    ReasonIn,
    RedeemedOut,
    SerialHistoryOut,
    StayOut,
    SuspensionOut,
    TransferIn,
    TransferOut,
    UnitRetirementIn,
)
from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.quantities import Carbon, Energy
from financing.lending.unit import UnitOfWork
from financing.registry.oversight.commands import (
    FreezeSerials,
    freeze_serials,
    lift_freeze,
    resume_project,
    reverse_from_buffer,
    revoke_frozen,
    suspend_project,
)
from financing.registry.oversight.overlap import Subject
from financing.registry.oversight.overlap_guard import (
    RecordCertificate,
    RecordExternalClaim,
    link_energy,
    record_certificate,
    record_external_claim,
    sell_certificate,
)
from financing.registry.packages.commands import (
    MakePackage,
    close_package,
    make_package,
    put_everything_in,
    put_in,
    redeem,
    retire_units,
)
from financing.registry.packages.looking import find_serial, look_through
from financing.registry.packages.model import Redemption
from financing.registry.retirement.commands import CancelCredits, Purpose, cancel_credits
from financing.registry.transfers.commands import (
    SendCredits,
    mint_transfer,
    refuse_transfer,
    send_credits,
)
from financing.valuation.packages import package_value

router = APIRouter(prefix="/v1", tags=["registry"], responses=PROBLEMS)


@router.get("/serials/{serial}")
def show_serial(serial: str, parts: PartsDep, principal: PrincipalDep) -> SerialHistoryOut:
    """Where every kilogram of a serial number has been, entry by entry, from issuance until now."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        issuance, text = find_serial(unit, serial)
        stays = unit.serials.past(issuance.issuance_id, text.first_kg, text.last_kg)
        frozen = any(
            low <= text.last_kg and text.first_kg <= high for low, high in unit.serials.frozen(issuance.issuance_id)
        )
    return SerialHistoryOut(
        serial=serial, issuance_id=issuance.issuance_id, frozen=frozen, stays=[StayOut.of(each) for each in stays]
    )


@router.post("/freezes", status_code=201, response_model=FreezeOut)
async def freeze(
    body: FreezeIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Order, as the registry that issued them, that serials do not move, wherever they are."""

    def run(unit: UnitOfWork, context: Context) -> FreezeOut:
        command = FreezeSerials(body.issuance_id, body.reason, body.first_kg, body.last_kg)
        return FreezeOut.of(freeze_serials(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/freezes")
def list_freezes(parts: PartsDep, principal: PrincipalDep) -> list[FreezeOut]:
    """Every freeze there ever was, newest first: who deals in credits must be able to see them."""
    with parts.reading() as connection:
        return [FreezeOut.of(each) for each in UnitOfWork(connection).custody.freezes()]


@router.post("/freezes/{freeze_id}/lifting", response_model=FreezeOut)
async def lift(
    freeze_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Let frozen serials move again."""
    return await commit(
        parts,
        principal,
        key,
        request,
        None,
        lambda unit, context: FreezeOut.of(lift_freeze(unit, context, freeze_id)),
        status=200,
    )


@router.post("/freezes/{freeze_id}/revocation", response_model=CancellationsOut)
async def revoke(
    freeze_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take frozen credits out of circulation by correcting entries."""

    def run(unit: UnitOfWork, context: Context) -> CancellationsOut:
        done = revoke_frozen(unit, context, freeze_id)
        return CancellationsOut(cancellations=[CancellationOut.of(each) for each in done])

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/projects/{project_id}/suspension", status_code=201, response_model=SuspensionOut)
async def suspend(
    project_id: Id, body: ReasonIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Stop claims and issuance for a project, as a registry."""

    def run(unit: UnitOfWork, context: Context) -> SuspensionOut:
        return SuspensionOut.of(project_id, suspend_project(unit, context, project_id, body.reason))

    return await commit(parts, principal, key, request, body, run)


@router.post("/projects/{project_id}/resumption", response_model=SuspensionOut)
async def resume(
    project_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """End a project's suspension, as a registry."""

    def run(unit: UnitOfWork, context: Context) -> SuspensionOut:
        resume_project(unit, context, project_id)
        return SuspensionOut.of(project_id, None)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/cancellations", status_code=201, response_model=CancellationOut)
async def cancel(
    body: CancellationIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Withdraw credits of the caller's holding without using them for anyone. A retirement is something else."""

    def run(unit: UnitOfWork, context: Context) -> CancellationOut:
        command = CancelCredits(body.issuance_id, Carbon(body.quantity_kg), body.reason)
        return CancellationOut.of(cancel_credits(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.post("/buffer-reversals", status_code=201, response_model=CancellationOut)
async def reverse(
    body: CancellationIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Cancel buffer credits of an issuance for stored carbon that was lost, as its registry."""

    def run(unit: UnitOfWork, context: Context) -> CancellationOut:
        return CancellationOut.of(
            reverse_from_buffer(unit, context, body.issuance_id, Carbon(body.quantity_kg), body.reason)
        )

    return await commit(parts, principal, key, request, body, run)


@router.get("/cancellations")
def list_cancellations(parts: PartsDep, principal: PrincipalDep) -> list[CancellationOut]:
    """Cancellations of the caller's credits; a registry sees all."""
    owner = None if principal.kind == "registry" else principal.organisation_id
    with parts.reading() as connection:
        return [CancellationOut.of(each) for each in UnitOfWork(connection).custody.cancellations(owner_id=owner)]


@router.post("/packages", status_code=201, response_model=PackageOut)
async def add_package(
    body: PackageIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Define a standard product, as the registry that keeps the credits behind it."""

    def run(unit: UnitOfWork, context: Context) -> PackageOut:
        command = MakePackage(
            body.code, body.name, body.asset_class, body.criteria.criteria(), Redemption(body.redemption)
        )
        return PackageOut.of(make_package(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/packages")
def list_packages(parts: PartsDep, principal: PrincipalDep) -> list[PackageOut]:
    """Every package."""
    with parts.reading() as connection:
        return [PackageOut.of(each) for each in UnitOfWork(connection).packages.all()]


@router.get("/packages/{package_id}")
def show_package(package_id: Id, parts: PartsDep, principal: PrincipalDep) -> PackageContentOut:
    """What is behind the units: quantity, value at the mark, and the split by methodology, region and vintage."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        package = unit.packages.get(package_id)
        lines = unit.packages.breakdown(package)
        worth = package_value(unit, parts.parameters, package, lines, parts.clock())
    return PackageContentOut(
        package=PackageOut.of(package),
        quantity_kg=sum(line.quantity.kg for line in lines),
        value_fen=worth.fen if worth is not None else None,
        breakdown=[BreakdownOut.of(line) for line in lines],
    )


@router.get("/packages/{package_id}/constituents")
def list_constituents(
    package_id: Id,
    parts: PartsDep,
    principal: PrincipalDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0, le=10**9, description="how many to skip, oldest first")] = 0,
) -> list[ConstituentOut]:
    """Look through a package to its serial numbers, oldest first."""
    with parts.reading() as connection:
        found = look_through(UnitOfWork(connection), package_id, limit=limit, after=after)
    return [ConstituentOut.of(each, serials) for each, serials in found]


@router.post("/packages/{package_id}/closure", response_model=PackageOut)
async def stop_package(
    package_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take no more credits in; units stay tradable and redeemable."""
    return await commit(
        parts,
        principal,
        key,
        request,
        None,
        lambda unit, context: PackageOut.of(close_package(unit, context, package_id)),
        status=200,
    )


@router.post("/packages/{package_id}/deposits", status_code=201, response_model=PackedOut)
async def fill_package(
    package_id: Id, body: PutInIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give credits into custody for units: of one issuance, or every free holding that the package takes."""

    def run(unit: UnitOfWork, context: Context) -> PackedOut:
        if body.issuance_id is None and body.quantity_kg is None:
            return PackedOut.of(put_everything_in(unit, context, package_id))
        if body.issuance_id is None or body.quantity_kg is None:
            raise NotPermitted("issuance_id and quantity_kg come together, or neither does")
        return PackedOut.of(put_in(unit, context, package_id, body.issuance_id, Carbon(body.quantity_kg)))

    return await commit(parts, principal, key, request, body, run)


@router.post("/packages/{package_id}/redemptions", status_code=201, response_model=RedeemedOut)
async def empty_package(
    package_id: Id, body: QuantityIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give units back for the credits behind them, by the package's rule."""

    def run(unit: UnitOfWork, context: Context) -> RedeemedOut:
        return RedeemedOut.of(redeem(unit, context, package_id, Carbon(body.quantity_kg)))

    return await commit(parts, principal, key, request, body, run)


@router.post("/packages/{package_id}/retirements", status_code=201, response_model=CertificateOut)
async def retire_package(
    package_id: Id,
    body: UnitRetirementIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Redeem units and retire what came out, under one certificate."""

    def run(unit: UnitOfWork, context: Context) -> CertificateOut:
        purpose = Purpose(body.beneficiary, body.purpose)
        return CertificateOut.of(retire_units(unit, context, package_id, Carbon(body.quantity_kg), purpose))

    return await commit(parts, principal, key, request, body, run)


@router.post("/transfers", status_code=201, response_model=TransferOut)
async def send(
    body: TransferIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Lock credits of the caller's holding for another region that recognises them."""

    def run(unit: UnitOfWork, context: Context) -> TransferOut:
        command = SendCredits(body.issuance_id, Carbon(body.quantity_kg), body.to_region)
        return TransferOut.of(send_credits(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/transfers")
def list_transfers(parts: PartsDep, principal: PrincipalDep) -> list[TransferOut]:
    """Transfers that the caller asked for, or that leave or reach its registry, newest first."""
    with parts.reading() as connection:
        return [TransferOut.of(each) for each in UnitOfWork(connection).transfers.of(principal.organisation_id)]


@router.post("/transfers/{transfer_id}/minting", response_model=TransferOut)
async def mint(
    transfer_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Mint credits here for those locked in the other region, as the receiving registry."""
    return await commit(
        parts,
        principal,
        key,
        request,
        None,
        lambda unit, context: TransferOut.of(mint_transfer(unit, context, transfer_id)),
        status=200,
    )


@router.post("/transfers/{transfer_id}/refusal", response_model=TransferOut)
async def refuse(
    transfer_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Give locked credits back, as the receiving registry or as their owner."""
    return await commit(
        parts,
        principal,
        key,
        request,
        None,
        lambda unit, context: TransferOut.of(refuse_transfer(unit, context, transfer_id)),
        status=200,
    )


@router.post("/external-claims", status_code=201, response_model=ExternalClaimOut)
async def add_external_claim(
    body: ExternalClaimIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Put a registration under another scheme, or a place inside the ETS, on record, as a registry."""

    def run(unit: UnitOfWork, context: Context) -> ExternalClaimOut:
        command = RecordExternalClaim(
            body.scheme, Subject(body.subject_kind, body.subject_id), body.period(), body.reference
        )
        return ExternalClaimOut.of(record_external_claim(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/external-claims")
def list_external_claims(parts: PartsDep, principal: PrincipalDep) -> list[ExternalClaimOut]:
    """What is on record about other schemes: a developer can look before it claims."""
    with parts.reading() as connection:
        return [ExternalClaimOut.of(each) for each in UnitOfWork(connection).guard.external()]


@router.post("/green-certificates", status_code=201, response_model=GreenCertificateOut)
async def add_green_certificate(
    body: GreenCertificateIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Put a green-electricity certificate on record, as the meter's grid company or a registry."""

    def run(unit: UnitOfWork, context: Context) -> GreenCertificateOut:
        command = RecordCertificate(
            body.certificate_number, body.meter_id, body.period(), Energy(body.energy_wh), body.sold
        )
        return GreenCertificateOut.of(record_certificate(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/green-certificates")
def list_green_certificates(parts: PartsDep, principal: PrincipalDep) -> list[GreenCertificateOut]:
    """Green-electricity certificates and their states."""
    with parts.reading() as connection:
        return [GreenCertificateOut.of(each) for each in UnitOfWork(connection).guard.certificates()]


@router.post("/green-certificates/{certificate_number}/sale", response_model=GreenCertificateOut)
async def sell_green_certificate(
    certificate_number: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Record that a certificate was sold: its energy can no longer be claimed."""
    return await commit(
        parts,
        principal,
        key,
        request,
        None,
        lambda unit, context: GreenCertificateOut.of(sell_certificate(unit, context, certificate_number)),
        status=200,
    )


@router.post("/energy-links", status_code=201, response_model=EnergyLinkOut)
async def add_energy_link(
    body: EnergyLinkIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Declare that energy of one meter reaches another meter or a vehicle: only one end may claim it."""

    def run(unit: UnitOfWork, context: Context) -> EnergyLinkOut:
        link_energy(unit, context, body.source_meter, Subject(body.sink_kind, body.sink_id))
        return EnergyLinkOut(source_meter=body.source_meter, sink_kind=body.sink_kind, sink_id=body.sink_id)

    return await commit(parts, principal, key, request, body, run)
