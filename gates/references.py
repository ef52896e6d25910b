"""Which registered versions a candidate is held against, and how policy wants them compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gates.assemble import Reference
from gates.baselines.local import Registered, Store
from gates.config import Baseline, ModelConfig
from gates.evidence import Source
from gates.record import ID


@dataclass(frozen=True, kw_only=True)
class Found:
    """The versions that a model's checks need; None where they need none, or policy lets it lack.

    The baseline is what the candidate replaces. The anchor is older: many small drops, each of
    them tolerated by the baseline that was current, add up against it.
    """

    baseline: Registered | None
    anchor: Registered | None


def find(model: ModelConfig, store: Store) -> Found:
    """Return the versions that checks need. InputError for one that is not registered."""
    options, gates = model.baseline, model.gates.configured().values()
    baseline, anchor = any(gate.needs_baseline for gate in gates), False
    if options.anchor is not None:
        anchor = any(limit.verb.needs_anchor for gate in gates for limit in gate.limits())
    if not (baseline or anchor) or (options.on_missing == "absolute" and not store.versions()):
        return Found(baseline=None, anchor=None)
    return Found(
        baseline=store.find(options.alias) if baseline else None,
        anchor=store.find(options.anchor) if anchor and options.anchor else None,
    )


def references(
    model: ModelConfig, found: Found, root: Path
) -> tuple[Reference | None, Reference | None]:
    """Return the baseline and the anchor as they are to be compared."""
    baseline = None if found.baseline is None else _baseline(model.baseline, found.baseline, root)
    if baseline is not None and not any(gate.pairs for gate in model.gates.configured().values()):
        baseline = replace(baseline, remembered=True)
    # Nobody is asked for fresh predictions of the anchor: it is compared by what is stored.
    anchor = None if found.anchor is None else _stored(model.baseline, found.anchor)
    return baseline, anchor and replace(anchor, name="anchor")


def _baseline(options: Baseline, found: Registered, root: Path) -> Reference:
    """Return the baseline by what is stored, or by fresh predictions if there are any."""
    stored = _stored(options, found)
    if options.predictions is None:
        return stored
    fresh = Source(path=root / options.predictions, columns=options.columns)
    return replace(stored, predictions=fresh, fresh=True)


def _stored(options: Baseline, found: Registered) -> Reference:
    sketched = found.record.content.sketch is not None
    return Reference(
        record=found.record,
        predictions=found.kept if sketched else Source(path=found.kept, id=ID),
        unpaired=_unpaired(options, found),
    )


def _unpaired(options: Baseline, found: Registered) -> bool:
    """Return whether other data are compared by stored numbers: asked for, or all that is left.

    Where only a sketch is kept nobody can predict the other rows again, so a refusal has to be
    asked for in the configuration.
    """
    said = "on_other_data" in options.model_fields_set
    return options.on_other_data == "unpaired" or (
        not said and found.record.content.sketch is not None
    )
