"""Write the generated parts of the documents anew, or with --check fail when they are stale."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import options
import yaml

from gates.canary.targets.registry import TARGETS
from gates.report import Task
from gates.stats.catalogue import METRICS, Better, verbs
from reporters.publish.registry import PUBLISHERS
from reporters.render.registry import RENDERERS

ROOT = Path(__file__).parent.parent
Parts = Mapping[str, Callable[[], Iterator[str]]]


def metrics() -> Iterator[str]:
    """Yield the table of metrics: which task has them, which limits they take."""
    yield "| metric | task | better | limits |"
    yield "|---|---|---|---|"
    for metric in METRICS.values():
        tasks = ", ".join(task.value for task in Task if task in metric.tasks)
        allowed = verbs(metric.better)
        names = ", ".join(f"`{verb.value}`" for verb in sorted(allowed))
        way = "" if metric.better is Better.NEITHER else metric.better.value
        yield f"| `{metric.name}` | {tasks} | {way} | {names} |"
    yield ""
    yield (
        "Fairness: `demographic_parity`, `equalized_odds`, `equal_opportunity` with `_difference` "
        "or `_ratio`, and any metric above with `_difference`, `_ratio`, `_group_min` or "
        "`_group_max`; a plain metric takes `max_rise_any_group` or `max_drop_any_group`."
    )


def action() -> Iterator[str]:
    """Yield the tables of the root action's inputs and outputs."""
    yield from tables(ROOT / "action.yml")


def actions() -> Iterator[str]:
    """Yield what each of the other actions is for, with its tables folded away."""
    for path in sorted(ROOT.glob("actions/*/action.yml")):
        description = yaml.safe_load(path.read_text("utf-8"))["description"]
        yield "<details>"
        yield f"<summary><code>actions/{path.parent.name}</code>: {description}</summary>"
        yield ""
        yield from tables(path)
        yield "</details>"
        yield ""


def tables(path: Path) -> Iterator[str]:
    """Yield the tables of one action's inputs and outputs."""
    document = yaml.safe_load(path.read_text("utf-8"))
    yield "| input | default | |"
    yield "|---|---|---|"
    for name, one in document["inputs"].items():
        default = "required" if one.get("required") else f"`{one['default']}`"
        yield f"| `{name}` | {'' if default == '``' else default} | {one['description']} |"
    yield ""
    if "outputs" not in document:
        return
    yield "| output | |"
    yield "|---|---|"
    for name, one in document["outputs"].items():
        yield f"| `{name}` | {one['description']} |"
    yield ""


def reporters() -> Iterator[str]:
    """Yield the table of what a report can be rendered to, and where it can be published."""
    yield "| `--to` | gives, or does |"
    yield "|---|---|"
    for name, does in (RENDERERS | PUBLISHERS).items():
        manual = (does.func if isinstance(does, partial) else does).__doc__ or ""
        yield f"| `{name}` | {manual.splitlines()[0].removeprefix('Return ').rstrip('.')} |"


PARTS = {
    "README.md": {
        "metrics": metrics,
        "reporters": reporters,
        "action": action,
        "actions": actions,
    },
    "docs/canary.md": {
        "deployment": options.deployment,
        **{name: partial(options.target, name) for name in TARGETS},
        "prometheus": options.prometheus,
    },
}


def renewed(text: str, parts: Parts) -> str:
    """Return a document with every generated part made anew."""
    for name, rows in parts.items():
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = before + start + "\n".join(rows()) + "\n" + end + after
    return text


def main() -> int:
    """Write, or check, and return the exit code."""
    stale = False
    for document, parts in PARTS.items():
        path = ROOT / document
        old = path.read_text("utf-8")
        new = renewed(old, parts)
        if "--check" not in sys.argv:
            path.write_text(new, "utf-8")
        elif new != old:
            sys.stderr.write(f"{document} is out of date: run `make docs`.\n")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
