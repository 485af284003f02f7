"""The boto3 clients. Region, credentials and endpoint come from the environment or the instance, never from us."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

MAX_POLL_SECONDS = 20  # SQS's own limit
CONNECT_SECONDS, READ_SECONDS, SERVING_READ_SECONDS = 3, 20, 10
POOLED_CONNECTIONS = 32  # as many requests of a web process may talk to the store at once
# S3's host of the client's own region, for links and forms, too. The global one sends requests for a new bucket of
# another region away with a 307, where a signature for the one host is none for the other:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
REGIONAL_S3 = Config(
    s3={
        "addressing_style": "virtual",
        "us_east_1_regional_endpoint": "regional",
        # A checksum goes with each upload; over TLS botocore leaves the second one, of 100 MB, out by itself
        "payload_signing_enabled": False,
    }
)
# botocore's own name tells its version and the machine's, and takes a tenth of each call to put together
_USER_AGENT = "anb-rising-stars"


def credentials() -> "Credentials":
    """Return what the clients sign with too; NoCredentialsError when there is nothing."""
    found = boto3.Session().get_credentials()
    if found is None:
        raise NoCredentialsError
    return found


def s3_client() -> "S3Client":
    """Return a client that retries twice."""
    return _s3_client(read_seconds=READ_SECONDS, attempts=3)


def serving_s3_client() -> "S3Client":
    """Return a client that gives up within half a minute: somebody waits, and nginx for a minute only."""
    return _s3_client(read_seconds=SERVING_READ_SECONDS, attempts=2)


def _s3_client(*, read_seconds: int, attempts: int) -> "S3Client":
    return boto3.client(
        "s3",
        config=REGIONAL_S3.merge(
            Config(
                user_agent=_USER_AGENT,
                signature_version="s3v4",
                connect_timeout=CONNECT_SECONDS,
                read_timeout=read_seconds,
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=POOLED_CONNECTIONS,
            )
        ),
    )


def sending_sqs_client() -> "SQSClient":
    """Return a client that gives up after 2 s: a request of somebody's waits for it, and the relay sends again."""
    return boto3.client(
        "sqs",
        config=Config(
            user_agent=_USER_AGENT,
            connect_timeout=1,
            read_timeout=2,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=POOLED_CONNECTIONS,
        ),
    )


def polling_sqs_client() -> "SQSClient":
    """Return a client that outlasts the longest poll."""
    return boto3.client(
        "sqs",
        config=Config(
            user_agent=_USER_AGENT,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=MAX_POLL_SECONDS + 10,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )
