"""TCP states: their names, and what it means that the kernel released a socket in one.

In: matches of class `tcp-state`. Out: statements. Facts: include/net/tcp_states.h (2.6 to 6.x);
net/ipv4/af_inet.c inet_sock_destruct() and net/core/sock.c __sk_destruct() (4.x, 5.x).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detector.model import Match, Statement

STATES: Mapping[int, str] = {
    1: "TCP_ESTABLISHED",
    2: "TCP_SYN_SENT",
    3: "TCP_SYN_RECV",
    4: "TCP_FIN_WAIT1",
    5: "TCP_FIN_WAIT2",
    6: "TCP_TIME_WAIT",
    7: "TCP_CLOSE",
    8: "TCP_CLOSE_WAIT",
    9: "TCP_LAST_ACK",
    10: "TCP_LISTEN",
    11: "TCP_CLOSING",
    12: "TCP_NEW_SYN_RECV",
    13: "TCP_BOUND_INACTIVE",
}

_ROLES: Mapping[int, str] = {
    1: "it was connected",
    2: "it was connecting",
    3: "it was an incoming connection half open",
    10: "it was listening for connections, so the listener table could still lead to it",
    12: "it was a connection request, not yet a socket of its own",
}


def state_of(match: Match) -> int | None:
    """The state that a release line names, or None where the line names none."""
    text = match.fields.get("state", "")
    return (
        int(text)
        if match.cls == "tcp-state" and text.isascii() and text.isdecimal() and len(text) < 4
        else None
    )


def released(evidence: Sequence[Match]) -> tuple[tuple[int, str, Match], ...]:
    """(state, socket, match) of each release line, in the order given; the socket's address as
    printed, "" where there is none.
    """
    states = ((state_of(match), match) for match in evidence)
    return tuple((state, socket_of(match), match) for state, match in states if state is not None)


def socket_of(match: Match) -> str:
    """The socket's address as the line prints it (raw up to 4.14, hashed from 4.15 on), or ""."""
    return next(
        (match.fields[name] for name in ("socket", "pointer", "address") if name in match.fields),
        "",
    )


def released_again(evidence: Sequence[Match]) -> dict[str, tuple[int, ...]]:
    """The sockets that were released in several different states: address → states, as printed."""
    states: dict[str, list[int]] = {}
    for state, socket, _ in released(evidence):
        if socket:
            states.setdefault(socket, []).append(state)
    return {socket: tuple(all_) for socket, all_ in states.items() if len(set(all_)) > 1}


def same_socket_twice(evidence: Sequence[Match]) -> bool:
    """Returns whether one socket was released in two different states."""
    return bool(released_again(evidence))


def explain_release(evidence: Sequence[Match]) -> list[Statement]:
    """One statement for each state that sockets were released in, one for a socket released
    twice in different states.
    """
    statements: list[Statement] = []
    by_state: dict[int, dict[str, str]] = {}
    for state, socket, match in released(evidence):
        by_state.setdefault(state, {}).setdefault(socket, match.text)
    for state, texts_of in by_state.items():
        shown = tuple(texts_of.values())[:_MOST]
        text = _meaning(state)
        if len(texts_of) > 1:
            text += f" {len(texts_of)} sockets were released so."
        statements.append(Statement(text, "certain", (*shown, _SOURCE)))
    for socket, states in released_again(evidence).items():
        texts = tuple(
            match.text for _, state_socket, match in released(evidence) if state_socket == socket
        )
        *others, last = map(str, states)
        text = (
            f"The same socket was released {_TIMES.get(len(states), 'many times')}, in states "
            f"{', '.join(others)} and {last}: it was freed more than once."
        )
        statements.append(Statement(text, "likely", texts))
    return statements


_MOST = 4  # release lines that are quoted
_TIMES: Mapping[int, str] = {2: "twice", 3: "three times", 4: "four times"}
_SOURCE = (
    "net/ipv4/af_inet.c inet_sock_destruct() expects TCP_CLOSE (7); what called it gives the "
    "memory back all the same"
)


def _meaning(state: int) -> str:
    name = STATES.get(state)
    if name is None:
        return (
            f"A stream socket was released in state {state}, which is no TCP state that is "
            "known here."
        )
    role = f": {_ROLES[state]}" if state in _ROLES else ""
    return (
        f"The last reference to a stream socket was dropped in state {state}, {name}{role}. "
        "A socket must be in TCP_CLOSE by then; its "
        "memory goes back to the slab cache while other structures may still point to it."
    )
