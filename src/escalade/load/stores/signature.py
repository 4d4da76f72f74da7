"""AWS Signature Version 4 for S3, as far as GET, PUT and HEAD of a path need it.

A signature takes 10 µs of CPU where botocore's signer takes 120, and needs none of its 30 MB.
The body is not part of it (`UNSIGNED-PAYLOAD`): hashing what is sent would cost the load
generator more than sending it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from escalade.errors import InputError
from escalade.load.stores.secrets import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_ACCESS_KEY = "escalade"
"""Name that goes with a secret that was made for a cell."""
UNSIGNED = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """Who signs.

    Parameters
    ----------
    access_key, secret_key
        The pair.
    token
        Of a session; None for lasting credentials.
    """

    access_key: str
    secret_key: str
    token: str | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Credentials:
        """Read them from the file `secret_file`, else from the environment; never from parameters.

        Raises
        ------
        InputError
            When there are none.
        """
        if (file := parameters.get("secret_file")) is not None:
            return cls(OWN_ACCESS_KEY, read_secret(file))
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        pair = [os.environ.get(name) for name in names]
        if not all(pair):
            raise InputError(
                "There are no credentials for the object store: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they have one) in the environment."
            )
        return cls(str(pair[0]), str(pair[1]), os.environ.get("AWS_SESSION_TOKEN"))


def signed(
    credentials: Credentials,
    method: str,
    *,
    host: str,
    path: str,
    region: str,
    headers: Mapping[str, str] | None = None,
    payload: str = UNSIGNED,
    at: float | None = None,
) -> dict[str, str]:
    """Give the headers of a signed request.

    Parameters
    ----------
    credentials
        Who signs.
    method, host, path
        As the request has them; the path unescaped, without a query.
    region
        Of the bucket.
    headers
        Further ones that are signed and sent.
    payload
        SHA-256 of the body, or `UNSIGNED`.
    at
        Unix seconds; now by default.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    own = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if credentials.token:
        own["x-amz-security-token"] = credentials.token
    told = {name.lower(): value.strip() for name, value in (headers or {}).items()} | own
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
    canonical = f"{method}\n{escaped(path)}\n\n{lines}\n{names}\n{payload}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    key = _key(credentials.secret_key, stamp[:8], region)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    who = f"Credential={credentials.access_key}/{scope}"
    told["Authorization"] = f"{_ALGORITHM} {who}, SignedHeaders={names}, Signature={signature}"
    return told


def escaped(path: str) -> str:
    """Write a path as it is signed and sent."""
    return quote(path, safe="/-_.~")


@lru_cache(maxsize=16)
def _key(secret: str, day: str, region: str) -> bytes:
    """Derive the key of a day, which signs all its requests."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
