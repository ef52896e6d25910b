"""Strings that somebody could put into a column, a group, a model or a path."""

from gates.picture import Flip, Flips, GroupRate, Portrait
from gates.report import (
    BaselineInfo,
    CandidateInfo,
    CiInfo,
    Effect,
    ErrorInfo,
    GateResult,
    GitInfo,
    PolicyInfo,
    RunInfo,
    Verdict,
)
from tests import reports

MARKER = "model-gates:v1 id=default"

HOSTILE = (
    "a|b | 0.99",
    "two\nlines\r\nand \u2028 more\ttabs\x00",
    "`code` ``two`` ```fence",
    "\n```\n# heading\n```",
    "~~~\ntilde",
    "<img src=x onerror=alert(1)>",
    "![pixel](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "<a href='http://evil.example'>x</a>",
    "www.evil.example http://evil.example someone@evil.example",
    "@org/team @user",
    "#123 GH-1 owner/repo#9",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "closes #1",
    f"<!-- {MARKER} -->",
    "--> <!--",
    "</details></summary><details open>",
    "\u202eevil\u2066x\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "x" * 10_000,
    "{{7*7}} {% include 'x' %} ${{ secrets.TOKEN }}",
    "::error::pwned %0A::warning::x",
    "\\| \\\\| \\`",
    "*bold* _it_ ~~no~~ :white_check_mark: $x$",
    "<script>alert(1)</script>",
    '$(id) `id` ";id;" --help -rf',
    "[bold red]markup[/] [link=http://evil.example]x[/link]",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link",
    "[^1] [x] - [ ] task",
    "",
)


def hostile_report(name):
    """A report with `name` everywhere a stranger could put one."""
    bad = name[:200] or " "
    check = reports.make_check(
        "fairness/recall",
        {"max_drop": 0.01},
        baseline=0.8,
        candidate=0.7,
        interval=(-0.2, -0.05),
        slice={bad: bad},
    ).model_copy(update={"id": f"fairness/recall:max_drop@{bad}"})
    # Decided by somebody else than us, in their own words.
    alien = reports.make_check(
        "fairness/precision", {"max_drop": 0.01}, baseline=0.8, candidate=0.79, method=bad
    ).model_copy(update={"verdict": Verdict.FAIL, "effect": Effect.BLOCK, "reason": name[:2000]})
    unknown = reports.make_check("x/y", {"min": 0.5}, problem=name[:1900] or " ", sensitive=(bad,))
    gate = reports.make_gate(
        bad,
        check,
        unknown.model_copy(update={"metric": bad}),
        reports.share("held"),
        summary=bad,
        hint=bad,
        notes=(bad,),
        groups=(
            GroupRate(sensitive=(bad,), group={bad: bad}, metric=bad, n=None, note=bad),
            GroupRate(
                sensitive=(bad,), group={bad: "another"}, metric="recall", n=5, candidate=0.5
            ),
        ),
    )
    gate = gate.model_copy(update={"checks": (*gate.checks, alien)})
    error = ErrorInfo(kind="bug", exit_code=70, message=bad, where=bad, hint=bad, details=(bad,))
    model = reports.make_model(
        gate,
        GateResult(gate=bad, error=error),
        model=bad,
        notes=(bad,),
        candidate=CandidateInfo(ref=bad, digest=reports.DIGEST, rows=1),
        baseline=BaselineInfo(
            ref=bad, version=1, digest=reports.DIGEST, registered_at=bad, git_sha=bad
        ),
        portrait=Portrait(flips=flips(bad)),
    )
    return reports.make_report(
        model,
        run=RunInfo(
            started=bad,
            config=bad,
            git=GitInfo(sha=bad, base_sha=bad, ref=bad),
            ci=CiInfo(provider=bad, url=name[:2000]),
        ),
        waivers=(bad,),
        policy=PolicyInfo(digest=reports.DIGEST, source="base", changes=(bad,)),
    )


def flips(bad):
    """Changed answers in a slice of that name, with the ids of rows that are called so."""
    overall = Flip(rows=100, changed=40, fixed=10, broken=30)
    part = Flip(slice={bad: bad}, rows=20, changed=20, fixed=0, broken=20)
    return Flips(overall=overall, slices=(part,), broken_ids=(bad, "7"))
