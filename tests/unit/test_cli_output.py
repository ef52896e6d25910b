"""What a user's command printed, as it is shown: bounded, and obeyed by nobody."""

import pytest

from gates.cli.output import MAX_LINES, MAX_WIDTH, quoted
from tests.hostile import HOSTILE


@pytest.mark.parametrize(
    "line",
    [
        *HOSTILE,
        "::set-output name=a::b",
        "\u00a0 ::error::x",
        "\u200b::error::x",
        "##[add-mask]x",
        "a #\u200b#[set-env name=A]b",
        "######[group]",
        "##vso[task.setvariable variable=a]b",
        "x\r::error::x",
        "x\x85::error::x",
        "x\u2028::error::x",
    ],
)
def test_no_line_is_a_command_to_a_runner(line):
    for shown in quoted(f"before\n{line}\nafter").splitlines()[1:]:
        assert shown.startswith("  | ")
        assert "##" not in shown
        assert shown.isprintable()


def test_the_end_is_shown_and_bounded():
    shown = quoted("\n".join(f"{n} " + "x" * 10_000 for n in range(1000))).splitlines()
    assert shown[0] == f"the command printed (last {MAX_LINES} lines):"
    assert len(shown) == 1 + MAX_LINES
    assert shown[-1].startswith("  | 999 xxx")
    assert max(map(len, shown)) <= MAX_WIDTH + len("  | ")


def test_a_short_output_is_whole():
    assert quoted("one\ntwo\n") == "the command printed (2 lines):\n  | one\n  | two"
