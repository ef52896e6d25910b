"""The configuration's loader: any bytes are a configuration, or an error that says where."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from gates.config import validate
from gates.errors import ConfigError
from gates.yaml_source import parse
from tests.fuzz.bounds import soon

WHOLE = b"""\
version: 1
defaults: {confidence: 0.9, correction: max_t}
models:
  credit:
    task: binary
    paths: [models/**]
    data: {evaluation: data.csv, id: id, label: y, cluster: c}
    candidate: {predictions: out/p.csv, artifact: model}
    gates:
      artifact: {allow: [a.b.C]}
      data-schema: {columns: {age: {type: integer, min: 18}}}
      performance:
        metrics: {roc_auc: {min: 0.8, max_drop: 0.01}}
        slices: [region, {name: young, where: "age < 25"}]
      fairness: {sensitive: [sex, [sex, region]], metrics: {selection_rate: {max: 0.9}}}
"""
FRAGMENTS = [
    "a", "b", ": ", ":", " ", "\n", "\n  ", "- ", "? ", "[", "]", "{", "}", ",", "&x ", "*x", "!", "!!str ", "!<a>",
    "|", ">", "|2", '"', "'", "\\", "\\x", "\\U00110000", "%YAML 1.1\n", "%TAG ! a\n", "---\n", "...\n", "#", "\t",
    "\r\n", "\r", "\ufeff", "\u2028", "\0", "1", "1.5", "_", "yes", "~", "<<", "=", "é", "😀", "@", "`", "%41", "%ff",
]  # fmt: skip
YAMLISH = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(
    lambda parts: "".join(parts).encode()
)


@st.composite
def edited(draw):
    """A configuration in which some words are others."""
    words = re.split(rb"(\W+)", WHOLE)
    for at in draw(st.lists(st.integers(0, len(words) - 1), min_size=1, max_size=3)):
        words[at] = draw(st.sampled_from([*(f.encode() for f in FRAGMENTS), *words]))
    return b"".join(words)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode) | YAMLISH | edited())
@example(b"a: \xff\xfe")
@example(b"]")
@example(b"? ? ?")
@example(WHOLE)
def test_any_bytes_are_a_configuration_or_an_error(raw):
    with soon():
        try:
            source = parse(raw, "f")
            assert set(source.marks) == set(source.value_marks)
            assert all(isinstance(key, str) for key in source.data)
            validate(source)
        except ConfigError as error:
            said = f"{error}"
            assert re.match(r"f(:\d+:\d+)?: |f:|\d+ problems|.* problem", said), said
            assert said.encode()  # can be printed: no half of a surrogate pair
