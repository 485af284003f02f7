"""Show, send back or drop dead letters.

Dead letters are messages that no worker could deal with. One is sent before it is removed: a crash in between repeats
a message, which changes nothing. The messages that are looked at are hidden from everybody else for five minutes, or
until the command ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import click

from anb import commands
from anb.jobs import MAX_BATCH, Job
from ops.dependencies import Dependencies
from ops.queues import dead_letters_url
from ops.table import table, text

LIMIT = 1000
_WAIT_SECONDS = 1  # a long poll asks all of a queue's servers, a short one only some
_HIDDEN_SECONDS = 300
_MAX_BODY_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message that came back too often."""

    message_id: str
    body: str
    receipt: str
    receives: int
    sent_at: datetime

    @property
    def is_job(self) -> bool:
        """Whether a worker could read it."""
        return Job.from_body(self.body) is not None


@click.group("dlq", help=__doc__)
def command() -> None:
    """Do nothing by itself."""


limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, metavar="N", help="Look at so many."
)


@command.command()
@limit_option
@commands.json_option
@click.pass_obj
def show(dependencies: Dependencies, *, limit: int, as_json: bool) -> int:
    """Name each with its age, receives and body; they stay."""
    with DeadLetters(dependencies, limit=limit) as letters:
        found = list(letters)
    if as_json:
        commands.print_json([_report(letter) for letter in found])
    else:
        rows = [(d.message_id, d.sent_at, d.receives, "yes" if d.is_job else "no", _short(d.body)) for d in found]
        print(table(("message", "sent", "receives", "a job", "body"), rows))
        print(f"{len(found)} dead letters")
    return commands.FAILED if found else commands.DONE


@command.command()
@limit_option
@click.option("--all", "everything", is_flag=True, help="Send even those that no worker can read.")
@commands.json_option
@click.pass_obj
def redrive(dependencies: Dependencies, *, limit: int, everything: bool, as_json: bool) -> int:
    """Send them to the job queue again; a body that is no job stays, unless --all sends it too."""
    sent, left = [], []
    with DeadLetters(dependencies, limit=limit) as letters:
        for letter in letters:
            if letter.is_job or everything:
                dependencies.sqs.send_message(QueueUrl=dependencies.queue_url, MessageBody=letter.body)
                letters.remove(letter)
                _tell(f"sent  {letter.message_id}: {_short(letter.body)}", as_json=as_json)
                sent.append(letter)
            else:
                _tell(f"left  {letter.message_id}, which is no job: {_short(letter.body)}", as_json=as_json)
                left.append(letter)
    if as_json:
        commands.print_json({"sent": [_report(it) for it in sent], "left": [_report(it) for it in left]})
    else:
        print(f"sent {len(sent)} to the job queue, left {len(left)}")
    return commands.FAILED if left else commands.DONE


@command.command()
@limit_option
@click.option("--yes", is_flag=True, help="Remove them, instead of only naming them.")
@commands.json_option
@click.pass_obj
def drop(dependencies: Dependencies, *, limit: int, yes: bool, as_json: bool) -> int:
    """Remove them for good, with --yes."""
    verb = "dropped" if yes else "would drop"
    with DeadLetters(dependencies, limit=limit) as letters:
        found = list(letters)
        for letter in found:
            if yes:
                letters.remove(letter)
            _tell(f"{verb}  {letter.message_id}: {_short(letter.body)}", as_json=as_json)
    if as_json:
        commands.print_json({"dropped": yes, "messages": [_report(letter) for letter in found]})
    else:
        print(f"{verb} {len(found)} dead letters{'' if yes else '; --yes does it'}")
    return commands.FAILED if found and not yes else commands.DONE


def _tell(line: str, *, as_json: bool) -> None:
    """Say what is done while it is done: to other programs on stderr, in case it is interrupted."""
    click.echo(line, err=as_json)


class DeadLetters:
    """Up to `limit` dead letters, each once; after the block, those that were not removed are visible again."""

    def __init__(self, dependencies: Dependencies, *, limit: int) -> None:
        self._sqs, self._url, self._limit = dependencies.sqs, dead_letters_url(dependencies), limit
        self._held: dict[str, DeadLetter] = {}

    def __enter__(self) -> Self:
        while len(self._held) < self._limit:
            before = len(self._held)
            self._receive(at_most=min(MAX_BATCH, self._limit - before))
            if len(self._held) == before:
                break
        return self

    def __exit__(self, *_: object) -> None:
        for letter in self._held.values():
            self._sqs.change_message_visibility(QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)

    def __iter__(self) -> Iterator[DeadLetter]:
        """The oldest first."""
        return iter(sorted(self._held.values(), key=lambda letter: letter.sent_at))

    def remove(self, letter: DeadLetter) -> None:
        """Remove one for good."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)
        del self._held[letter.message_id]

    def _receive(self, *, at_most: int) -> None:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=at_most,
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=_HIDDEN_SECONDS,
            AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", []):
            attributes = message["Attributes"]
            self._held[message["MessageId"]] = DeadLetter(
                message_id=message["MessageId"],
                body=message["Body"],
                receipt=message["ReceiptHandle"],
                receives=int(attributes["ApproximateReceiveCount"]),
                sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
            )


def _short(body: str) -> str:
    line = text(body)
    return line if len(line) <= _MAX_BODY_LENGTH else f"{line[:_MAX_BODY_LENGTH]}…"


def _report(letter: DeadLetter) -> dict[str, object]:
    return {
        "message_id": letter.message_id,
        "sent_at": letter.sent_at.isoformat(),
        "receives": letter.receives,
        "is_job": letter.is_job,
        "body": letter.body,
    }
