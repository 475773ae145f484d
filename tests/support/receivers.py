"""Receivers on loopback: an HTTP server and an SMTP server that keep what they get and answer as a
test tells them to.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Behave = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Request:
    """What came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server: `behave` answers each request; by default with 200."""

    url: str
    behave: Behave
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def answer(status: int, text: str = "", **headers: str) -> Behave:
    """Answers with a status, a text and headers (`retry_after` is Retry-After)."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        body = text.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def raw(data: bytes) -> Behave:
    """Writes bytes and closes."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)

    return behave


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Answers with a reset of the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def silent(receiver: Receiver) -> Behave:
    """Never answers, until the test is over."""
    return lambda _: receiver.over.wait(30) and None


def dripping(receiver: Receiver, data: bytes) -> Behave:
    """Sends a byte each 20 ms, again and again."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        while not receiver.over.wait(0.02):
            handler.wfile.write(data)
            handler.wfile.flush()

    return behave


@contextmanager
def http_receiver(
    behave: Behave | None = None, certificate: Path | None = None
) -> Iterator[Receiver]:
    """A server on loopback; with a certificate (and its key in one file) it speaks TLS."""
    receiver = Receiver("", behave or answer(200, "ok"))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(Request(self.path, dict(self.headers), body))
            self.close_connection = True
            try:
                receiver.behave(self)
            except OSError:
                return

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url, receiver.port = f"http://127.0.0.1:{server.server_port}", server.server_port
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailServer:
    """An SMTP server: `answers` says what follows a command's first word, "." is the end of the
    text; None hangs up, "wait" is silence.
    """

    port: int = 0
    answers: dict[str, str | None] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    tls: ssl.SSLContext | None = None


@contextmanager
def smtp_receiver(
    answers: dict[str, str | None] | None = None,
    certificate: Path | None = None,
    *,
    implicit: bool = False,
) -> Iterator[MailServer]:
    """A mail server on loopback; with a certificate it takes STARTTLS, or speaks TLS from the first
    byte where that is `implicit`.
    """
    mail = MailServer(answers=answers or {})
    if certificate:
        mail.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        mail.tls.load_cert_chain(certificate)
        mail.answers.setdefault("STARTTLS", "220 go on")
        mail.answers.setdefault("EHLO", "250-mail.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS")
    loop = asyncio.new_event_loop()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _dialogue(mail, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def serve(ready: threading.Event, over: asyncio.Event) -> None:
        server = await asyncio.start_server(
            talk, "127.0.0.1", 0, ssl=mail.tls if implicit else None
        )
        mail.port = server.sockets[0].getsockname()[1]
        ready.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        await server.wait_closed()

    ready, over = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(serve(ready, over),), daemon=True
    )
    thread.start()
    assert ready.wait(10)
    try:
        yield mail
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


_USUAL = {
    "greeting": "220 mail.example.com",
    "EHLO": "250 mail.example.com",
    "DATA": "354 go on",
    "QUIT": "221 bye",
}


async def _dialogue(
    mail: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def say(word: str) -> bool:
        said = mail.answers.get(word, _USUAL.get(word, "250 fine"))
        if said == "wait":
            await asyncio.sleep(30)
        if said is not None:
            writer.write(f"{said}\r\n".encode())
            await writer.drain()
        return said is not None

    if not await say("greeting"):
        return
    while line := await reader.readline():
        verb, blank, rest = line.decode().rstrip("\r\n").partition(" ")
        word = verb.upper()
        command = word + blank + rest
        mail.commands.append(command)
        if not await say(command if command in mail.answers else word):
            return
        if word == "STARTTLS" and mail.tls:
            await writer.start_tls(mail.tls)
        if word == "DATA" and mail.answers.get("DATA", "354").startswith("354"):
            mail.texts.append(await reader.readuntil(b"\r\n.\r\n"))
            if not await say("."):
                return
        if word == "QUIT":
            return
