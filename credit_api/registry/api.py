"""What a registry does beside issuing: oversight, packages, other regions, the overlap guard, a serial's history."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from credit_api.credits.schemas import CertificateOut
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.registry.schemas import (
    BreakdownOut,
    CancellationsOut,
    ConstituentOut,
    EnergyLinkOut,
    ExternalClaimOut,
    GreenCertificateOut,
    MessagesOut,
    PackageContentOut,
    PackageOut,
    PackedOut,
    RedeemedOut,
    SerialHistoryOut,
    SuspensionOut,
    TransferOut,
)
from financing.base.commands import UNSIGNED, Id, SignedAt, Text
from financing.base.errors import NotFound, NotPermitted
from financing.lending.unit import UnitOfWork
from financing.registry.oversight.commands import (
    FreezeSerials,
    ReverseFromBuffer,
    SuspendProject,
    freeze_serials,
    lift_freeze,
    resume_project,
    reverse_from_buffer,
    revoke_frozen,
    suspend_project,
)
from financing.registry.oversight.model import Cancellation, SerialFreeze
from financing.registry.oversight.overlap_guard import (
    LinkEnergy,
    RecordCertificate,
    RecordExternalClaim,
    link_energy,
    record_certificate,
    record_external_claim,
    sell_certificate,
)
from financing.registry.packages.commands import (
    DepositCredits,
    MakePackage,
    RedeemUnits,
    RetireUnits,
    close_package,
    deposit_credits,
    make_package,
    redeem,
    retire_units,
)
from financing.registry.packages.looking import find_serial, look_through
from financing.registry.retirement.commands import CancelCredits, cancel_credits
from financing.registry.transfers.commands import SendCredits, mint_transfer, refuse_transfer, send_credits
from financing.registry.transfers.crossing import (
    Message,
    ReceiveExport,
    dispatch_transfer,
    import_credits,
    refuse_import,
    settle_transfer,
)
from financing.registry.transfers.messages import TransferMessage
from financing.registry.transfers.reconciling import TransferCounts, counts_of
from financing.valuation.packages import package_value

router = Router(prefix="/v1", tags=["registry"], responses=PROBLEMS)


@router.get("/serials/{serial}")
def show_serial(serial: Text, parts: PartsDep, principal: PrincipalDep) -> SerialHistoryOut:
    """Where every kilogram of a serial number has been, entry by entry, from issuance until now."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        issuance, text = find_serial(unit, serial)
        stays = unit.serials.past(issuance.issuance_id, text.first_kg, text.last_kg)
        frozen = any(
            low <= text.last_kg and text.first_kg <= high for low, high in unit.serials.frozen(issuance.issuance_id)
        )
    return SerialHistoryOut(serial=serial, issuance_id=issuance.issuance_id, frozen=frozen, stays=stays)


@router.post("/freezes", status_code=201, response_model=SerialFreeze)
async def freeze(body: FreezeSerials, call: CallDep) -> Response:
    """Order, as the registry that issued them, that serials do not move, wherever they are."""
    return await call.commit(freeze_serials.given(body), answer=lambda order: order)


@router.get("/freezes")
def list_freezes(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[SerialFreeze]:
    """Every freeze there ever was, newest first: who deals in credits must be able to see them."""
    with parts.reading() as connection:
        freezes = UnitOfWork(connection).custody.freezes(paging.window)
    return paging.answers(freezes, lambda each: each)


@router.post("/freezes/{freeze_id}/lifting", response_model=SerialFreeze)
async def lift(freeze_id: Id, call: CallDep) -> Response:
    """Let frozen serials move again."""
    return await call.commit(lift_freeze.given(freeze_id), answer=lambda order: order, status=200)


@router.post("/freezes/{freeze_id}/revocation", response_model=CancellationsOut)
async def revoke(freeze_id: Id, call: CallDep) -> Response:
    """Take frozen credits out of circulation by correcting entries."""
    return await call.commit(revoke_frozen.given(freeze_id), answer=CancellationsOut.of, status=200)


@router.post("/projects/{project_id}/suspension", status_code=201, response_model=SuspensionOut)
async def suspend(project_id: Id, body: SuspendProject, call: CallDep) -> Response:
    """Stop claims and issuance for a project, as a registry."""
    return await call.commit(suspend_project.given(project_id, body), answer=SuspensionOut.of)


@router.post("/projects/{project_id}/resumption", response_model=SuspensionOut)
async def resume(project_id: Id, call: CallDep) -> Response:
    """End a project's suspension, as a registry."""
    ended = SuspensionOut.lifted(project_id)
    return await call.commit(resume_project.given(project_id), answer=lambda _: ended, status=200)


@router.post("/cancellations", status_code=201, response_model=Cancellation)
async def cancel(body: CancelCredits, call: CallDep) -> Response:
    """Withdraw credits of the caller's holding without using them for anyone. A retirement is something else."""
    return await call.commit(cancel_credits.given(body), answer=lambda cancelled: cancelled)


@router.post("/buffer-reversals", status_code=201, response_model=Cancellation)
async def reverse(body: ReverseFromBuffer, call: CallDep) -> Response:
    """Cancel buffer credits of an issuance for stored carbon that was lost, as its registry."""
    return await call.commit(reverse_from_buffer.given(body), answer=lambda cancelled: cancelled)


@router.get("/cancellations")
def list_cancellations(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[Cancellation]:
    """Cancellations of the caller's credits; a registry sees all."""
    owner = None if principal.kind == "registry" else principal.organisation_id
    with parts.reading() as connection:
        cancellations = UnitOfWork(connection).custody.cancellations(owner_id=owner, window=paging.window)
    return paging.answers(cancellations, lambda each: each)


@router.post("/packages", status_code=201, response_model=PackageOut)
async def add_package(body: MakePackage, call: CallDep) -> Response:
    """Define a standard product, as the registry that keeps the credits behind it."""
    return await call.commit(make_package.given(body), answer=PackageOut.of)


@router.get("/packages")
def list_packages(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[PackageOut]:
    """Every package."""
    with parts.reading() as connection:
        packages = UnitOfWork(connection).packages.all(window=paging.window)
    return paging.answers(packages, PackageOut.of)


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
    package_id: Id, parts: PartsDep, principal: PrincipalDep, paging: PagingDep
) -> list[ConstituentOut]:
    """Look through a package to its serial numbers, oldest first."""
    with parts.reading() as connection:
        behind = look_through(UnitOfWork(connection), package_id, window=paging.window)
    return paging.answers(behind, lambda each: ConstituentOut.joined(each[0], serials=each[1]))


@router.post("/packages/{package_id}/closure", response_model=PackageOut)
async def stop_package(package_id: Id, call: CallDep) -> Response:
    """Take no more credits in; units stay tradable and redeemable."""
    return await call.commit(close_package.given(package_id), answer=PackageOut.of, status=200)


@router.post("/packages/{package_id}/deposits", status_code=201, response_model=PackedOut)
async def fill_package(package_id: Id, body: DepositCredits, call: CallDep) -> Response:
    """Give credits into custody for units: of one issuance, or every free holding that the package takes."""
    return await call.commit(deposit_credits.given(package_id, body), answer=PackedOut.of)


@router.post("/packages/{package_id}/redemptions", status_code=201, response_model=RedeemedOut)
async def empty_package(package_id: Id, body: RedeemUnits, call: CallDep) -> Response:
    """Give units back for the credits behind them, by the package's rule."""
    return await call.commit(redeem.given(package_id, body), answer=RedeemedOut.of)


@router.post("/packages/{package_id}/retirements", status_code=201, response_model=CertificateOut)
async def retire_package(package_id: Id, body: RetireUnits, call: CallDep) -> Response:
    """Redeem units and retire what came out, under one certificate."""
    return await call.commit(retire_units.given(package_id, body), answer=CertificateOut.of)


@router.post("/transfers", status_code=201, response_model=TransferOut)
async def send(body: SendCredits, call: CallDep) -> Response:
    """Lock credits of the caller's holding for another region that recognises them."""
    return await call.commit(send_credits.given(body), answer=TransferOut.of)


@router.get("/transfers")
def list_transfers(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[TransferOut]:
    """Transfers that the caller asked for, or that leave or reach its registry, newest first."""
    with parts.reading() as connection:
        transfers = UnitOfWork(connection).transfers.of(principal.organisation_id, window=paging.window)
    return paging.answers(transfers, TransferOut.of)


@router.post("/transfers/{transfer_id}/minting", response_model=TransferOut)
async def mint(transfer_id: Id, call: CallDep) -> Response:
    """Mint credits here for those locked in the other region, as the receiving registry."""
    return await call.commit(mint_transfer.given(transfer_id), answer=TransferOut.of, status=200)


@router.post("/transfers/{transfer_id}/refusal", response_model=TransferOut)
async def refuse(transfer_id: Id, call: CallDep) -> Response:
    """Give locked credits back, as the receiving registry or as their owner."""
    return await call.commit(refuse_transfer.given(transfer_id), answer=TransferOut.of, status=200)


@router.post("/transfers/{transfer_id}/dispatch", response_model=TransferMessage)
async def dispatch(transfer_id: Id, call: CallDep, body: SignedAt = UNSIGNED) -> Response:
    """Tell the other registry, whose books are elsewhere, in a signed message; only its receipt closes the transfer."""
    return await call.commit(dispatch_transfer.given(transfer_id, body), answer=lambda message: message, status=200)


@router.get("/transfers/{transfer_id}/messages")
def show_messages(transfer_id: Id, parts: PartsDep, principal: PrincipalDep) -> MessagesOut:
    """The signed messages of a transfer that left here, for its owner and the two registries: an export, a receipt."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        sent = unit.transfers.get(transfer_id)
        if principal.organisation_id not in (sent.owner_id, sent.from_registry, sent.to_registry):
            raise NotPermitted("this transfer is other organisations'", transfer_id=transfer_id)
        export = unit.transfers.message(sent.from_registry, transfer_id, "export")
        receipt = unit.transfers.message(sent.from_registry, transfer_id, "receipt")
    return MessagesOut(export=export, receipt=receipt)


@router.post("/transfers/{transfer_id}/receipt", response_model=TransferOut)
async def settle(transfer_id: Id, body: Message, call: CallDep) -> Response:
    """Close a transfer by the other registry's signed receipt: gone for good, or back to its owner."""
    return await call.commit(settle_transfer.given(transfer_id, body), answer=TransferOut.of, status=200)


@router.post("/transfer-imports", status_code=201, response_model=TransferMessage)
async def receive(body: ReceiveExport, call: CallDep) -> Response:
    """Mint credits for those that another registry locked and told of; the answer is the signed receipt."""
    return await call.commit(import_credits.given(body), answer=lambda received: received.receipt)


@router.post("/transfer-imports/refusals", status_code=201, response_model=TransferMessage)
async def receive_not(body: ReceiveExport, call: CallDep) -> Response:
    """Refuse another registry's credits for good; the answer is the signed receipt that gives them back there."""
    return await call.commit(refuse_import.given(body), answer=lambda received: received.receipt)


@router.get("/transfer-imports/{from_registry}/{transfer_id}")
def show_receipt(from_registry: Id, transfer_id: Id, parts: PartsDep, principal: PrincipalDep) -> TransferMessage:
    """The receipt of a transfer that came here, for the calling registry: to be sent again if it was lost."""
    with parts.reading() as connection:
        found = UnitOfWork(connection).transfers.message(from_registry, transfer_id, "receipt")
    if found is None or principal.organisation_id not in (found.to_registry, found.from_registry):
        raise NotFound("no such transfer came here", transfer_id=transfer_id)
    return found


@router.get("/transfer-reconciliation")
def reconcile(parts: PartsDep, principal: PrincipalDep, other: Annotated[Id, Query()]) -> TransferCounts:
    """What the calling registry's books say of transfers to and from another, to be held against the other's answer
    (`tanxin registry reconcile`)."""
    with parts.reading() as connection:
        return counts_of(UnitOfWork(connection), principal.organisation_id, other)


@router.post("/external-claims", status_code=201, response_model=ExternalClaimOut)
async def add_external_claim(body: RecordExternalClaim, call: CallDep) -> Response:
    """Put a registration under another scheme, or a place inside the ETS, on record, as a registry."""
    return await call.commit(record_external_claim.given(body), answer=ExternalClaimOut.of)


@router.get("/external-claims")
def list_external_claims(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ExternalClaimOut]:
    """What is on record about other schemes: a developer can look before it claims."""
    with parts.reading() as connection:
        claims = UnitOfWork(connection).guard.external(window=paging.window)
    return paging.answers(claims, ExternalClaimOut.of)


@router.post("/green-certificates", status_code=201, response_model=GreenCertificateOut)
async def add_green_certificate(body: RecordCertificate, call: CallDep) -> Response:
    """Put a green-electricity certificate on record, as the meter's grid company or a registry."""
    return await call.commit(record_certificate.given(body), answer=GreenCertificateOut.of)


@router.get("/green-certificates")
def list_green_certificates(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[GreenCertificateOut]:
    """Green-electricity certificates and their states."""
    with parts.reading() as connection:
        certificates = UnitOfWork(connection).guard.certificates(window=paging.window)
    return paging.answers(certificates, GreenCertificateOut.of)


@router.post("/green-certificates/{certificate_number}/sale", response_model=GreenCertificateOut)
async def sell_green_certificate(certificate_number: Id, call: CallDep) -> Response:
    """Record that a certificate was sold: its energy can no longer be claimed."""
    return await call.commit(sell_certificate.given(certificate_number), answer=GreenCertificateOut.of, status=200)


@router.post("/energy-links", status_code=201, response_model=EnergyLinkOut)
async def add_energy_link(body: LinkEnergy, call: CallDep) -> Response:
    """Declare that energy of one meter reaches another meter or a vehicle: only one end may claim it."""
    return await call.commit(link_energy.given(body), answer=lambda _: EnergyLinkOut.of(body))
