"""Declares every log event of oopswatch: its level, meaning and fields."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One declared log event: how loud it is, what it says, with which fields."""

    level: int
    meaning: str
    fields: tuple[str, ...] = ()


EVENTS: Mapping[str, Event] = {
    "started": Event(
        logging.INFO, "reading begins", ("version", "source", "store", "signatures", "rules")
    ),
    "failed": Event(
        logging.ERROR,
        "what is wrong, and what to do: the service did not begin or ends",
        ("error",),
    ),
    "fault": Event(
        logging.ERROR,
        "a fault of oopswatch itself: please report it",
        ("error", "thread", "traceback"),
    ),
    "stopped": Event(
        logging.INFO,
        "what was read is stored and committed",
        ("reason", "records", "matches", "incidents", "noise", "cut_lines", "lost", "skipped"),
    ),
    "incident_raised": Event(
        logging.WARNING, "a rule raised an incident", ("id", "rule", "severity", "host", "title")
    ),
    "history_kept": Event(
        logging.INFO, "what was too old was removed, old hours were folded into days", ("rows",)
    ),
    "keeping_failed": Event(
        logging.ERROR, "what is too old cannot be removed now; it is tried again", ("reason",)
    ),
    "no_routing": Event(logging.WARNING, "nobody is told of incidents: alert.file is not set", ()),
    "routing_loaded": Event(
        logging.INFO, "who is told of incidents was read", ("file", "receivers", "routes")
    ),
    "routing_refused": Event(
        logging.ERROR, "the routing file is bad; the one before it holds", ("faults",)
    ),
    "receiver_failing": Event(
        logging.WARNING,
        "a receiver does not take messages; they are kept",
        ("receiver", "verdict", "detail"),
    ),
    "receiver_back": Event(
        logging.INFO, "a receiver takes messages again", ("receiver", "failures")
    ),
    "alert_refused": Event(
        logging.ERROR, "a receiver will never take this message", ("receiver", "delivery", "detail")
    ),
    "alert_undelivered": Event(
        logging.ERROR, "a message was given up: nobody took it", ("receiver", "delivery", "detail")
    ),
    "alerts_repeated": Event(
        logging.WARNING,
        "messages that were under way at the last stop may arrive twice",
        ("messages",),
    ),
    "alerts_halted": Event(
        logging.ERROR, "the outbox cannot be written; it is tried again", ("error",)
    ),
    "heartbeat_failed": Event(
        logging.WARNING, "a receiver did not hear that oopswatch lives", ("receiver", "detail")
    ),
    "known_index_refused": Event(
        logging.WARNING,
        "an index of known bugs is of no use; the next one is taken, or none",
        ("fault",),
    ),
    "symbols_pack_refused": Event(
        logging.WARNING,
        "a symbols pack is damaged: no member is named by it until it is made anew",
        ("fault",),
    ),
    "input_alarm": Event(
        logging.ERROR, "something is wrong with the input, or no longer", ("kind", "over", "text")
    ),
    "broker_away": Event(
        logging.WARNING, "no broker answers; it is tried again", ("servers", "error", "retry_s")
    ),
    "broker_back": Event(logging.INFO, "brokers answer again", ("servers", "away_s")),
    "rebalance": Event(
        logging.INFO, "the group shared the partitions out anew", ("revoked", "assigned")
    ),
    "kafka_client_changed": Event(
        logging.WARNING,
        "not the kafka-python that fetches were written for: its own way is slower",
        ("version", "changed"),
    ),
    "position_out_of_range": Event(
        logging.WARNING,
        "records were deleted before they were read",
        ("partition", "position", "beginning"),
    ),
    "topic_recreated": Event(
        logging.WARNING,
        "a topic was deleted and made anew: all that it holds is read",
        ("partition", "before", "position"),
    ),
    "topic_gone": Event(
        logging.WARNING, "a topic was deleted; it is read when it is there again", ("topic",)
    ),
    "history_set_back": Event(
        logging.WARNING,
        "the group is ahead of this history (cause says why): what is missing is read again",
        ("partition", "before", "position", "cause"),
    ),
    "history_fresh": Event(
        logging.WARNING,
        "the group has read on, and this history is new: what Kafka still holds is read again",
        ("partition", "before", "position"),
    ),
    "begins_late": Event(
        logging.INFO,
        "nobody has read this partition, and Kafka has deleted its first records already: by "
        "retention, which goes by the stamps that senders set (message.timestamp.type=CreateTime)",
        ("partition", "before", "position"),
    ),
    "history_elsewhere": Event(
        logging.INFO,
        "what comes before was read by another member, and is in its history",
        ("partition", "before", "position"),
    ),
    "position_set": Event(
        logging.INFO,
        "a person set the position: noise that is counted is not counted again",
        ("partition", "before", "position"),
    ),
    "log_truncated": Event(
        logging.ERROR,
        "Kafka lost the end of what was read: what it holds is read again",
        ("partition", "before", "position"),
    ),
    "partition_stopped": Event(
        logging.ERROR,
        "a batch cannot be read, twice: the partition stands still there, and is tried each minute",
        ("partition", "offset", "error"),
    ),
    "partition_resumed": Event(
        logging.INFO, "what could not be read can be read, or is gone", ("partition",)
    ),
    "batch_skipped": Event(
        logging.ERROR,
        "a batch cannot be read, twice: the offsets from offset to following were passed over",
        ("partition", "offset", "following", "error"),
    ),
    "ownership_lost": Event(
        logging.WARNING,
        "the group may have given the partitions away: what was read is dropped, not stored",
        ("error",),
    ),
    "detecting": Event(
        logging.INFO,
        "the first of two stages begins",
        ("version", "source", "findings", "counts", "member", "signatures"),
    ),
    "incidents_topic_failed": Event(
        logging.ERROR,
        "incidents could not be written to fleet.incidents_topic; it is tried again",
        ("topic", "error"),
    ),
    "acts_topic_failed": Event(
        logging.ERROR,
        "acts of people could not be written to fleet.acts_topic; it is tried again",
        ("topic", "error"),
    ),
    "findings_refused": Event(
        logging.WARNING,
        "a transaction was refused, or not answered: what was in hand is dropped, and read again",
        ("error",),
    ),
    "signature_switched_off": Event(
        logging.ERROR,
        "its regex timed out too often: it sees nothing until a restart",
        ("signature", "strikes"),
    ),
    "listening": Event(
        logging.INFO, "netconsole's datagrams are taken", ("port", "topic", "names")
    ),
    "datagrams_lost": Event(
        logging.ERROR,
        "datagrams of netconsole did not get into Kafka, so many since this was logged last; once "
        "a minute",
        ("reason", "number"),
    ),
    "listen_stopped": Event(
        logging.INFO, "what came is in Kafka, or was counted as lost", ("reason", "sent", "lost")
    ),
    "serving": Event(
        logging.INFO, "pages and API answer", ("url", "address", "port", "tls", "access")
    ),
    "logged_in": Event(logging.INFO, "a browser was given a session", ("who", "address")),
    "acted": Event(
        logging.INFO,
        "somebody asked for a change of an incident, a problem or a silence",
        ("who", "via", "method", "path", "status"),
    ),
    "queried": Event(
        logging.INFO, "somebody asked through the SQL door", ("who", "rows", "ms", "sql")
    ),
    "access_refused": Event(
        logging.WARNING, "a request was refused", ("reason", "who", "address", "method", "path")
    ),
    "no_more_files": Event(
        logging.ERROR,
        "no connection can be taken: raise the limit of open files (LimitNOFILE); once a minute",
        ("error",),
    ),
    "serve_fault": Event(
        logging.ERROR, "a fault of the server's event loop or of a route", ("message", "error")
    ),
    "library_log": Event(
        logging.WARNING, "a library logged a warning or an error", ("logger", "message")
    ),
    "record_rejected": Event(
        logging.ERROR,
        "a stage raised on a record: it was set aside, the rest goes on; `oopswatch rejected list`",
        ("source", "number", "stage", "reason", "sample"),
    ),
    "unclaimed_sample": Event(
        logging.WARNING,
        "lines hold the phrase of a kernel fault and were not understood: the first of a reason, "
        "then once an hour; `oopswatch explain` says why",
        ("reason", "count", "signature", "host", "source", "number", "sample"),
    ),
    "dead_letter_failed": Event(
        logging.ERROR,
        "a record that was set aside could not be written to kafka.dead_letter_topic",
        ("topic", "error", "source", "number", "stage"),
    ),
    "unparsed_sample": Event(
        logging.WARNING,
        "first record of a kind that no format reads",
        ("reason", "source", "number", "sample"),
    ),
}
