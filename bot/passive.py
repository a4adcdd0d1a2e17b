"""Marks deliveries that left as a webhook's response; in batches, since each is only a late note of what happened."""

from __future__ import annotations

import logging
import threading

from bot import clock, outbox
from bot.database import Database
from bot.trace import trace

log = logging.getLogger(__name__)
INTERVAL = 0.2  # seconds between batches
LONGEST_PAUSE = 30.0  # seconds between attempts while the database refuses


class PassiveMarker:
    """Collects delivery ids and marks them sent every INTERVAL seconds, from one thread per process.

    If the process dies before a batch is written, the lease of its deliveries runs out and the outbox deals with them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: list[int] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def sent(self, delivery_id: int | None) -> None:
        """The response that carries this delivery has been handed to the network."""
        if delivery_id is None:
            return
        with self._lock:
            self._ids.append(delivery_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="passive-marker", daemon=True)
                self._thread.start()
        self._wake.set()

    def flush(self) -> None:
        """Write what has been collected; what cannot be written now is kept."""
        with self._lock:
            ids, self._ids = self._ids, []
        if not ids:
            return
        try:
            with self._database.transaction() as session:
                outbox.mark_passive_sent(session, ids, clock.now())
        except Exception:
            with self._lock:
                self._ids = ids + self._ids  # with the next batch; a lease that runs out would tell them twice
            raise

    def _run(self) -> None:
        pause, seconds = threading.Event(), INTERVAL
        while True:
            self._wake.wait()
            self._wake.clear()
            pause.wait(seconds)
            try:
                self.flush()
                seconds = INTERVAL
            except Exception as error:
                log.error("Passive replies could not be marked as sent, trying again: %s", trace(error))
                seconds = min(seconds * 2, LONGEST_PAUSE)
                self._wake.set()
