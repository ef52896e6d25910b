"""AWS, asked: clients with limits, and errors that say what failed without a word that is secret.

boto3 is the extra `sagemaker`, and is imported only where a client is made or has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from gates.errors import EnvironmentFault
from gates.fields import bounded

# A call that does not answer within these (seconds) is given up; three are made at most.
_CONNECT, _READ, _CALLS = 5, 15, 3
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}\b")
_DENIED = frozenset({
    "AccessDenied", "AccessDeniedException", "ExpiredToken", "ExpiredTokenException",
    "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch",
    "UnauthorizedOperation", "UnrecognizedClientException",
})  # fmt: skip
_MISSING: Final = "model-gates[sagemaker]"


@dataclass(frozen=True, kw_only=True)
class Aws:
    """The clients of the services that a rollout on SageMaker asks (botocore's)."""

    sagemaker: Any
    cloudwatch: Any
    s3: Any


def connect(region: str | None, profile: str | None) -> Aws:
    """Return clients; credentials are found as by every tool of AWS, and never looked at here."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise EnvironmentFault(
            "boto3 is not installed, and a rollout on SageMaker needs it",
            hint=f"Install the extra: pip install '{_MISSING}'",
        ) from error
    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"mode": "standard", "total_max_attempts": _CALLS},
    )
    with calling("a session of AWS", "begin"):
        session = boto3.Session(region_name=region, profile_name=profile)
        return Aws(
            sagemaker=session.client("sagemaker", config=config),
            cloudwatch=session.client("cloudwatch", config=config),
            s3=session.client("s3", config=config),
        )


def code_of(error: Exception) -> str:
    """Return AWS's own code of a refusal, such as `PreconditionFailed`."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def calling(where: str, verb: str) -> Iterator[None]:
    """Turn what botocore raises into an EnvironmentFault; `verb` is what was to be done.

    AWS's own sentence goes to whoever started the command (`output`), and into no report: it can
    name accounts and roles. Nothing that looks like a key's id goes anywhere.
    """
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ParamValidationError:
        raise  # a request that AWS's own model forbids is a bug, and reads as one
    except ClientError as error:
        code = code_of(error)
        raise EnvironmentFault(
            f"AWS refused to {verb}: {bounded(code or 'no reason given', 100)}",
            where=where,
            hint=_hint(code),
            output=_KEY_ID.sub("(key)", bounded(error.response.get("Error", {}).get("Message"))),
        ) from None
    except BotoCoreError as error:
        raise EnvironmentFault(
            f"AWS could not be asked to {verb}: {type(error).__name__}",
            where=where,
            hint="Check the region, the profile, the credentials and the network.",
        ) from None


def _hint(code: str) -> str:
    if code in _DENIED:
        return "Check which credentials are used and what they allow (docs/canary-sagemaker.md)."
    return "See the command's own output for what AWS says of it."
