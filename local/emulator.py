"""S3 and SQS on this machine, with the bucket and the queues that the application expects."""

import json
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from anb.timings import Timings
from local.errors import CannotRun
from local.loopback import ADDRESS, status
from local.state import State
from local.supervisor import Service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

PYTHON = Path(__file__).resolve().parent.parent / ".venv-emulator" / "bin" / "python"
REGION = "us-east-1"
KEY = "test"  # the only one whose signatures it can check
ACCOUNT = "000000000000"

BUCKET = "anb-media"
QUEUE = "anb-videos"
DEAD_LETTERS = "anb-videos-dead"

# The same as in the cloud
RECEIVES_BEFORE_DEAD = 6
LONG_POLL_SECONDS = 20
DEAD_LETTERS_KEPT_SECONDS = 14 * 24 * 3600

QUICK = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}, proxies={})


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """Where S3 and SQS answer."""

    port: int
    web_origin: str
    """Whose pages may upload directly."""
    visibility_seconds: int
    """How long a received message stays invisible."""

    @property
    def endpoint(self) -> str:
        """The address of both services."""
        return f"http://{ADDRESS}:{self.port}"

    @property
    def queue_url(self) -> str:
        """The queue of videos to process."""
        return f"{self.endpoint}/{ACCOUNT}/{QUEUE}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes the AWS SDK talk to it, and the names of what is in it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "ANB_MEDIA_BUCKET": BUCKET,
            "ANB_QUEUE_URL": self.queue_url,
        }

    def is_ready(self) -> bool:
        """Whether it answers and holds bucket and queues, which are made here: SIGKILL loses the queues."""
        if status(self.port, "/_ministack/health") != 200:
            return False
        self.create_resources()
        return True

    def reset(self) -> None:
        """Forget all objects and messages; bucket and queues are there again."""
        with closing(HTTPConnection(ADDRESS, self.port, timeout=10)) as connection:
            connection.request("POST", "/_ministack/reset")
            connection.getresponse().read()
        self.create_resources()

    def messages(self) -> tuple[int, int]:
        """Return how many messages wait in the queue, and how many have been received and not deleted."""
        found = _sqs(self.endpoint).get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])[
            "Attributes"
        ]
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    def create_resources(self) -> None:
        """Bucket and queues, whatever is there already."""
        self._create_bucket(_s3(self.endpoint))
        self._create_queues(_sqs(self.endpoint))

    def _create_bucket(self, s3: "S3Client") -> None:
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # what it says after SIGKILL only
            s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_cors(
            Bucket=BUCKET,
            CORSConfiguration={
                "CORSRules": [
                    {
                        "AllowedOrigins": [self.web_origin],
                        "AllowedMethods": ["GET", "POST", "PUT"],
                        "AllowedHeaders": ["*"],
                        "ExposeHeaders": ["ETag"],
                    }
                ]
            },
        )

    def _create_queues(self, sqs: "SQSClient") -> None:
        dead = sqs.create_queue(QueueName=DEAD_LETTERS)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MessageRetentionPeriod": str(DEAD_LETTERS_KEPT_SECONDS)})
        dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        queue = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": RECEIVES_BEFORE_DEAD}
        sqs.set_queue_attributes(
            QueueUrl=queue,
            Attributes={
                "VisibilityTimeout": str(self.visibility_seconds),
                "ReceiveMessageWaitTimeSeconds": str(LONG_POLL_SECONDS),
                "RedrivePolicy": json.dumps(redrive),
            },
        )


# Making a client costs more than the calls that reset an emulator between two tests
@cache
def _s3(endpoint: str) -> "S3Client":
    return _session().client("s3", endpoint_url=endpoint, config=QUICK)


@cache
def _sqs(endpoint: str) -> "SQSClient":
    return _session().client("sqs", endpoint_url=endpoint, config=QUICK)


def _session() -> boto3.session.Session:
    return boto3.session.Session(KEY, KEY, region_name=REGION)


def prepare(state: State, *, web_origin: str, timings: Timings = Timings()) -> tuple[Emulator, Service]:
    """The emulator of a state folder, and the service that runs it."""
    if not PYTHON.exists():
        raise CannotRun("the emulator is not installed; run: make setup")
    emulator = Emulator(port=state.port("emulator"), web_origin=web_origin, visibility_seconds=timings.lease_seconds)
    service = Service(
        name="emulator",
        command=[str(PYTHON), "-m", "ministack"],
        environment=state.environment()
        | {
            "PYTHONUNBUFFERED": "1",
            "BIND_HOST": ADDRESS,
            "GATEWAY_PORT": str(emulator.port),
            "MINISTACK_HOST": ADDRESS,
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "SERVICES": "s3,sqs",
            "LOG_LEVEL": "WARNING",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(state.folder("emulator")),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(state.folder("objects")),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
        },
        is_ready=emulator.is_ready,
    )
    return emulator, service
