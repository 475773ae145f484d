"""The settings of `[kafka]`: the brokers and topics that the logs come from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import FilePath, SecretStr, model_validator

from detector.settings.group import BrokerAddresses, Group, Topic, Topics, setting


class Kafka(Group):
    """The brokers and topics that the logs come from."""

    bootstrap_servers: BrokerAddresses = setting(
        ("localhost:9092",), "brokers to begin with, as host:port"
    )
    topics: Topics = setting(("kernel-logs",), "topics to read")
    group: str = setting(
        "oopswatch", "consumer group: processes of one group share the partitions", min_length=1
    )
    client_id: str = setting("oopswatch", "name under which brokers log this client", min_length=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "how to talk to the brokers"
    )
    ssl_cafile: FilePath | None = setting(
        None, "certificates of the authorities to trust, PEM; without it the system's"
    )
    ssl_certfile: FilePath | None = setting(None, "own certificate, PEM, where brokers ask for one")
    ssl_keyfile: FilePath | None = setting(None, "key of the own certificate, PEM")
    ssl_check_hostname: bool = setting(
        True, "whether the broker's certificate must carry the broker's name"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = setting(
        None, "how to log in; needed with SASL_…"
    )
    sasl_username: str | None = setting(None, "who logs in")
    sasl_password_file: FilePath | None = setting(
        None, "file that holds the password and nothing else; its line end is dropped"
    )
    sasl_password: SecretStr | None = setting(
        None, "the password itself: from the environment only, never shown"
    )
    auto_offset_reset: Literal["earliest", "latest"] = setting(
        "earliest", "where a group without a position begins"
    )
    start_wait_s: int = setting(
        0,
        "how long brokers that are away at the start are waited for; 0: until they are there",
        unit="s",
        ge=0,
        le=86_400,
    )
    session_s: int = setting(
        45,
        "a member that is silent for so long loses its partitions to the others; one that ends "
        "cleanly hands them over at once",
        unit="s",
        ge=3,
        le=1_800,
    )
    poll_ms: int = setting(500, "longest wait for records in one poll", unit="ms", ge=10, le=60_000)
    max_records: int = setting(
        50_000,
        "records after which a poll, and so a transaction of the store, ends; batches stay whole",
        ge=1,
        le=1_000_000,
    )
    on_corrupt: Literal["stop", "skip"] = setting(
        "stop",
        "what follows on a batch that cannot be read: its partition stops there, or goes on behind "
        "it; either is said, and the other partitions go on",
    )
    batches: bool = setting(
        True,
        (
            "read whole record batches and decode hits alone; false reads record by record, "
            "which is slower"
        ),
    )

    dead_letter_topic: Topic | None = setting(
        None,
        (
            "topic for records that a stage raised on, as they came; without it only the history "
            "lists them"
        ),
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.security_protocol.endswith("SSL") and (
            self.ssl_cafile or self.ssl_certfile or self.ssl_keyfile
        ):
            raise ValueError(
                f"ssl_… files are set, but security_protocol is {self.security_protocol}, "
                "which does not encrypt"
            )
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile is set without ssl_certfile")
        if self.security_protocol.startswith("SASL") and not (
            self.sasl_mechanism and self.sasl_username and self.sasl_password
        ):
            raise ValueError(
                f"{self.security_protocol} needs sasl_mechanism, sasl_username and "
                "sasl_password_file"
            )
        if self.dead_letter_topic in self.topics:
            raise ValueError(f"dead_letter_topic: {self.dead_letter_topic} is read by topics")
        return self
