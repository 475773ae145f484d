"""The alerts of `oopswatch run`: a dispatcher, the watchdog of the input, their figures.

In: settings, catalogue, journal. Out: a running dispatcher, woken after each batch, and incidents
about the input itself.
"""

from __future__ import annotations

import platform
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from detector import telemetry
from detector.alert.dispatcher import Dispatcher, Duties
from detector.alert.notice import SendOutcome
from detector.alert.notifier import Notifier, Timing
from detector.alert.plan import Handout
from detector.alert.routing import Routing
from detector.alert.routing_file import RoutingError, load_routing
from detector.alert.stages import Windows
from detector.alert.subject import NoticeBuilder
from detector.alert.watchdog import RULES, Watchdog, keep
from detector.app import build
from detector.app.known import known_bugs
from detector.catalogue import Catalogue
from detector.clock import SECOND_US, now_us
from detector.errors import UserError
from detector.settings import Settings
from detector.store import Journal
from detector.store.alerts import open_alert_store
from detector.store.query.problem_names import ProblemNames

# The least time between two updates about a group where outbreaks are told of.
_OUTBREAK_S = 3_600
# Incidents without a report are held together by their rule alone: a storm has many in a moment.
_KINDLESS_US = 150 * SECOND_US
_UPKEEP_US = 5 * SECOND_US
# So long the pipeline may be about one batch before it does not live: the heartbeat stops.
_ALIVE_US = 120 * SECOND_US


@dataclass(slots=True)
class Alerts:
    """The alerts of one run: `batch` is called after each batch, from the thread of the
    pipeline.
    """

    dispatcher: Dispatcher
    watchdog: Watchdog
    journal: Journal
    beat: list[int]
    host: str
    routing: Routing

    def start(self) -> None:
        """Begins to tell people, and says whom, or that nobody is told."""
        if self.routing.path:
            counts = {"receivers": len(self.routing.receivers), "routes": len(self.routing.routes)}
            telemetry.say("routing_loaded", file=self.routing.path, **counts)
        else:
            telemetry.say("no_routing")
        self.dispatcher.start()

    def batch(self, records: int, lag: int) -> None:
        """A batch is committed: the input is judged, the dispatcher looks what is new."""
        now = now_us()
        self.beat[0] = now
        for alarm in self.watchdog.observe(now, records, lag):
            if keep(self.journal, alarm, self.host, now):
                telemetry.say("input_alarm", kind=alarm.kind, over=alarm.over, text=alarm.text)
        self.dispatcher.wake()


def alerts_of(settings: Settings, catalogue: Catalogue, journal: Journal) -> Alerts:
    """Makes the alerts as the settings say, not yet started.
    A routing file that is bad at the start is an error.
    """
    routing = routing_of(settings)
    beat = [now_us()]
    duties = Duties(
        open=lambda current: _notifier(settings, catalogue, current),
        routing=lambda: (
            Routing() if settings.alert.file is None else load_routing(settings.alert.file)
        ),
        upkeep=_upkeep(settings, catalogue),
        alive=lambda now: now - beat[0] < _ALIVE_US,
        heartbeat_s=settings.alert.heartbeat_s,
        clock=now_us,
        tell=_on_event,
    )
    alert = settings.alert
    watchdog = Watchdog(alert.silent_s, alert.lag_records, alert.lag_s)
    return Alerts(
        Dispatcher(routing, duties),
        watchdog,
        journal,
        beat,
        platform.node() or "localhost",
        routing,
    )


def routing_of(settings: Settings) -> Routing:
    """Reads the routing file of the settings; without one, a routing that notifies nobody.
    Raises `UserError` with all that is wrong.
    """
    if settings.alert.file is None:
        return Routing()
    try:
        return load_routing(settings.alert.file)
    except RoutingError as error:
        raise UserError(str(error)) from error


def timing_of(settings: Settings) -> Timing:
    """The notifier's times."""
    alert = settings.alert
    give_up = alert.give_up_s * SECOND_US
    windows = Windows(
        alert.group_window_s * SECOND_US,
        min(_KINDLESS_US, alert.group_window_s * SECOND_US),
        give_up,
    )
    # An outbreak tells of further hosts as it grows, so that a group need not tell of each.
    interval_s = max(alert.group_interval_s, _OUTBREAK_S if settings.rules.outbreaks else 0)
    return Timing(alert.settle_ms * 1_000, interval_s * SECOND_US, give_up, windows)


def _notifier(settings: Settings, catalogue: Catalogue, routing: Routing) -> Notifier:
    known = known_bugs(settings, lambda: catalogue, _known_fault)
    store = open_alert_store(str(settings.store.path), ProblemNames(known))
    builder = NoticeBuilder(store.history(), catalogue, settings.alert.base_url.rstrip("/"))
    return Notifier(
        store, routing, builder, timing_of(settings), random.random, _on_event, _on_attempt
    )


def _upkeep(settings: Settings, catalogue: Catalogue) -> Callable[[Notifier, int], None]:
    """Every few seconds: incidents that are quiet for long, or whose host was rebooted, are
    resolved.
    """
    accepting = [rule.id for rule in catalogue.rules if rule.resolve_on_reboot]
    quiet_us, tolerance = settings.alert.quiet_s * SECOND_US, build.tolerance_us(settings)
    last = 0

    def upkeep(notifier: Notifier, now_us: int) -> None:
        nonlocal last
        if now_us - last < _UPKEEP_US:
            return
        last = now_us
        for receiver, count in _waiting(notifier).items():
            telemetry.ALERTS_WAITING.labels(receiver).set(count)
        notifier.store.auto_resolve(now_us, quiet_us, RULES, accepting, tolerance)

    return upkeep


def _waiting(notifier: Notifier) -> dict[str, int]:
    return dict.fromkeys(notifier.routing.receivers, 0) | notifier.store.waiting_by_receiver()


def _known_fault(text: str) -> None:
    telemetry.say("known_index_refused", fault=text)


def _on_event(event: str, fields: dict[str, Any]) -> None:
    if event == "alert_undelivered":
        telemetry.ALERTS_UNDELIVERED.labels(fields["receiver"]).inc()
    telemetry.say(event, **fields)


def _on_attempt(handout: Handout, outcome: SendOutcome, now_us: int) -> None:
    telemetry.ALERTS.labels(handout.receiver.name, outcome.verdict).inc()
    if outcome.verdict == "delivered" and handout.delivery_id is not None:
        telemetry.ALERT_SECONDS.observe(max(0, now_us - handout.planned_us) / SECOND_US)
