"""Links that let their holder read an object for a while, signed with AWS Signature Version 4.

botocore signs them too, and takes as long for one as a request may for all of it; here the parts that a period's
links share are made once. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

LINK_SECONDS = 900  # how long a link works, from the beginning of its period
PERIOD_SECONDS = 300  # how long the same link is handed out


@dataclass(frozen=True)
class _Period:
    """What the links of one period share."""

    begun: int
    credentials: "ReadOnlyCredentials"
    query: str
    scope: str
    time: str
    key: bytes


class LinkSigner:
    """Signs links to a bucket's objects; a link works for 10 to 15 minutes from when it is handed out."""

    def __init__(self, *, base_url: str, region: str, credentials: "Credentials", clock: Callable[[], float]) -> None:
        """`base_url` is the bucket's, without a slash at its end; `clock` tells the seconds since 1970."""
        parts = urlsplit(base_url)
        self._base_url, self._host, self._folder = base_url, parts.netloc, parts.path
        self._region, self._credentials, self._clock = region, credentials, clock
        self._period: _Period | None = None

    def sign(self, key: str) -> str:
        """Return the link to the object."""
        period = self._current_period()
        path = quote(f"{self._folder}/{key}", safe="/-_.~")
        request = f"GET\n{path}\n{period.query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{period.time}\n{period.scope}\n{digest}"
        signature = hmac.new(period.key, to_sign.encode(), hashlib.sha256).hexdigest()
        return f"{self._base_url}/{quote(key, safe='/-_.~')}?{period.query}&X-Amz-Signature={signature}"

    def _current_period(self) -> _Period:
        begun = int(self._clock()) // PERIOD_SECONDS * PERIOD_SECONDS
        credentials = self._credentials.get_frozen_credentials()
        period = self._period
        if period is None or period.begun != begun or period.credentials != credentials:
            period = self._period = self._begin(begun, credentials)
        return period

    def _begin(self, begun: int, credentials: "ReadOnlyCredentials") -> _Period:
        time = datetime.fromtimestamp(begun, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{time[:8]}/{self._region}/s3/aws4_request"
        values = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{credentials.access_key}/{scope}",
            "X-Amz-Date": time,
            "X-Amz-Expires": str(LINK_SECONDS),
            **({"X-Amz-Security-Token": credentials.token} if credentials.token else {}),
            "X-Amz-SignedHeaders": "host",
        }
        query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in values.items())
        key = f"AWS4{credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return _Period(begun, credentials, query, scope, time, key)
