"""Authenticates visitors and gives them roles: bearer tokens, browser sessions, a trusted
proxy's word, or everyone on loopback.

In: headers and address of a request. Out: a `Visitor` with roles, or none. `gate.py` asks here
before any route is reached.

- `Authorization: Bearer …` against the tokens file. A browser sends none by itself, so such a
  request needs no CSRF token.
- A session cookie, handed out by the log-in form for a token. It ends after `session_hours`, by
  logging out, and with the process.
- `user_header` and `roles_header`, believed from `trusted_proxies` only.
- With neither tokens nor proxies the server is on loopback, and whoever reaches it may read and
  act, under the name "local".

The time is an argument; no IO.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from detector.clock import SECOND_US
from detector.lazy_regex import lazy_regex
from detector.serve.http.errors import HttpError
from detector.serve.http.roles import ROLES, Role
from detector.serve.http.tokens import Token, find, read_tokens
from detector.settings import Settings, SettingsError

# The visitor who was away longest is forgotten, and has a full bucket when they are back.
_MOST = 10_000


class Buckets:
    """A bucket of `burst` requests for each name, refilled by `rate` a second."""

    def __init__(self, rate: float, burst: int, most: int = _MOST) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str, now_us: int) -> float:
        """Takes one request out of a bucket: 0 where there was one, else the seconds until there
        is.
        """
        left = self._now(name, now_us)
        allowed = left >= 1
        self._left[name] = (left - 1 if allowed else left, now_us)
        self._left.move_to_end(name)
        while len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate

    def empty(self, name: str, now_us: int) -> float:
        """The seconds until a bucket holds a request, without taking one; 0 where it does."""
        left = self._now(name, now_us)
        return 0.0 if left >= 1 else (1 - left) / self._rate

    def _now(self, name: str, now_us: int) -> float:
        left, at_us = self._left.get(name, (self._burst, now_us))
        return min(self._burst, left + max(0, now_us - at_us) / SECOND_US * self._rate)


Via = Literal["token", "session", "proxy", "loopback"]
COOKIE = "oopswatch"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Sessions are kept in memory; the oldest goes when there are so many.
_MOST_SESSIONS = 10_000
# Who guesses tokens gets so many tries at once, then one every ten seconds.
_WRONG_TRIES = 10
_WRONG_RATE = 0.1
_NAME = lazy_regex(r"[\w@.+-][\w@.+ -]{0,63}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """The visitor of a request: a name for the audit, the roles, how they are known, and the
    secret that their CSRF token is bound to.
    """

    name: str
    roles: frozenset[str]
    via: Via
    binding: str = ""

    def may(self, role: Role) -> bool:
        """Returns whether the visitor has a role."""
        return role in self.roles


@dataclass(frozen=True, slots=True)
class _LoginSession:
    token: Token
    until_us: int


class Access:
    """The settings about access, the tokens, the sessions. Raises SettingsError where a server
    would be open to strangers.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        serve = settings.serve
        self.settings = serve
        self.tokens = read_tokens(serve.tokens_file) if serve.tokens_file else ()
        self.open = not self.tokens and not serve.trusted_proxies
        self.loopback = is_loopback(serve.address)
        if self.open and not self.loopback:
            raise SettingsError(
                [
                    (
                        f"serve.address: {serve.address} can be reached by others: set "
                        "serve.tokens_file or serve.trusted_proxies, or 127.0.0.1"
                    )
                ]
            )
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._wrong = Buckets(_WRONG_RATE, _WRONG_TRIES)
        self._sessions: OrderedDict[bytes, _LoginSession] = OrderedDict()

    def visitor(
        self, headers: Mapping[str, str], cookies: Mapping[str, str], address: str
    ) -> Visitor | None:
        """Returns who asks, or None for a stranger.

        A token that is presented and wrong is a stranger's, whatever else the request
        carries.
        """
        authorization = headers.get("authorization")
        if authorization is not None and not self.open:
            scheme, _, presented = authorization.partition(" ")
            token = find(self.tokens, presented.strip()) if scheme.lower() == "bearer" else None
            return Visitor(token.name, token.roles, "token") if token else None
        if (known := self._of_session(cookies.get(COOKIE, ""))) is not None:
            return known
        if self.from_proxy(address):
            return self._of_proxy(headers)
        return Visitor("local", ROLES, "loopback", "loopback") if self.open else None

    def from_proxy(self, address: str) -> bool:
        """Returns whether a request's address is a trusted proxy's."""
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self.settings.trusted_proxies)

    def client_address(self, request: Request) -> str:
        """Returns who sent a request: the connection's address, or, where that is a trusted
        proxy's, the last address of `X-Forwarded-For` that is none.
        """
        address = request.client.host if request.client else ""
        if not self.from_proxy(address):
            return address
        hops = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
        return next((hop for hop in reversed(hops) if hop and not self.from_proxy(hop)), address)

    def log_in(self, presented: str) -> tuple[str, Visitor] | None:
        """A new session for a token: the cookie's value and the visitor; None for a wrong token."""
        token = find(self.tokens, presented)
        if token is None:
            return None
        value = secrets.token_urlsafe(32)
        self._sessions[_kept(value)] = _LoginSession(
            token, self._clock() + self.settings.session_hours * 3_600_000_000
        )
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return value, Visitor(token.name, token.roles, "session", value)

    def log_out(self, value: str) -> None:
        """Ends a session."""
        self._sessions.pop(_kept(value), None)

    def csrf_token(self, visitor: Visitor) -> str:
        """Returns what a form of this visitor must carry: it cannot be guessed, and is of no use
        to anyone else.
        """
        return hmac.new(
            self._key, f"csrf\0{visitor.via}\0{visitor.binding}".encode(), hashlib.sha256
        ).hexdigest()

    def csrf_holds(self, visitor: Visitor, presented: str) -> bool:
        """Returns whether a form's token is this visitor's."""
        return hmac.compare_digest(
            self.csrf_token(visitor).encode(), presented.encode("utf-8", "surrogateescape")
        )

    def count_wrong(self, address: str) -> None:
        """A token was wrong: guessing gets slow."""
        self._wrong.take(address, self._clock())

    def must_wait(self, address: str) -> float:
        """The seconds until an address may try another token."""
        return self._wrong.empty(address, self._clock())

    def secure(self, request: Request) -> bool:
        """Returns whether the browser speaks https, to this server or to its proxy."""
        if request.client and self.from_proxy(request.client.host):
            return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        return request.url.scheme == "https"

    def host_allowed(self, host: str) -> bool:
        """Returns whether a Host header names this server.

        A page of another name that resolves to this address (DNS rebinding) does not.
        """
        name = re.sub(r":[0-9]{1,5}$", "", host).lower()
        if self.settings.hosts:
            return name in {item.lower() for item in self.settings.hosts}
        return (
            name in LOOPBACK_NAMES or name == self.settings.address if self.loopback else bool(name)
        )

    def _of_session(self, value: str) -> Visitor | None:
        session = self._sessions.get(_kept(value)) if value else None
        if session is None:
            return None
        if session.until_us <= self._clock():
            self.log_out(value)
            return None
        return Visitor(session.token.name, session.token.roles, "session", value)

    def _of_proxy(self, headers: Mapping[str, str]) -> Visitor | None:
        name = headers.get(self.settings.user_header.lower(), "")
        if not _NAME.fullmatch(name):
            return None
        named = {
            part.strip().lower()
            for part in headers.get(self.settings.roles_header.lower(), "read").split(",")
        }
        return Visitor(name, ROLES & named, "proxy", name)


def is_loopback(address: str) -> bool:
    """Returns whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def visitor(request: Request) -> Visitor:
    """Returns who asks.

    The gate has let them in already; a stranger on a public page has no role.
    """
    known = request.scope.get("visitor")
    return known if isinstance(known, Visitor) else Visitor("nobody", frozenset(), "token")


def require(role: Role) -> Callable[[Request], Visitor]:
    """A dependency that lets only visitors of a role through, beside what the gate demands of
    every request.
    """

    def check(request: Request) -> Visitor:
        known = visitor(request)
        if not known.may(role):
            raise HttpError(403, f"{known.name} has not the role {role}")
        return known

    return check


def csrf_token(request: Request) -> str:
    """The hidden field `csrf_token` of a page's forms."""
    access: Access = request.app.state.access
    return access.csrf_token(visitor(request))


def _kept(value: str) -> bytes:
    """Sessions are known by a hash, so that a look at memory or a timing of the look-up gives
    none away.
    """
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
