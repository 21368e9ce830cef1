"""Which results a destination was asked to commit itself to, and what it answered (PS3.4 annex J).

A request is on the disk before it is sent, and a report before it is answered, by whichever process
took it: so neither a crash nor a report that comes first loses any.
"""

from collections.abc import Sequence

from service.destinations.destination import CommitmentReport
from service.inbox.columns import DELIVERY, delivery_of
from service.inbox.database import Database
from service.inbox.states import Delivery

COMMITTED = "committed"
UNANSWERED = "unanswered"
"""Outcomes of a request for one result; further ones are codes of failures."""

TIMED_OUT = "commitment-timeout"
"""Code of a result for which no report came in time."""


class CommitmentQueue:
    """Requests for storage commitment, one row for each result that a request names.

    Parameters
    ----------
    database
        The inbox's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def unasked(self, destination: str, limit: int) -> list[Delivery]:
        """Claim results that a destination has and is to be asked for now, oldest first."""
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'stored' AND destination = ? AND due <= ? AND NOT EXISTS
            (SELECT 1 FROM commitment WHERE commitment.delivery = delivery.id
            AND (outcome IS NULL OR outcome = ?))
            AND {self._database.free("delivery")} ORDER BY delivery.id LIMIT ?""",
            # A commitment that came since `reported` was asked is seen to in the next round.
            (destination, self._database.now(), COMMITTED, limit),
        )
        return [delivery_of(row) for row in rows]

    def begin(self, transaction_uid: str, deliveries: Sequence[Delivery], answer_s: float) -> None:
        """Enter a request before it is sent, and how long its report may take."""
        due = self._database.now() + answer_s
        with self._database.transaction() as connection:
            for delivery in deliveries:
                self._database.check(connection, "delivery", delivery.id)
            connection.executemany(
                "INSERT INTO commitment (delivery, transaction_uid, due) VALUES (?, ?, ?)",
                [(delivery.id, transaction_uid, due) for delivery in deliveries],
            )

    def begun(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of results that were asked for: their report may come to another replica."""
        if self._database.lease is not None:
            with self._database.transaction() as connection:
                for delivery in deliveries:
                    self._database.release(connection, "delivery", delivery.id)

    def report(self, report: CommitmentReport) -> int:
        """Enter a report; returns of how many results that were asked for under its UID."""
        outcomes = dict.fromkeys(report.committed, COMMITTED) | {
            uid: f"commitment-{reason:04x}" for uid, reason in report.failed.items()
        }
        with self._database.transaction() as connection:
            return sum(
                connection.execute(
                    """UPDATE commitment SET outcome = ? WHERE transaction_uid = ? AND delivery IN
                    (SELECT delivery.id FROM delivery JOIN result ON result.id = delivery.result
                    WHERE result.sop_instance_uid = ?)""",
                    (outcome, report.transaction_uid, uid),
                ).rowcount
                for uid, outcome in outcomes.items()
            )

    def reported(self, destination: str) -> list[tuple[Delivery, str]]:
        """Claim what a destination said of results that wait for it.

        A commitment counts by whichever request it came, a failure by the last one alone.
        """
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY}, outcome FROM commitment
            JOIN delivery ON delivery.id = commitment.delivery
            JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'stored' AND destination = ? AND (outcome = ?
            OR (outcome <> ? AND commitment.id = (SELECT max(id) FROM commitment AS later
            WHERE later.delivery = delivery.id)))
            AND {self._database.free("delivery")} ORDER BY commitment.id""",
            (destination, COMMITTED, UNANSWERED),
        )
        # Of several for one result the last stands.
        said = [(delivery_of(row[:-1]), str(row[-1])) for row in rows]
        return list({delivery.id: (delivery, outcome) for delivery, outcome in said}.values())

    def overdue(self, destination: str, longest_s: float) -> list[Delivery]:
        """Claim results whose report did not come in time.

        None is waited for longer than `longest_s` from now: the clock may have been ahead.
        """
        now = self._database.now()
        rows = self._database.claim(
            "delivery",
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'stored' AND destination = ?
            AND {self._database.free("delivery")} AND EXISTS (SELECT 1 FROM commitment
            WHERE commitment.delivery = delivery.id AND outcome IS NULL
            AND NOT due BETWEEN ? AND ?)""",
            (destination, now, now + longest_s),
        )
        return [delivery_of(row) for row in rows]

    def ask_again(self, delivery: Delivery, code: str, delay_s: float) -> None:
        """Enter that a request came to nothing, and when the next may be made.

        A report that still comes counts.
        """
        with self._database.transaction() as connection:
            self._database.release(connection, "delivery", delivery.id)
            connection.execute(
                "UPDATE delivery SET attempts = attempts + 1, code = ?, due = ? WHERE id = ?",
                (code, self._database.now() + delay_s, delivery.id),
            )
            connection.execute(
                "UPDATE commitment SET outcome = ? WHERE delivery = ? AND outcome IS NULL",
                (UNANSWERED, delivery.id),
            )
