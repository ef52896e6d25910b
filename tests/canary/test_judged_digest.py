"""By which digest a candidate is looked for in a record: an image's, a file's, a folder's."""

import pytest

from gates.canary.sight import Pinned
from gates.cli.canary_evidence import judged_digest

IMAGE, MODEL, OTHER = ("sha256:" + digit * 64 for digit in "abc")
FOLDER = MODEL.replace("sha256", "modelGatesFolderV1")


@pytest.mark.parametrize(
    ("held", "artifact", "asked"),
    [
        (IMAGE, MODEL, IMAGE),
        (MODEL, MODEL, MODEL),
        (FOLDER, MODEL, FOLDER),
        (OTHER, MODEL, MODEL),
        (None, MODEL, MODEL),
        (MODEL, None, IMAGE),
    ],
)
def test_a_candidate_is_asked_for_as_the_record_names_it(held, artifact, asked):
    candidate = Pinned(image="i", digest=IMAGE, artifact=artifact)
    assert judged_digest(held, candidate) == asked
