"""Entering what arrived, and what an operator may see and do."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple

from service.inbox.columns import DELIVERY, ENTRY, delivery_of, entry_of
from service.inbox.database import Connection, Database
from service.inbox.dead_letter import start_anew
from service.inbox.known_instance import known_instance, revive
from service.inbox.result_rows import enter_results
from service.inbox.states import (
    DEAD,
    RECEIVED,
    REFUSED,
    SET_ASIDE,
    Arrival,
    Delivery,
    Entry,
    State,
    StoredResult,
)
from service.inbox.uid_conflict import uid_conflict

TELLING = """(entry.id IN (SELECT entry FROM untold) OR entry.id IN (SELECT result.entry FROM result
    JOIN delivery ON delivery.result = result.id WHERE delivery.state IN ('waiting', 'stored')))"""
"""Of an instance that is done with: the report on it is still to be made, or on its way."""

MAX_ASIDE = 100_000
"""Rows kept of what was set aside, and of what was refused: anybody may send such instances, they
take no space on the disk but this, some 50 MB, and nothing is lost by forgetting the oldest."""

PAGE = 100_000
"""Rows of one answer, where all are wanted."""

ALL = 2**62
"""A limit that limits nothing."""

REPLAY_STEP = 500
"""Dead letters in one transaction: a database has a bounded number of locks."""

ASIDE_STEP = 1000
"""Instances from one look at that to the next."""


def forget_aside(connection: Connection) -> None:
    """Forget the oldest beyond `MAX_ASIDE` of those with no files, within a transaction."""
    for state in (SET_ASIDE, REFUSED):
        connection.execute(
            f"""DELETE FROM entry WHERE state = ? AND size = 0 AND id <= (SELECT id FROM entry
            WHERE state = ? AND size = 0 ORDER BY id DESC LIMIT 1 OFFSET ?) AND NOT {TELLING}""",
            (state, state, MAX_ASIDE),
        )


class InstanceStore:
    """What came in, and where it stands.

    Parameters
    ----------
    database
        The inbox's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(
        self,
        arrivals: Sequence[Arrival],
        keep: Callable[[list[Arrival]], None],
        has_source: Callable[[str], bool] = lambda _: True,
    ) -> list[str | None]:
        """Enter instances, all or none; on return they are on the disk.

        An instance that came before, byte for byte, changes nothing; but its file is kept where
        the earlier one is still needed and gone, and it is processed though it was given up.
        One whose UID came before with another content is set aside, unless nothing was made of
        the earlier one.

        Parameters
        ----------
        arrivals
            What arrived.
        keep
            Gives the files of those that are to be processed their final names.
        has_source
            Says whether the file of a digest is there under its final name.

        Returns
        -------
        list
            For each arrival the code with which it is set aside, or None.
        """
        now = self._database.now()
        with self._database.transaction() as connection:
            self._database.lock_uids(connection, (each.sop_instance_uid for each in arrivals))
            codes: list[str | None] = []
            fresh: list[Arrival] = []
            for arrival in arrivals:
                known = known_instance(connection, arrival)
                if known is not None:
                    if not (arrival.aside or arrival in fresh or has_source(arrival.digest)):
                        known = revive(self._database, connection, arrival, known, now)
                        fresh += [arrival] if known.is_revived else []
                    codes.append(known.code if known.state == SET_ASIDE else None)
                    continue
                code = arrival.aside or uid_conflict(connection, arrival.sop_instance_uid)
                codes.append(code)
                if code is None:
                    fresh.append(arrival)
                self._insert(connection, arrival, code, now)
            keep(fresh)
        return codes

    def _insert(
        self, connection: Connection, arrival: Arrival, code: str | None, now: float
    ) -> int:
        state, size = (RECEIVED, arrival.size) if code is None else (SET_ASIDE, 0)
        id = self._database.insert(
            connection,
            """INSERT INTO entry (sop_class_uid, sop_instance_uid, study_instance_uid, digest,
            size, state, code, due, received, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (*astuple(arrival)[:4], size, state, code, now, time.time(), now),
        )
        if id % ASIDE_STEP == 0:
            forget_aside(connection)
        return id

    def bytes_held(self) -> int:
        """Return what the files of the database take on the disk."""
        (row,) = self._database.rows(
            """SELECT (SELECT coalesce(sum(size), 0) FROM entry WHERE size > 0)
            + (SELECT coalesce(sum(size), 0) FROM result WHERE size > 0)"""
        )
        return int(row[0])

    def digests_held(self) -> tuple[set[str], set[str]]:
        """Return the digests of the sources and of the results that are kept."""
        return self._digests("entry", "size > 0"), self._digests("result", "size > 0")

    def digests(self) -> tuple[set[str], set[str]]:
        """Return the digests of all sources and of all results, kept or not."""
        return self._digests("entry", "TRUE"), self._digests("result", "TRUE")

    def _digests(self, table: str, condition: str) -> set[str]:
        """Return the digests of a table, page by page: a database bounds how long it answers."""
        digests: set[str] = set()
        last, page = 0, f"SELECT id, digest FROM {table} WHERE {condition} AND id > ?"
        while rows := self._database.rows(f"{page} ORDER BY id LIMIT {PAGE}", (last,)):
            digests.update(digest for _, digest in rows)
            last = rows[-1][0]
        return digests

    def is_to_be_processed(self, uids: Iterable[str], has_source: Callable[[str], bool]) -> bool:
        """Say whether one of these instances waits to be processed, and its source is there."""
        return any(
            has_source(digest)
            for uid in uids
            for (digest,) in self._database.rows(
                "SELECT digest FROM entry WHERE sop_instance_uid = ? AND state = ?",
                (uid, RECEIVED),
            )
        )

    def enter_result(
        self, found: Arrival, result: StoredResult, destinations: Sequence[str]
    ) -> bool:
        """Enter a result whose instance is not known any more, and queue its delivery.

        It stands for itself: as an entry that is processed. False when it was entered before, or
        when another has its SOP Instance UID: no destination must get that with other contents.
        """
        now = self._database.now()
        with self._database.transaction() as connection:
            self._database.lock_uids(connection, [found.sop_instance_uid])
            if (
                known_instance(connection, found) is not None
                or connection.execute(
                    "SELECT 1 FROM result WHERE sop_instance_uid = ?", (result.sop_instance_uid,)
                ).fetchone()
            ):
                return False
            entry = self._insert(connection, found, None, now)
            enter_results(self._database, connection, entry, [result], destinations, now)
        return True

    def has_result(self, digest: str) -> bool:
        """Say whether a result of that digest was entered."""
        return bool(self._database.rows("SELECT 1 FROM result WHERE digest = ?", (digest,)))

    def counts(self) -> dict[str, int]:
        """Return how many instances are in each state."""
        rows = self._database.rows("SELECT state, count(*) FROM entry GROUP BY state")
        return {str(state): int(count) for state, count in rows}

    def delivery_counts(self) -> dict[tuple[str, str], int]:
        """Return how many results are at each (destination, state), but for those delivered."""
        rows = self._database.rows(
            """SELECT destination, state, count(*) FROM delivery
            WHERE state IN ('waiting', 'stored', 'dead') GROUP BY destination, state"""
        )
        return {(destination, state): count for destination, state, count in rows}

    def entries(self, state: State | None, limit: int) -> list[Entry]:
        """Return instances, the latest first."""
        which, parameters = ("", ()) if state is None else ("WHERE state = ?", (state,))
        rows = self._database.rows(
            f"SELECT {ENTRY} FROM entry {which} ORDER BY id DESC LIMIT ?", (*parameters, limit)
        )
        return [entry_of(row) for row in rows]

    def entry(self, id: int) -> Entry | None:
        """Return one instance."""
        rows = self._database.rows(f"SELECT {ENTRY} FROM entry WHERE id = ?", (id,))
        return entry_of(rows[0]) if rows else None

    def deliveries(self, entry: int) -> list[Delivery]:
        """Return the deliveries of an instance's results."""
        rows = self._database.rows(
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE result.entry = ? ORDER BY delivery.destination, result.kind""",
            (entry,),
        )
        return [delivery_of(row) for row in rows]

    def dead_deliveries(self, limit: int) -> list[Delivery]:
        """Return the deliveries that were given up, of instances that wait elsewhere, too."""
        rows = self._database.rows(
            f"""SELECT {DELIVERY} FROM delivery JOIN result ON result.id = delivery.result
            WHERE delivery.state = 'dead' ORDER BY result.entry DESC, delivery.id LIMIT ?""",
            (limit,),
        )
        return [delivery_of(row) for row in rows]

    def replay(self, ids: Sequence[int]) -> int:
        """Give dead letters a new start, all of them when `ids` is empty; returns their instances.

        One that was never processed is processed again; else the results that are there are sent
        again to the destinations that did not get them. So is a report that it was not analysed.
        One is set aside, and not counted, where its UID has come with another content since.
        """
        dead = {entry.id for entry in self.entries(DEAD, ALL)}
        dead |= {delivery.entry for delivery in self.dead_deliveries(ALL)}
        chosen = sorted(dead & set(ids) if ids else dead)
        return sum(
            self._replay(chosen[start : start + REPLAY_STEP])
            for start in range(0, len(chosen), REPLAY_STEP)
        )

    def _replay(self, ids: Sequence[int]) -> int:
        uid, now, replayed = (
            "SELECT sop_instance_uid FROM entry WHERE id = ?",
            self._database.now(),
            0,
        )
        with self._database.transaction() as connection:
            found = [row for id in ids for row in connection.execute(uid, (id,))]
            self._database.lock_uids(connection, (row[0] for row in found))
            for id in ids:
                self._database.lock_entry(connection, id)
                replayed += start_anew(connection, id, now)
        return replayed

    def purge(
        self, states: Sequence[State], older_s: float, ids: Sequence[int] = ()
    ) -> tuple[list[str], list[str]]:
        """Forget instances that have been in one of the states for so long, all or some of them.

        Of two clocks the earlier counts: one that is set forward forgets nothing before its time.
        One whose study is still to be told that it was not analysed is kept until that is done.
        Returns the digests of the sources and of the results that nothing names any more.
        """
        which = f"state IN ({_marks(states)}) AND changed <= ? AND NOT {TELLING}"
        parameters = (*states, self._database.earliest_now() - older_s, *ids)
        if ids:
            which += f" AND entry.id IN ({_marks(ids)})"
        with self._database.transaction() as connection:
            sources = connection.execute(f"SELECT digest FROM entry WHERE {which}", parameters)
            gone = [row[0] for row in sources]
            # The same bytes may be another instance's result, too, and not be delivered yet.
            results = connection.execute(
                f"""SELECT DISTINCT digest FROM result AS gone
                WHERE entry IN (SELECT id FROM entry WHERE {which})
                AND NOT EXISTS (SELECT 1 FROM result AS kept WHERE kept.digest = gone.digest
                    AND size > 0 AND entry NOT IN (SELECT id FROM entry WHERE {which}))""",
                (*parameters, *parameters),
            )
            digests = [row[0] for row in results]
            connection.execute(f"DELETE FROM entry WHERE {which}", parameters)
        return gone, digests


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
