"""The dispatcher: a thread that turns the notifier, and one thread for each receiver, so
that a slow one delays no other.

In: a way to open the notifier, `wake` after every commit. Out: notices at receivers. Changes that
other processes make (`incidents ack`) are seen within half a second. What the history's disk
refuses is told and tried again; a receiver's thread that hangs is left at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread

from detector.alert.notice import Alive, Notice, Sender, SendOutcome
from detector.alert.notifier import Notifier, NotifierLog
from detector.alert.plan import Handout
from detector.alert.routing import Routing
from detector.alert.routing_file import RoutingError
from detector.clock import SECOND_US
from detector.store import StoreError

_LOOK_S = 0.5
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class _SendResult:
    handout: Handout
    outcome: SendOutcome


@dataclass(frozen=True, slots=True)
class _Word:
    """A request to the dispatcher's thread."""

    reload: bool = False


@dataclass(frozen=True, slots=True)
class Duties:
    """Parts that the dispatcher works with.

    `upkeep` ends incidents; `alive` says whether the pipeline lives, which is then told every
    `heartbeat_s`; `routing` reads the routing file, or raises `RoutingError`.
    """

    open: Callable[[Routing], Notifier]
    routing: Callable[[], Routing]
    upkeep: Callable[[Notifier, int], None]
    alive: Callable[[int], bool]
    heartbeat_s: float
    clock: Callable[[], int]
    tell: NotifierLog


class Dispatcher:
    """Begins with `start`, ends with `stop`; `wake` and `reload` may be called from any thread
    and from a signal handler.
    """

    def __init__(self, routing: Routing, duties: Duties) -> None:
        self._routing = routing
        self._duties = duties
        self._inbox: SimpleQueue[_SendResult | _Word] = SimpleQueue()
        self._lanes: dict[
            str, SimpleQueue[tuple[Callable[[], SendOutcome], Handout | None] | None]
        ] = {}
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="alerts", daemon=True)
        self._under_way = 0
        self._heartbeat_us = 0

    def start(self) -> None:
        """Begins to follow the history."""
        self._thread.start()

    def wake(self) -> None:
        """Wakes the thread: something was committed."""
        self._inbox.put(_Word())

    def reload(self) -> None:
        """The routing file is to be read again; where it is bad the old one stays."""
        self._inbox.put(_Word(reload=True))

    def stop(self, patience_s: float = 3.0) -> None:
        """Ends when attempts under way have their answer, or after `patience_s`: what has none is
        sent again by the next start.
        """
        self._stopping.set()
        self.wake()
        self._thread.join(patience_s)
        for lane in self._lanes.values():
            lane.put(None)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except StoreError as error:
                self._duties.tell("alerts_halted", {"error": str(error)})
                self._stopping.wait(_AGAIN_S)

    def _follow(self) -> None:
        notifier = self._duties.open(self._routing)
        self._under_way = 0
        try:
            notifier.begin(self._duties.clock())
            while not self._stopping.is_set() or self._under_way:
                self._turn(notifier)
        finally:
            notifier.store.close()

    def _turn(self, notifier: Notifier) -> None:
        answers = [
            (word.handout, word.outcome)
            for word in self._words(notifier)
            if isinstance(word, _SendResult)
        ]
        self._under_way = max(0, self._under_way - len(answers))
        now = self._duties.clock()
        stopping = self._stopping.is_set()
        if not stopping:
            self._duties.upkeep(notifier, now)
            self._beat(now)
        for handout in notifier.turn(now, answers, hand_out=not stopping):
            self._under_way += 1
            sender, notice = handout.receiver.sender, handout.notice
            self._lane(handout.receiver.name).put(
                (_attempt(sender, notice, self._duties.clock), handout)
            )

    def _words(self, notifier: Notifier) -> list[_SendResult | _Word]:
        """Waits for a word, or until something is due; takes all that are there."""
        now = self._duties.clock()
        due = notifier.next_us(now)
        wait_s = _LOOK_S if due is None else min(_LOOK_S, max(0.0, (due - now) / SECOND_US))
        words: list[_SendResult | _Word] = []
        try:
            words.append(self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait())
            while True:
                words.append(self._inbox.get_nowait())
        except Empty:
            pass
        if any(isinstance(word, _Word) and word.reload for word in words):
            self._reload(notifier)
        return words

    def _reload(self, notifier: Notifier) -> None:
        try:
            self._routing = notifier.routing = self._duties.routing()
        except RoutingError as error:
            self._duties.tell("routing_refused", {"faults": [str(fault) for fault in error.faults]})
        else:
            counts = {
                "receivers": len(self._routing.receivers),
                "routes": len(self._routing.routes),
            }
            self._duties.tell("routing_loaded", {"file": self._routing.path, **counts})

    def _beat(self, now_us: int) -> None:
        """Tells the receivers that expect it that we live; no answer is waited for."""
        receivers = [item for item in self._routing.receivers.values() if item.heartbeat]
        if not receivers or now_us < self._heartbeat_us:
            return
        self._heartbeat_us = now_us + int(self._duties.heartbeat_s * SECOND_US)
        if not self._duties.alive(now_us):
            return
        for receiver in receivers:
            if isinstance(receiver.sender, Alive):
                self._lane(f"{receiver.name} heartbeat").put(
                    (partial(receiver.sender.heartbeat, now_us), None)
                )

    def _lane(
        self, name: str
    ) -> SimpleQueue[tuple[Callable[[], SendOutcome], Handout | None] | None]:
        if name not in self._lanes:
            self._lanes[name] = SimpleQueue()
            Thread(
                target=self._work,
                args=(name, self._lanes[name]),
                name=f"alerts to {name}",
                daemon=True,
            ).start()
        return self._lanes[name]

    def _work(
        self, name: str, lane: SimpleQueue[tuple[Callable[[], SendOutcome], Handout | None] | None]
    ) -> None:
        """One receiver's thread: one attempt after the other."""
        while (task := lane.get()) is not None:
            attempt, handout = task
            outcome = attempt()
            if handout is not None:
                self._inbox.put(_SendResult(handout, outcome))
            elif outcome.verdict != "delivered":
                self._duties.tell(
                    "heartbeat_failed",
                    {"receiver": name.removesuffix(" heartbeat"), "detail": outcome.detail},
                )


def _attempt(sender: Sender, notice: Notice, clock: Callable[[], int]) -> Callable[[], SendOutcome]:
    """One attempt, ready to be made; a sender that raises, which it must not, has no answer."""

    def attempt() -> SendOutcome:
        try:
            return sender.send(notice, clock())
        except Exception as error:  # noqa: BLE001
            return SendOutcome("unknown", f"{type(error).__name__}: {error}")

    return attempt
