"""What is to be delivered: which result is next for a destination, and what came of it."""

from collections.abc import Collection, Sequence

from service.inbox.columns import DELIVERY, delivery_of
from service.inbox.database import Connection, Database
from service.inbox.states import DEAD, DELIVERED, PROCESSED, Delivery

NO_DESTINATION = "destination-unknown"
"""Code of what was queued for a destination that is not configured any more."""


def forget_commitments(connection: Connection, delivery: int) -> None:
    """Forget what was asked for a delivery, within a transaction: it ends, or starts anew."""
    connection.execute("DELETE FROM commitment WHERE delivery = ?", (delivery,))


class DeliveryQueue:
    """Results that are to be delivered.

    Parameters
    ----------
    database
        The inbox's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, destination: str) -> Delivery | None:
        """Claim the delivery to a destination that was queued first of those whose time has come.

        The first attempt's has come whatever the clock, which may be set back, says of `due`.
        """
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'waiting' AND destination = ?
            AND (due <= ? OR delivery.attempts = 0) AND {self._database.free("delivery")}
            ORDER BY delivery.id LIMIT 1""",
            (destination, self._database.now()),
        )
        return delivery_of(rows[0]) if rows else None

    def check(self, delivery: Delivery) -> None:
        """Say, before it is sent, that it is still ours.

        Raises
        ------
        LeaseLost
            It is another replica's by now.
        """
        if self._database.lease is not None:
            with self._database.transaction() as connection:
                self._database.check(connection, "delivery", delivery.id)

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of what was claimed and could not be read; nothing else of it changes."""
        if self._database.lease is not None:
            with self._database.transaction() as connection:
                for delivery in deliveries:
                    self._database.release(connection, "delivery", delivery.id)

    def oldest_s(self) -> dict[str, float]:
        """Return, by destination, how long its oldest result has waited, in seconds.

        For its commitment, too, where that is asked for.
        """
        now = self._database.now()
        rows = self._database.rows(
            """SELECT destination, min(entry.changed) FROM delivery
            JOIN result ON result.id = delivery.result JOIN entry ON entry.id = result.entry
            WHERE delivery.state IN ('waiting', 'stored') GROUP BY destination"""
        )
        return {destination: max(0.0, now - changed) for destination, changed in rows}

    def delivered(self, delivery: Delivery) -> bool:
        """Enter that the destination has the result; True when all of the instance's are there."""
        return self._end(delivery, "delivered", None)

    def dead(self, delivery: Delivery, code: str) -> None:
        """Enter that no further attempt is made."""
        self._end(delivery, "dead", code)

    def failed(self, delivery: Delivery, code: str, delay_s: float) -> None:
        """Enter that an attempt failed, and when the next may be made: the result is sent again."""
        with self._database.transaction() as connection:
            self._database.release(connection, "delivery", delivery.id)
            connection.execute(
                """UPDATE delivery SET attempts = attempts + 1, state = 'waiting', code = ?, due = ?
                WHERE id = ?""",
                (code, self._database.now() + delay_s, delivery.id),
            )
            forget_commitments(connection, delivery.id)

    def stored(self, delivery: Delivery) -> None:
        """Enter that the destination has the result, and is to be asked to commit itself to it."""
        with self._database.transaction() as connection:
            self._database.release(connection, "delivery", delivery.id)
            connection.execute(
                "UPDATE delivery SET state = 'stored', code = NULL, due = ? WHERE id = ?",
                (self._database.now(), delivery.id),
            )

    def all_stored(self, destination: str) -> list[Delivery]:
        """Claim what a destination has and has not committed itself to."""
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'stored' AND destination = ?
            AND {self._database.free("delivery")} ORDER BY delivery.id""",
            (destination,),
        )
        return [delivery_of(row) for row in rows]

    def results_gone(self, entry: int) -> list[str]:
        """Enter that an instance's results take no space any more; returns their digests.

        Of those that are delivered everywhere, since others may have been queued meanwhile; and
        without files that another instance's result has, too.
        """
        done = (
            """entry = ? AND id NOT IN (SELECT result FROM delivery WHERE state != 'delivered')"""
        )
        with self._database.transaction() as connection:
            connection.execute(f"UPDATE result SET size = 0 WHERE {done}", (entry,))
            gone = connection.execute(
                f"""SELECT digest FROM result WHERE {done}
                AND digest NOT IN (SELECT digest FROM result WHERE size > 0)""",
                (entry,),
            )
            return [row[0] for row in gone]

    def bury_unknown(self, destinations: Collection[str]) -> int:
        """Give up what waits for other destinations; returns the number of deliveries."""
        names = [*destinations]
        marks = ", ".join("?" * len(names)) or "NULL"
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state IN ('waiting', 'stored') AND destination NOT IN ({marks})
            AND {self._database.free("delivery")}""",
            names,
        )
        orphans = [delivery_of(row) for row in rows]
        for delivery in orphans:
            self._end(delivery, "dead", NO_DESTINATION)
        return len(orphans)

    def _end(self, delivery: Delivery, state: str, code: str | None) -> bool:
        with self._database.transaction() as connection:
            self._database.release(connection, "delivery", delivery.id)
            self._database.lock_entry(connection, delivery.entry)
            connection.execute(
                "UPDATE delivery SET attempts = attempts + 1, state = ?, code = ? WHERE id = ?",
                (state, code, delivery.id),
            )
            forget_commitments(connection, delivery.id)
            return self._settle(connection, delivery.entry)

    def _settle(self, connection: Connection, entry: int) -> bool:
        """Let the instance's state follow from those of its deliveries."""
        open_, dead, code = connection.execute(
            """SELECT count(CASE WHEN delivery.state IN ('waiting', 'stored') THEN 1 END),
            count(CASE WHEN delivery.state = 'dead' THEN 1 END),
            max(CASE WHEN delivery.state = 'dead' THEN delivery.code END)
            FROM delivery JOIN result ON result.id = delivery.result WHERE result.entry = ?""",
            (entry,),
        ).fetchone()
        if open_:
            return False
        connection.execute(
            "UPDATE entry SET state = ?, code = ?, changed = ? WHERE id = ? AND state = ?",
            (DEAD if dead else DELIVERED, code, self._database.now(), entry, PROCESSED),
        )
        return not dead
