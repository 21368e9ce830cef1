"""Keeps house in an inbox: recovers, forgets, sweeps, and shows how things stand."""

import time
from collections.abc import Hashable, Sequence

import structlog

from service.inbox.gauges import InboxGauges
from service.inbox.inbox import Inbox
from service.inbox.marker import FolderFails
from service.inbox.states import FINISHED
from service.settings import Settings

log = structlog.get_logger("mammoseg")

TIDY_S = 3600.0


class Housekeeper:
    """Keeps house where one service works on the inbox, or where this replica leads.

    Parameters
    ----------
    inbox
        Whose house.
    settings
        The service's.
    names
        Of the destinations.
    gauges
        Shown by whoever keeps house.
    """

    def __init__(
        self, inbox: Inbox, settings: Settings, names: Sequence[str], gauges: InboxGauges
    ) -> None:
        self._inbox, self._settings = inbox, settings
        self._names, self._gauges = list(names), gauges
        self._tidied = 0.0
        # As of the lease, while this replica leads.
        self._era: Hashable = None

    def recover(self) -> None:
        """Enter what the database has lost; before rows of it are worked on, or beside others."""
        self._inbox.hold()
        self._inbox.bound_waits(self._settings.retry_longest_s)
        self._inbox.recover(self._names)

    def tidy(self) -> None:
        """Forget what is old, delete what crashes left, and show how things stand.

        Raises
        ------
        FolderFails
            The folder is away here: another replica, which may have it, is to keep house.
        """
        try:
            self._inbox.files.check()
        except FolderFails:
            self._resign()
            raise
        if not self._leads():
            return
        if time.monotonic() - self._tidied > TIDY_S or not self._tidied:
            self._forget()
            self._tidied = time.monotonic()
        self._gauges.show()

    def _resign(self) -> None:
        lease = self._inbox.lease
        if lease is None or self._era is None:
            return
        lease.resign()
        self._follow()

    def _follow(self) -> None:
        """Leave it to another replica."""
        # What the others show counts: of all replicas' gauges the sum is right, and the most.
        log.info("inbox-follows")
        self._tidied, self._era = 0.0, None
        self._gauges.clear()

    def _leads(self) -> bool:
        """Say whether to keep house; a replica that begins to recovers first.

        So does one that goes on after the database may have lost what it had committed.
        """
        lease = self._inbox.lease
        if lease is None:
            return True
        # Asked first: what is lost after this is seen in the next round.
        era, kept = lease.era(), self._era
        leads = lease.lead()
        if leads and era != kept:
            log.info("inbox-leads")
            self.recover()
        elif kept is not None and not leads:
            self._follow()
        self._era = era if leads else None
        return leads

    def _forget(self) -> None:
        lease = self._inbox.lease
        others = set() if lease is None else lease.destinations()
        self._inbox.deliveries.bury_unknown(others.union(self._names))
        self._inbox.purge(FINISHED, self._settings.inbox_keep_days * 86_400)
        self._inbox.sweep()
