"""The `data-schema` gate: is the table what the model was made for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, StrictBool, StrictStr

from gates.builtin.declared import Declared
from gates.builtin.samples import Asked
from gates.errors import InputError
from gates.expectations.expectation import INFERRED, Expectation, inferred
from gates.expectations.rules import (
    ColumnRule,
    RowsRule,
    Share,
    concise,
    only,
    row_count,
    together,
)
from gates.expectations.suite import read_suite
from gates.fields import Model, bounded
from gates.limits import Limit, Problem
from gates.report import Check, Decide, Family, GateResult, Mode, OnInconclusive, Task, Verb

if TYPE_CHECKING:
    from pathlib import Path

    from gates.builtin.stored import Compared
    from gates.evidence import Evidence, Policy
    from gates.expectations.gx import Outcome
    from gates.record import Evaluated
    from gates.tables import Table

_EXISTS = "expect_column_to_exist"
_NULLS = "expect_column_values_to_not_be_null"
_STRICTNESS = (Mode.REPORT, Mode.WARN, Mode.ENFORCE)


class DataSchema(Model):
    """Hold the evaluation table against Great Expectations: a suite, a short form, or the baseline.

    What it measures: one check per expectation. For one that is judged row by row, the number is
    the share of rows that meet it and the limit is its `mostly`; for any other it is 1 or 0, and
    the limit is 1. Nulls are left out as Great Expectations does, except where nulls are the
    question. `columns` is the short form, `suite` a Great Expectations file (1.x, or 0.18), and
    `infer: baseline` asks for what the registered baseline's data looked like; they add up.

    When it lies: it sees the table, not what the values mean: a unit that changed within the
    range passes. A share is a plain number without an interval, so one row in a small table
    decides. What was inferred is as narrow as the rows the baseline happened to have. Where there
    is no value to judge (no rows, or all null) Great Expectations calls it a success; here it is
    an error. `type` is what the table declares, a suite's own type rules are pandas' names.

    How to fix a fail: the report has counts and no values. Run the suite where the data is, with
    `result_format: COMPLETE`, to see the rows; then mend the data, or, by review, the rule.
    """

    gate: ClassVar[str] = "data-schema"

    suite: StrictStr | None = Field(
        default=None,
        description="A Great Expectations suite (JSON), from the configuration's folder.",
    )
    columns: dict[StrictStr, ColumnRule] = Field(
        default_factory=dict, description="What is expected of each column, by name."
    )
    rows: RowsRule | None = Field(default=None, description="How many rows there may be.")
    only_columns: StrictBool = Field(
        default=False, description="true: no column but those in `columns` or the baseline."
    )
    unique_together: tuple[tuple[StrictStr, ...], ...] = Field(
        default=(), description="[[a, b]]: no combination of values occurs twice."
    )
    infer: Literal["baseline"] | None = Field(
        default=None, description="baseline: expect what its data looked like."
    )
    infer_slack: Share = Field(
        default=0.05,
        description="More nulls than the baseline by this share; ranges wider by this share.",
    )
    data: StrictStr | None = Field(
        default=None, description="Another table than the evaluation set."
    )
    mode: Mode | None = Field(default=None, description="enforce, warn or report.")
    on_inconclusive: OnInconclusive | None = Field(
        default=None, description="What an undecided check counts as: warn or fail."
    )

    @property
    def needs_baseline(self) -> bool:
        """Return whether any expectation comes from the registered baseline."""
        return self.infer is not None

    @property
    def pairs(self) -> bool:
        """Return whether rows of the baseline's model are looked at: never."""
        return False

    @property
    def needs_truth(self) -> bool:
        """Return whether rows must have a label."""
        return False

    @property
    def remembers(self) -> Asked:
        """Return of what a baseline is to remember how it was distributed: of nothing."""
        return Asked()

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns read of the joined rows: none, it looks at the table itself."""
        return ()

    def problems(self, task: Task) -> Iterator[Problem]:  # noqa: ARG002  every gate is asked alike
        """Yield what is wrong with these options."""
        asked = (self.suite, self.columns, self.rows, self.unique_together, self.infer)
        if not any(asked):
            yield Problem(
                path=(),
                message="nothing is expected; give `suite`, `columns`, `rows`, `unique_together`"
                " or `infer: baseline`",
            )
        for name, rule in self.columns.items():
            for problem in rule.problems():
                yield Problem(path=("columns", name, *problem.path), message=problem.message)
        yield from self._table_problems()

    def limits(self) -> Iterator[Limit]:
        """Yield no limit: expectations have shares, and none is on a change."""
        return iter(())

    def declared(self, policy: Policy, root: Path) -> Iterator[Declared]:
        """Yield every question that these options and the suite below `root` tell of.

        Of what is inferred from a baseline that is only which kinds of question there are.
        """
        asked = [*self._written(root), *self._of_table((), None)]
        for expectation, name in zip(asked, _ids(self.gate, asked), strict=True):
            yield self._declared(policy, expectation, name.partition("@")[2])
        for type_ in sorted(INFERRED) if self.infer is not None else ():
            free = self._declared(policy, Expectation(type=type_, kwargs={}, where="infer"), "")
            bound = None if type_ == _NULLS else 1.0
            yield replace(free, free=True, bound=bound, optional=type_ != _EXISTS)

    def _declared(self, policy: Policy, expectation: Expectation, place: str) -> Declared:
        mostly = expectation.kwargs.get("mostly", 1.0)
        return Declared(
            gate=self.gate,
            metric=expectation.type,
            verb=Verb.MIN,
            bound=float(mostly) if isinstance(mostly, int | float) else 1.0,
            family=Family.OVERALL,
            decide=Decide.POINT,
            mode=self._mode(policy, expectation),
            on_inconclusive=self.on_inconclusive or policy.on_inconclusive,
            place=place,
            columns=_columns(expectation),
            optional=expectation.optional,
        )

    def _mode(self, policy: Policy, expectation: Expectation) -> Mode:
        return min(self.mode or policy.mode, expectation.mode, key=_STRICTNESS.index)

    def compared(self, evidence: Evidence) -> Iterator[Compared]:  # noqa: ARG002  as `problems`
        """Yield nothing: no model's output is looked at."""
        return iter(())

    def _table_problems(self) -> Iterator[Problem]:
        rows = self.rows
        if rows is not None and rows.min is None and rows.max is None:
            yield Problem(path=("rows",), message="`rows` has no limit; give it `min` or `max`")
        elif rows is not None and None not in (rows.min, rows.max) and rows.min > rows.max:  # type: ignore[operator]
            yield Problem(path=("rows", "max"), message="`max` is below `min`")
        if self.only_columns and not (self.columns or self.infer):
            yield Problem(
                path=("only_columns",),
                message="`only_columns` needs `columns` or `infer: baseline`",
            )
        for index, group in enumerate(self.unique_together):
            if len(set(group)) < 2 or len(set(group)) < len(group):
                yield Problem(
                    path=("unique_together", index), message="name two or more different columns"
                )

    def judge(self, evidence: Evidence) -> GateResult:
        """Run every expectation on the table.

        Raises ConfigError for a suite or an expectation that is wrong, InputError for a table
        that does not open or a baseline without a profile, EnvironmentFault without the library.
        """
        from gates.expectations.gx import run

        table = self._table(evidence)
        expectations = tuple(self._expectations(evidence, table))
        outcomes, names = run(expectations, table), tuple(_ids(self.gate, expectations))
        asked = zip(expectations, outcomes, names, strict=True)
        checks = [self._check(evidence, *one) for one in asked]
        return GateResult(
            gate=self.gate,
            summary=f"{_count(len(checks), 'expectation')} on {_count(table.rows, 'row')} of "
            + _count(len(table.columns), "column"),
            hint="Only counts are reported; to see the rows, run the suite where the data is.",
            checks=tuple(checks),
        )

    def _table(self, evidence: Evidence) -> Table:
        if self.data is None:
            return evidence.evaluation
        return evidence.engine.open(evidence.root / self.data)

    def _expectations(self, evidence: Evidence, table: Table) -> Iterator[Expectation]:
        """Yield everything that was asked for, in the order of the options."""
        yield from self._written(evidence.policy_root or evidence.root)
        profiled = self._profiled(evidence)
        if profiled is not None:
            yield from inferred(profiled.profile, profiled.rows, self.infer_slack)
        yield from self._of_table(table.columns, profiled)

    def _written(self, root: Path) -> Iterator[Expectation]:
        if self.suite is not None:
            yield from read_suite(root / self.suite, self.suite)
        yield from concise(self.columns)

    def _of_table(
        self, columns: Collection[str], profiled: Evaluated | None
    ) -> Iterator[Expectation]:
        if self.rows is not None:
            yield row_count(self.rows)
        if self.only_columns:
            there = [c for c, rule in self.columns.items() if rule.required or c in columns]
            yield only(dict.fromkeys([*there, *(profiled.profile if profiled else ())]))
        for index, group in enumerate(self.unique_together):
            yield together(group, f"unique_together[{index}]")

    def _profiled(self, evidence: Evidence) -> Evaluated | None:
        if self.infer is None:
            return None
        evaluated = evidence.record.content.evaluation if evidence.record else None
        if evaluated is None or not evaluated.profile:
            raise InputError(
                "the registered baseline has no profile of its data to infer a schema from",
                where="gates.data-schema.infer",
                hint="Register it again with `model-gates baseline register`, or write `columns`.",
            )
        return evaluated

    def _check(
        self, evidence: Evidence, expectation: Expectation, outcome: Outcome, name: str
    ) -> Check:
        policy = evidence.policy
        return Check(
            id=name,
            metric=expectation.type,
            columns=_columns(expectation),
            candidate=outcome.value,
            interval_of="candidate",
            confidence=policy.confidence,
            method="great_expectations",
            n=outcome.n,
            limit={Verb.MIN: outcome.limit},
            decide=Decide.POINT,
            mode=self._mode(policy, expectation),
            on_inconclusive=self.on_inconclusive or policy.on_inconclusive,
            problem=outcome.problem,
            skip=outcome.skip,
        )


def _columns(expectation: Expectation) -> tuple[str, ...] | None:
    return tuple(bounded(column) for column in expectation.about[:20]) or None


def _ids(gate: str, expectations: Iterable[Expectation]) -> Iterator[str]:
    """Yield the stable rule ids; those that would be alike are numbered."""
    seen: Counter[str] = Counter()
    for name in (_id(gate, expectation) for expectation in expectations):
        seen[name] += 1
        yield f"{name}#{seen[name]}" if seen[name] > 1 else name


def _id(gate: str, expectation: Expectation) -> str:
    about = ",".join(bounded(column) for column in expectation.about)
    at = f"@{bounded(about, 400)}" if about else ""
    return f"{gate}/{expectation.type}:min{at}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
