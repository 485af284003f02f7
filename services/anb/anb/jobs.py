"""The queue of jobs: the port and its SQS adapter.

A message carries ids alone; the truth about a video is in its row, so that losing or repeating a message loses
and repeats nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self
from uuid import UUID

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Attempts that a message gets before SQS moves it to the dead-letter queue; above the attempts of a video
MAX_RECEIVES = 6
MAX_BATCH = 10  # messages in one SendMessageBatch, an SQS quota


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video that waits for a worker, and the request that brought it."""

    video_id: UUID
    request_id: str

    def to_body(self) -> str:
        """Return the message's body."""
        return json.dumps({"video_id": str(self.video_id), "request_id": self.request_id})

    @classmethod
    def from_body(cls, body: str) -> Self | None:
        """Return the job that a body describes, or None when it describes none."""
        try:
            sent = json.loads(body)
            return cls(video_id=UUID(sent["video_id"]), request_id=str(sent["request_id"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A received message: ours until its visibility timeout passes. `job` is None for a body we cannot read."""

    body: str
    receipt: str
    job: Job | None


class SendFailed(Exception):
    """The queue did not take every message."""


class Jobs(Protocol):
    """The queue. Every method may raise botocore's errors when it is away."""

    def send(self, jobs: Sequence[Job]) -> None:
        """Enqueue up to ten jobs; raise SendFailed unless the queue took all of them."""

    def receive(self, *, wait_seconds: int) -> Message | None:
        """Return the next message, waiting up to `wait_seconds` for one."""

    def change_visibility(self, message: Message, *, seconds: int) -> None:
        """Let nobody else receive the message for so many seconds from now; 0 hands it back at once."""

    def delete(self, message: Message) -> None:
        """Remove the message from the queue for good."""

    def backlog(self) -> int:
        """Return roughly how many messages wait or are being worked on."""

    def ping(self) -> None:
        """Raise an error unless the queue answers."""


class SqsJobs:
    """The queue as an SQS standard queue."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._url = queue_url

    def send(self, jobs: Sequence[Job]) -> None:
        entries = [{"Id": str(n), "MessageBody": job.to_body()} for n, job in enumerate(jobs)]
        answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type] # the stub wants its own TypedDict
        if failed := answer.get("Failed"):
            raise SendFailed(
                f"{len(failed)} of {len(entries)} messages: {failed[0].get('Message', failed[0]['Code'])}"
            )

    def receive(self, *, wait_seconds: int) -> Message | None:
        answer = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=1, WaitTimeSeconds=wait_seconds)
        for received in answer.get("Messages", []):
            body = received["Body"]
            return Message(body=body, receipt=received["ReceiptHandle"], job=Job.from_body(body))
        return None

    def change_visibility(self, message: Message, *, seconds: int) -> None:
        self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def delete(self, message: Message) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)

    def backlog(self) -> int:
        wanted = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=wanted)  # type: ignore[arg-type] # built from the literals that the stub lists
        return sum(int(count) for count in answer["Attributes"].values())

    def ping(self) -> None:
        self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
