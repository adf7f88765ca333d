"""A registry acts in its own region and nowhere else: every command that a registry issues, on the services alone."""

import shutil
from copy import copy
from datetime import UTC, date, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from reductions import pv

from credit_api.app.database import migrate
from credit_api.public.api import RecordUnits, record_units
from credit_api.public.cad_trust import CadUnit
from financing.base.context import Actor, Context
from financing.base.errors import NotPermitted, ParameterMissing
from financing.base.parameters import load_parameters
from financing.base.quantities import Period
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import total_of
from financing.registry.methodology.commands import MoveMethodology, move_methodology
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
from financing.registry.oversight.overlap_guard import (
    LinkEnergy,
    RecordCertificate,
    RecordExternalClaim,
    link_energy,
    record_certificate,
    record_external_claim,
    sell_certificate,
)
from financing.registry.packages.commands import MakePackage, close_package, make_package
from financing.registry.projects.commands import RegisterProject, register_project
from financing.registry.projects.model import Location
from financing.registry.projects.store import project_t
from financing.registry.transfers.commands import SendCredits, mint_transfer, send_credits
from financing.registry.verification.monitoring import accept, submit
from financing.registry.verification.statement import VerificationStatement
from financing.registry.verification.verifying import (
    AssignVerifier,
    DeclareRelation,
    RecordAccreditation,
    assign_verifier,
    declare_relation,
    record_accreditation,
)

AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
MAY = Period(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 21, tzinfo=UTC))
KINDS = {
    "registry-sip": "registry",
    "registry-chengdu": "registry",
    "registry-nowhere": "registry",
    "grid-sip": "grid",
    "grid-gaoxin": "grid",
    "dev": "developer",
    "verifier-cqc": "verifier",
    "buyer-a": "buyer",
    "buyer-b": "buyer",
}
HOME, OTHERS = "registry-sip", ("registry-chengdu", "registry-nowhere")


class Regions:
    """A project in Suzhou and one in Chengdu, with meters, a submitted period each, and one that was accepted."""

    def __init__(self, url):
        self.parameters, self._numbers = load_parameters(), count(1)
        self.open(url)
        migrate(self.engine)

        def found(unit):
            for name, kind in KINDS.items():
                unit.organisations.add(Organisation(name, kind, name, name), AT)

        self.writer.execute(found)
        self.suzhou, self.chengdu = self.project("SZ", "SIP"), self.project("CD", "chengdu")
        self.submitted, self.accepted = self.period(self.suzhou), self.period(self.suzhou, accepted=True, later=30)

    def open(self, url):
        self.engine = open_engine(url)
        self.writer = Writer(self.engine, UnitOfWork)

    def close(self):
        self.writer.close()
        self.engine.dispose()

    def context(self, who):
        return Context(
            Actor(who, KINDS[who]), AT, lambda prefix: f"{prefix}_{next(self._numbers)}", parameters=self.parameters
        )

    def run(self, who, use_case, *arguments):
        return self.writer.execute(lambda unit: use_case(unit, self.context(who), *arguments))

    def reading(self, look):
        with self.engine.connect() as connection:
            return look(UnitOfWork(connection))

    def project(self, code, region):
        return self.run("dev", register_project, RegisterProject.model_validate(project_body(code, region)))

    def period(self, project, *, accepted=False, later=0):
        """Twenty days that the project's meter measured, as the claim's rules let it be submitted and accepted."""
        start = MAY.start + timedelta(days=later)
        time = Period(start, start + (MAY.end - MAY.start))
        hours = np.datetime64(int(start.timestamp()), "s") + np.arange(480) * np.timedelta64(3600, "s")
        total = total_of(ReadingBatch(project.meter_ids[0], 60, hours, np.full(480, 20_000_000)), time)
        claim = submit(
            monitoring_period_id=f"mon_{project.code}_{later}",
            project=project,
            totals=(total,),
            reduction=pv(total.generation.wh, period=time),
            findings=(),
            existing=(),
            at=AT,
        )
        self.writer.execute(lambda unit: unit.periods.add(claim))
        if accepted:
            statement = VerificationStatement(
                "st", claim.monitoring_period_id, "verifier-cqc", "positive", claim.verifiable().commitment,
                claim.verifiable().generation, claim.verifiable().reduction, "", AT,
            )  # fmt: skip
            self.writer.execute(lambda unit: unit.periods.save(accept(claim, statement)))
        return claim.monitoring_period_id

    def issue(self):
        return self.run(HOME, issue_credits, IssueCredits(monitoring_period_id=self.accepted)).issuance.issuance_id

    def freeze(self):
        return self.run(HOME, freeze_serials, FreezeSerials(issuance_id=self.issue(), reason="doubt")).freeze_id

    def certificate(self):
        return self.run("grid-sip", record_certificate, certificate("G1")).certificate_number


def project_body(code, region):
    return {
        "code": code,
        "name": f"roof {code}",
        "capacity_w": 50_000_000,
        "grid_connected_on": "2022-06-01",
        "crediting_from": "2023-01-01T00:00:00Z",
        "crediting_until": "2033-01-01T00:00:00Z",
        "region": region,
        "latitude_deg": 31.3,
        "longitude_deg": 120.6,
        "meters": [
            {"meter_id": f"M-{code}", "measured_by": "grid-sip", "interval_minutes": 60, "public_key": "0" * 64}
        ],
        "owns_the_reduction": True,
        "not_registered_elsewhere": True,
        "outside_ets_boundary": True,
    }


def certificate(number, meter="M-SZ"):
    return RecordCertificate(
        starts_at=datetime(2026, 10, 1, tzinfo=UTC),
        ends_at=datetime(2026, 10, 2, tzinfo=UTC),
        certificate_number=number,
        meter_id=meter,
        energy_wh=1_000,
    )


def elsewhere(kind, subject):
    return RecordExternalClaim(
        starts_at=MAY.start, ends_at=MAY.end, scheme="VCS", subject_kind=kind, subject_id=subject, reference="r"
    )


def unit_elsewhere(site):
    return RecordUnits(
        units=[
            CadUnit(
                unitOwner="o", countryJurisdictionOfOwner="China", inCountryJurisdictionOfOwner="CD",
                serialNumberBlock="X", unitBlockStart="1", unitBlockEnd="2", unitCount=1, vintageYear=2025,
                unitType="Reduction - technical", unitStatus="Held", correspondingAdjustmentDeclaration="Unknown",
                correspondingAdjustmentStatus="Not Started", warehouseProjectId=site,
                issuanceStartDate=date(2025, 1, 1), issuanceEndDate=date(2025, 2, 1),
            )
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    path = tmp_path_factory.mktemp("regions") / "books.db"
    made = Regions(f"sqlite:///{path}")
    made.close()
    return made, path


@pytest.fixture
def regions(tmp_path, founded):
    """A copy of what was made once."""
    made, path = founded
    shutil.copyfile(path, tmp_path / "books.db")
    mine = copy(made)
    mine.open(f"sqlite:///{tmp_path / 'books.db'}")
    yield mine
    mine.close()


def prepared_suspension(regions):
    regions.run(HOME, suspend_project, regions.suzhou.project_id, SuspendProject(reason="visit"))
    return regions.suzhou.project_id


# Each command, and what it is about: an object of Suzhou, or one that names Suzhou's registry.
OWN = {
    issue_credits: lambda w: (IssueCredits(monitoring_period_id=w.accepted),),
    assign_verifier: lambda w: (w.submitted, AssignVerifier(verifier_id="verifier-cqc", due_on=date(2026, 12, 1))),
    suspend_project: lambda w: (w.suzhou.project_id, SuspendProject(reason="visit")),
    resume_project: lambda w: (prepared_suspension(w),),
    freeze_serials: lambda w: (FreezeSerials(issuance_id=w.issue(), reason="doubt"),),
    lift_freeze: lambda w: (w.freeze(),),
    revoke_frozen: lambda w: (w.freeze(),),
    make_package: lambda w: (MakePackage(code="PACK", name="p"),),
    close_package: lambda w: (w.run(HOME, make_package, MakePackage(code="PACK", name="p")).package_id,),
    record_external_claim: lambda w: (elsewhere("meter", "M-SZ"),),
    record_units: lambda w: (unit_elsewhere("SZ"),),
    record_certificate: lambda w: (certificate("G1"),),
    sell_certificate: lambda w: (w.certificate(),),
    link_energy: lambda w: (LinkEnergy(source_meter="M-SZ", sink_kind="vehicle", sink_id="V1"),),
    move_methodology: lambda w: ("PV", 1, MoveMethodology(status="superseded", reason="r")),
    record_accreditation: lambda w: (
        RecordAccreditation(organisation_id="verifier-cqc", methodology="EV", valid_from=date(2026, 1, 1), source="s"),
    ),
    declare_relation: lambda w: (DeclareRelation(first_id="buyer-a", second_id="buyer-b", source="s"),),
}
# What is of no region, or names its maker: any region's registry may, one that no region names may not.
OF_ANY_REGION = (make_package, move_methodology, record_accreditation, declare_relation)


@pytest.mark.parametrize("command", OWN, ids=lambda each: each.handler.__name__)
def test_a_command_is_its_own_regions(regions, command):
    arguments = OWN[command](regions)
    before = regions.reading(lambda unit: unit.ledger.head())
    for other in OTHERS:
        if other == "registry-chengdu" and command in OF_ANY_REGION:
            continue
        with pytest.raises(NotPermitted):
            regions.run(other, command, *arguments)
    assert regions.reading(lambda unit: unit.ledger.head()) == before
    regions.run("registry-chengdu" if command in OF_ANY_REGION else HOME, command, *arguments)


def test_a_buffer_is_drawn_by_the_registry_that_keeps_it(regions):
    command = ReverseFromBuffer(issuance_id=regions.issue(), quantity_kg=1, reason="fire")
    for other in OTHERS:
        with pytest.raises(NotPermitted):
            regions.run(other, reverse_from_buffer, command)


def test_credits_are_minted_by_the_region_they_were_sent_to(regions):
    command = SendCredits(issuance_id=regions.issue(), quantity_kg=1_000, to_region="chengdu")
    sent = regions.run("dev", send_credits, command)
    for other in (HOME, "registry-nowhere"):
        with pytest.raises(NotPermitted):
            regions.run(other, mint_transfer, sent.transfer_id)
    minted = regions.run("registry-chengdu", mint_transfer, sent.transfer_id)
    (block,) = regions.reading(lambda unit: [b for _, b in unit.serials.standing(minted.minted_issuance_id, 1, 1)])
    assert block.registry_code == "CD"


def test_serials_open_with_the_code_of_the_projects_region(regions):
    period = regions.period(regions.chengdu, accepted=True)
    with pytest.raises(NotPermitted):
        regions.run(HOME, issue_credits, IssueCredits(monitoring_period_id=period))
    issued = regions.run("registry-chengdu", issue_credits, IssueCredits(monitoring_period_id=period))
    assert (issued.issuance.registry_id, issued.issuance.registry_code) == ("registry-chengdu", "CD")
    assert all(block.serial.startswith("CD-PHCER-PV1-CD-2026-") for block in issued.blocks)


@pytest.mark.parametrize("name", ["CD", "chengdu", "成都", "Chengdu"])
def test_a_region_is_kept_by_its_registrys_code(regions, name):
    assert regions.project("NEW", name).location.region == "CD"


@pytest.mark.parametrize("name", ["Atlantis", "sip", "registry-sip", " SIP"])
def test_a_region_without_a_registry_takes_no_project(regions, name):
    with pytest.raises(ParameterMissing):
        regions.project("NEW", name)


def test_a_region_that_has_no_registry_yet_takes_none_either(regions):
    before = date(2022, 11, 15)
    with pytest.raises(ParameterMissing):
        regions.parameters.region_named("SIP", before)
    with pytest.raises(ParameterMissing):
        regions.parameters.region_of(HOME, before)


def test_meters_are_their_grid_companys_and_sites_their_own_regions(regions):
    number = regions.certificate()
    with pytest.raises(NotPermitted):
        regions.run("grid-gaoxin", sell_certificate, number)
    with pytest.raises(NotPermitted):
        regions.run("grid-gaoxin", record_certificate, certificate("G2"))
    for subject in (("site", "SZ"), ("meter", "M-SZ")):
        with pytest.raises(NotPermitted):
            regions.run("registry-chengdu", record_external_claim, elsewhere(*subject))
    # Nobody here knows these: any region's registry may say what another scheme has on record.
    for subject in (("site", "ELSE"), ("meter", "M-ELSE"), ("vehicle", "M-SZ")):
        regions.run("registry-chengdu", record_external_claim, elsewhere(*subject))


def test_a_registry_links_no_energy_into_another_region(regions):
    across = LinkEnergy(source_meter="M-SZ", sink_kind="meter", sink_id="M-CD")
    with pytest.raises(NotPermitted):
        regions.run(HOME, link_energy, across)
    regions.run("grid-sip", link_energy, across)


def test_a_project_of_before_stays_readable_and_waits_where_nobody_knows_its_region(regions):
    """Earlier versions took any text for a region: what names one is understood, what names none is said so."""
    for text, outcome in (("Suzhou Industrial Park", None), ("somewhere", ParameterMissing)):

        def written(unit, text=text):
            record = dict(unit.connection.execute(project_t.select().where(project_t.c.code == "SZ")).one().record)
            record["location"] = record["location"] | {"region": text}
            unit.connection.execute(project_t.update().where(project_t.c.code == "SZ").values(record=record))

        regions.writer.execute(written)
        found = regions.reading(lambda unit: unit.projects.get(regions.suzhou.project_id))
        assert found.location == Location(text, 31.3, 120.6)
        command = suspend_project, regions.suzhou.project_id, SuspendProject(reason="visit")
        if outcome is None:
            regions.run(HOME, *command)
            regions.run(HOME, resume_project, regions.suzhou.project_id)
        else:
            with pytest.raises(outcome):
                regions.run(HOME, *command)
