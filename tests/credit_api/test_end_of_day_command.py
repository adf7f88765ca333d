"""`tanxin end-of-day` as a scheduler runs it."""

import json
from datetime import timedelta

from typer.testing import CliRunner

from credit_api.audit.store import AuditStore
from credit_api.cli.main import app


def test_the_command_closes_what_is_over_and_then_nothing(lent):
    world, *_ = lent
    settings = world.parts.settings
    first = (world.now + timedelta(days=0)).date()
    # The command runs on the machine's own clock, which is later than the day of the loan or the same.
    arguments = ["end-of-day", "--home", str(settings.home), "--database-url", settings.database_url,
                 "--through", str(first), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    closed = json.loads(done.stdout)["closed"]
    assert [day["day"] for day in closed] in ([str(first)], [])
    with world.parts.reading() as connection:
        events = [each for each in AuditStore(connection).walk() if each.action == "close_day"]
    told = [(each.organisation_id, each.credential, each.object_id) for each in events]
    assert told == [(day["bank"], "command_line", day["day"]) for day in closed]
    again = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert again == {"closed": [], "failed": []}


def test_a_home_without_books_and_a_bad_date_are_told(tmp_path):
    missing = CliRunner().invoke(app, ["end-of-day", "--home", str(tmp_path)])
    assert missing.exit_code == 2
    wrong = CliRunner().invoke(app, ["end-of-day", "--through", "soon"])
    assert wrong.exit_code == 2
