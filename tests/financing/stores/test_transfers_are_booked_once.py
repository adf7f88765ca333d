"""Transfers that were booked before their bank was asked for, in a stored copy, after migration 0011."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from stored_copies import put_back

from credit_api.app.database import migrate
from financing.base.errors import AlreadyExists
from financing.lending.unit import UnitOfWork


def test_a_number_of_before_is_refused_for_every_bank_and_stays(database_url, tmp_path):
    engine = put_back("0006", database_url, tmp_path)
    migrate(engine)
    with engine.connect() as connection:
        numbers = set(connection.execute(text("SELECT reference FROM entry WHERE kind = 'funding'")).scalars())
        kept = connection.execute(text("SELECT payer_bank, reference FROM payment")).all()
        payments = UnitOfWork(connection).payments
        assert {tuple(row) for row in kept} == {("", number) for number in numbers}
        for number in numbers:
            with pytest.raises(AlreadyExists):
                payments.require_new("999305000001", number)
        payments.require_new("999305000001", "a new one")
    for change in ("UPDATE payment SET payer_bank = '999305000001'", "DELETE FROM payment"):
        writing = engine.execution_options(tanxin_writer=True)
        with pytest.raises(IntegrityError), writing.begin() as connection:
            connection.execute(text(change))
    engine.dispose()
