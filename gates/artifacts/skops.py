"""skops: an archive whose `schema.json` names the class of everything in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

from gates.artifacts.arrays import globals_of_array
from gates.artifacts.budget import Budget, Stream
from gates.artifacts.dtypes import Global
from gates.artifacts.json_text import parsed
from gates.artifacts.opcodes import Unproven
from gates.artifacts.zips import Archive
from gates.errors import Refused
from gates.fields import bounded

SCHEMA: Final = "schema.json"
# What rebuilds a value from its parts. Not among them: what looks a method up on an object that was
# made (MethodNode), and what calls a function of `operator` (OperatorFuncNode).
_LOADERS = frozenset(
    {
        "BytearrayNode", "BytesNode", "CachedNode", "ConstructorFromReduceNode", "DTypeNode",
        "DefaultDictNode", "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode",
        "MaskedArrayNode", "NdArrayNode", "ObjectNode", "PartialNode", "RandomGeneratorNode",
        "RandomStateNode", "SetNode", "SliceNode", "SparseMatrixNode", "TreeNode", "TupleNode",
        "TypeNode", "_DictWithDeprecatedKeysNode",
    }
)  # fmt: skip
_NAMES = {"__class__", "__module__", "__loader__"}


def globals_of_skops(archive: Archive, budget: Budget) -> frozenset[Global]:
    """Return every class and function that a skops file names.

    Raises Refused for what can not be read, and for nodes that call what they are given.
    """
    try:
        named = set(_named(parsed(archive.whole(SCHEMA)), budget))
    except Unproven as why:
        raise _refused(str(why)) from None
    for name in archive.members:
        if name.endswith(".npy"):
            with archive.open(name) as member:
                named |= globals_of_array(Stream(member), budget)
        elif name.endswith(".npz"):
            inner = Archive(io.BytesIO(archive.whole(name)), budget)
            named |= globals_of_arrays(inner, budget)
        elif name != SCHEMA and not name.endswith(".bin"):
            raise _refused(f"a member that skops does not write: {bounded(name)!r}")
    return frozenset(named)


def globals_of_arrays(archive: Archive, budget: Budget) -> frozenset[Global]:
    """Return every global that the arrays of an archive (`.npz`) name."""
    named: set[Global] = set()
    for name in archive.members:
        with archive.open(name) as member:
            named |= globals_of_array(Stream(member), budget)
    return frozenset(named)


def _named(schema: Any, budget: Budget) -> Iterator[Global]:
    """Yield the class of every node, wherever in the schema it stands."""
    waiting = [schema]
    while waiting:
        budget.step()
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        if not isinstance(node, dict):
            continue
        waiting += node.values()
        if not _NAMES & node.keys():
            continue
        module, name, loader = (node.get(key) for key in ("__module__", "__class__", "__loader__"))
        if not (isinstance(module, str) and isinstance(name, str) and isinstance(loader, str)):
            raise Unproven("a node without a class")
        if loader not in _LOADERS:
            raise Unproven(f"a node of {bounded(loader)!r}, which calls what it is given")
        yield Global(module, name)


def _refused(why: str) -> Refused:
    return Refused(
        f"a skops file that is not accepted: {why}", hint="Save it again with a newer skops."
    )
