"""What tells one API from another: its names, its headers, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AGAIN = "Try again later."


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """An API that the client talks to; `address` and `token` are variables of the environment.

    `get_token` says where a token comes from; `sent_as` is the header that it goes in, with what
    stands before it there.
    """

    name: str
    address: str
    looks_like: str
    token: str
    get_token: str
    sent_as: tuple[str, str]
    headers: Mapping[str, str]
    hints: Mapping[int, str]


GITHUB = Service(
    name="GitHub",
    address="GITHUB_API_URL",
    looks_like="https://api.github.com, or https://HOST/api/v3",
    token="GITHUB_TOKEN",  # noqa: S106  (a variable's name)
    get_token="Hand on `github.token`: `env: {GITHUB_TOKEN: ${{ github.token }}}`.",  # noqa: S106
    sent_as=("Authorization", "Bearer "),
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    hints={
        401: "The token is not valid (any more): check `github-token`.",
        403: "Give the job the permission to write it (`permissions:` of the workflow). A pull "
        "request from a fork, or by Dependabot, has a read-only token: publish in a "
        "`workflow_run` job.",
        404: "Check the repository and the number, and that the token may see them.",
        409: "Something else changed it at the same time: try again.",
        422: "GitHub takes no such content: the message says what it has against it.",
        429: AGAIN,
    },
)
