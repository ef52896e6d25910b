"""What a change proposes to do to the rules, one line each, with the path of its key: pure.

A line is for a reviewer: it says what would hold after the merge, and that it does not hold yet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gates.fields import bounded
from gates.yaml_source import KeyPath, key_path

MOST = 100
_MAX_LINE = 400
_MAX_VALUE = 60
_MOST_NAMED = 5
_ABSENT = object()


def few(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the lines, bounded in number and length; the last says how many more there are."""
    found = [bounded(line, _MAX_LINE) for line in lines]
    if len(found) <= MOST:
        return tuple(found)
    return (*found[: MOST - 1], f"{len(found) - MOST + 1:,} more changes are not listed here.")


def of_config(base: Any, proposed: Any, path: KeyPath = ()) -> Iterator[str]:
    """Yield a line for every key that two configurations do not agree on, the highest of each."""
    if isinstance(base, dict) and isinstance(proposed, dict):
        for key in dict.fromkeys([*base, *proposed]):
            ours, theirs = base.get(key, _ABSENT), proposed.get(key, _ABSENT)
            yield from of_config(ours, theirs, (*path, key))
    elif not _same(base, proposed):
        yield f"`{_plain(key_path(path))}`: {_step(base, proposed)}"


def of_waivers(base: Mapping[str, Any], proposed: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for every waiver that was added, removed or changed; by rule, model, digest."""
    ours, theirs = _waivers(base), _waivers(proposed)
    for key in dict.fromkeys([*ours, *theirs]):
        name = f"waiver of `{_plain(key[0])}`" + (f" for `{_plain(key[1])}`" if key[1] else "")
        if key not in ours:
            yield f"{name}: added, not applied"
        elif key not in theirs:
            yield f"{name}: removed, not applied"
        else:
            for line in of_config(ours[key], theirs[key]):
                yield f"{name}: {line}"


def of_suite(name: str, base: Any, proposed: Any) -> Iterator[str]:
    """Yield what a suite file would lose and gain, by the types of its expectations."""
    ours, theirs = _expectations(base), _expectations(proposed)
    lost, gained = ours - theirs, theirs - ours
    for what, found in (("removed or changed", lost), ("added or changed", gained)):
        if found:
            kinds = list(dict.fromkeys(kind for kind, _ in found))
            named = ", ".join(f"`{_plain(kind)}`" for kind in kinds[:_MOST_NAMED])
            more = f" and {len(kinds) - _MOST_NAMED} more" if len(kinds) > _MOST_NAMED else ""
            count = sum(found.values())
            word = "expectation" if count == 1 else "expectations"
            yield f"`{_plain(name)}`: {count:,} {word} {what} ({named}{more}), not applied"
    if not lost and not gained and base != proposed:
        yield f"`{_plain(name)}`: changed beside its expectations, not applied"


def of_baselines(
    model: str,
    aliases: tuple[Mapping[str, int], Mapping[str, int]],
    versions: tuple[Mapping[int, str], Mapping[int, str]],
) -> Iterator[str]:
    """Yield what would become of a model's aliases, and of its versions (by digest)."""
    whose = f"of `{_plain(model)}`"
    for alias in dict.fromkeys([*aliases[0], *aliases[1]]):
        old, new = (f"v{side[alias]}" if alias in side else "nothing" for side in aliases)
        if old != new:
            yield f"baseline alias `{_plain(alias)}` {whose}: {old} → {new} proposed, not applied"
    for number in sorted({*versions[0], *versions[1]}):
        if number not in versions[0]:
            yield f"baseline v{number} {whose}: added, not applied"
        elif number not in versions[1]:
            yield f"baseline v{number} {whose}: removed, not applied"
        elif versions[0][number] != versions[1][number]:
            yield f"baseline v{number} {whose}: changed, not applied"


def _step(base: Any, proposed: Any) -> str:
    if base is _ABSENT:
        return f"{_value(proposed)} added, not applied"
    if proposed is _ABSENT:
        return f"removed (was {_value(base)}), not applied"
    return f"{_value(base)} → {_value(proposed)} proposed, not applied"


def _same(one: Any, other: Any) -> bool:
    # In Python true is 1, and 1 is 1.0; to a reader of the file they are not.
    if _ABSENT in (one, other):
        return one is other
    return json.dumps(one, default=str) == json.dumps(other, default=str)


def _value(value: Any) -> str:
    """Return a value in a few characters, as the file would have it."""
    if isinstance(value, str):
        return _plain(bounded(value, _MAX_VALUE))
    return _plain(bounded(json.dumps(value, ensure_ascii=False, default=str), _MAX_VALUE))


def _plain(text: str) -> str:
    """Return text that does not end the code span it is put in."""
    return text.replace("`", "'")


def _waivers(data: Mapping[str, Any]) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    listed = data.get("waivers")
    found: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            rule, model, digest = (str(one.get(k) or "") for k in ("rule", "model", "candidate"))
            again = sum(key[:3] == (rule, model, digest) for key in found)
            found[rule, model, digest, again] = one
    return found


def _expectations(suite: Any) -> Counter[tuple[str, str]]:
    listed = suite.get("expectations") if isinstance(suite, dict) else None
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return Counter(
        (
            bounded(one.get("type") or one.get("expectation_type") or "?"),
            json.dumps({k: one.get(k) for k in ("kwargs", "severity")}, sort_keys=True),
        )
        for one in entries
    )
