"""The HAProxy configuration that a rollout needs, as text: whole, commented, and safe to reload.

What a rollout sets at run time is gone after a reload or a crash. So the file has the canary shut,
and the stable side with everything: that is what HAProxy comes back with, whenever it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from gates.canary.haproxy.counts import EPOCH, ROUNDING, fallback, table


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What differs between two such files; times are in seconds.

    `bind` is where users come in. `stable` and `canary` are the addresses of the two servers,
    `names` their names.
    `health` is the path of an HTTP check; without one, a connection is enough. Not `idempotent`: a
    request that may have been carried out is never sent again. `sticky` names a cookie.
    """

    socket: str
    bind: str
    backend: str
    stable: str
    canary: str
    names: tuple[str, str] = ("stable", "canary")
    health: str | None = None
    idempotent: bool = True
    sticky: str | None = None
    timeout: float = 30.0
    check_every: float = 1.0


def config(layout: Layout) -> str:
    """Return the text of a `haproxy.cfg`."""
    parts = (_global(layout), _defaults(layout), _frontend(layout), _backends(layout))
    return "\n".join(parts)


def _global(layout: Layout) -> str:
    return f"""\
# Written by `model-gates canary haproxy-config`. It is safe to reload or restart HAProxy at any
# time: the canary is shut in this file, so all traffic goes to the stable side then.

global
    # Whoever can write to this socket moves the traffic: a file of one user, never a port.
    stats socket {layout.socket} mode 600 level admin expose-fd listeners
    log stdout format raw local0
    # Users whose connection the old worker still has are on the old weights: not for long.
    hard-stop-after {_ms(layout.timeout)}
    # Names the worker: counts of two workers have nothing to do with one another.
    set-var-fmt {EPOCH} "%[date(0,us)]"
"""


def _defaults(layout: Layout) -> str:
    after = "conn-failure empty-response" if layout.idempotent else "conn-failure"
    return f"""\
defaults
    mode http
    log global
    option dontlognull
    timeout connect 1s
    timeout check 1s
    timeout queue {_ms(layout.timeout)}
    timeout client {_ms(layout.timeout)}
    timeout server {_ms(layout.timeout)}
    timeout http-request 10s
    # What one side cannot take is given to the other, at the first retry.
    retries 2
    option redispatch 1
    retry-on {after}
"""


def _frontend(layout: Layout) -> str:
    rows = [
        f"""\
frontend {layout.backend}_in
    bind {layout.bind}
    # One line of JSON a request: no address, no path, nothing of the request itself.
    log-format '{{"at":%Ts,"server":"%s","status":%ST,"ms":%Ta,"retries":"%rc","ended":"%ts"}}'
    # How long each answer took, in microseconds, rounded down to 1/64 ...
    http-request set-var(txn.mg_at) date(0,us)
    http-response set-var(txn.mg_us) date(0,us),sub(txn.mg_at)
    http-response set-var(txn.mg_us) int(0) if {{ var(txn.mg_us) -m int lt 0 }}
"""
    ]
    rows += [_round(power, cut) for power, cut in ROUNDING]
    rows += [
        f"    http-response track-sc0 var(txn.mg_us) table {table(layout.backend, side)}"
        f" if {{ srv_name {side} }}\n"
        for side in layout.names
    ]
    rows.append(f"""\
    # ... and counted.
    http-response sc-inc-gpc0(0)
    # With all traffic on the canary, and the canary gone, the stable side takes it.
    use_backend {fallback(layout.backend)} if {{ nbsrv({layout.backend}) eq 0 }}
    default_backend {layout.backend}
""")
    return "".join(rows)


def _round(power: int, cut: int) -> str:
    mask = 0xFFFFFFFF & ~((1 << cut) - 1)
    return (
        f"    http-response set-var(txn.mg_us) var(txn.mg_us),and({mask})"
        f" if {{ var(txn.mg_us) -m int ge {1 << power} }}\n"
    )


def _backends(layout: Layout) -> str:
    name, (stable, canary) = layout.backend, layout.names
    check = f"    option httpchk GET {layout.health}\n" if layout.health else ""
    return f"""\
backend {name}
    balance roundrobin
{check}{_cookie(layout)}\
    # Two failed checks or five lost requests in a row take a server out; one check brings it in.
    default-server check inter {_ms(layout.check_every)} fall 2 rise 1 observe layer4 \
error-limit 5 on-error mark-down
    server {stable} {layout.stable} weight 100
    server {canary} {layout.canary} weight 0 disabled

backend {fallback(name)}
    server {stable} {layout.stable} track {name}/{stable}

backend {table(name, stable)}
    stick-table type integer size 8k store gpc0

backend {table(name, canary)}
    stick-table type integer size 8k store gpc0
"""


def _cookie(layout: Layout) -> str:
    """Return the lines for a cookie that nobody can forge."""
    if layout.sticky is None:
        return ""
    return f"""\
    # A user stays where he is. The cookie is a hash with a key that HAProxy has from its own
    # environment (it does not start without one): a name that can be read could be forged.
    cookie {layout.sticky} insert indirect nocache httponly dynamic
    dynamic-cookie-key "${{MODEL_GATES_COOKIE_KEY}}"
"""


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
