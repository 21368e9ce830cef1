"""What a database that fails over has lost is taken in again by the replica that keeps house."""

from collections.abc import Callable

import pytest

from service.inbox.gauges import InboxGauges
from service.inbox.housekeeper import Housekeeper
from service.inbox.inbox import Inbox
from service.metrics import Metrics
from service.settings import Settings
from tests.postgres_server import PostgresServer
from tests.service.inbox.bench import states
from tests.service.inbox.conftest import ON_POSTGRESQL, mammogram, store
from tests.service.inbox.replicas import PACS, lease_of, run_out

pytestmark = [pytest.mark.integration, *ON_POSTGRESQL]


def housekeeper(inbox: Inbox, settings: Settings) -> Housekeeper:
    return Housekeeper(inbox, settings, [PACS], InboxGauges(inbox, Metrics(), [PACS], 2**30))


def fall_back(inbox: Inbox) -> None:
    """Lose what was committed last, as a server does to which the last moments had not come."""
    with inbox._database.transaction() as connection:
        connection.execute("DELETE FROM entry")


def lose_the_lease(inbox: Inbox, postgres: PostgresServer) -> None:
    run_out(inbox)
    lease_of(inbox)._renew()


def lose_the_lease_and_get_its_number_again(inbox: Inbox, postgres: PostgresServer) -> None:
    number = lease_of(inbox).id
    with inbox._database.transaction() as connection:
        connection.execute("DELETE FROM replica WHERE id = ?", (number,))
        connection.execute(f"ALTER TABLE replica ALTER COLUMN id RESTART WITH {number}")
    lease_of(inbox)._renew()
    assert lease_of(inbox).id == number


def start_the_server_anew(inbox: Inbox, postgres: PostgresServer) -> None:
    postgres.stop()
    postgres.start()


WAYS = (lose_the_lease, lose_the_lease_and_get_its_number_again, start_the_server_anew)
Way = Callable[[Inbox, PostgresServer], None]


@pytest.mark.parametrize("way", WAYS)
def test_one_that_leads_again_takes_in_what_the_database_has_lost(
    inbox: Inbox, settings: Settings, postgres: PostgresServer, way: Way
) -> None:
    keeper = housekeeper(inbox, settings)
    keeper.tidy()
    store(inbox, mammogram(1))
    fall_back(inbox)
    keeper.tidy()
    # Within one life of the lease, on one server, nothing is looked for.
    assert states(inbox) == []
    way(inbox, postgres)
    keeper.tidy()
    assert states(inbox) == [("received", None)]
    fall_back(inbox)
    keeper.tidy()
    assert states(inbox) == []


def test_of_two_replicas_the_one_that_leads_then_takes_it_in(
    inbox: Inbox, other: Inbox, settings: Settings, postgres: PostgresServer
) -> None:
    keepers = [housekeeper(each, settings) for each in (inbox, other)]
    for keeper in keepers:
        keeper.tidy()
    store(other, mammogram(1))
    fall_back(inbox)
    lose_the_lease(other, postgres)
    for keeper in keepers:
        keeper.tidy()
    # The first leads on, with its lease and on the same server.
    assert states(inbox) == []
    lose_the_lease(inbox, postgres)
    keepers[1].tidy()
    assert states(inbox) == [("received", None)]


def test_a_recovery_that_fails_is_made_in_the_next_round(
    inbox: Inbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = housekeeper(inbox, settings)
    store(inbox, mammogram(1))
    fall_back(inbox)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(inbox, "recover", lambda _: (_ for _ in ()).throw(RuntimeError))
        keeper.tidy()
    keeper.tidy()
    assert states(inbox) == [("received", None)]
