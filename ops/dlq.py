"""Show, send back or drop the dead letters: messages that no worker could deal with.

show     name each with its age, receives and body; they stay
redrive  send them to the job queue again; a body that is no job stays, unless --all sends it too
drop     remove them for good, with --yes

A dead letter is sent before it is removed: a crash in between repeats a message, which changes nothing. The
messages that are looked at are hidden from everybody else for five minutes, or until the command ends.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from anb.jobs import LARGEST_BATCH, Job
from ops.dependencies import Dependencies
from ops.queues import dead_letters_url
from ops.table import table, text

LIMIT = 1000
_WAIT_SECONDS = 1  # a long poll asks all of a queue's servers, a short one only some
_HIDDEN_SECONDS = 300
_LONGEST_BODY = 200


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="name them")
    redrive = actions.add_parser("redrive", help="send them to the job queue again")
    redrive.add_argument("--all", action="store_true", help="even those that no worker can read")
    drop = actions.add_parser("drop", help="remove them for good")
    drop.add_argument("--yes", action="store_true", help="really")
    for action in (show, redrive, drop):
        action.add_argument("--limit", type=int, default=LIMIT, metavar="N", help="look at so many (%(default)s)")


def run(arguments: argparse.Namespace, dependencies: Dependencies) -> int:
    """Do what is asked with up to `limit` dead letters."""
    with DeadLetters(dependencies, limit=arguments.limit) as letters:
        if arguments.action == "show":
            return _show(letters)
        if arguments.action == "redrive":
            return _redrive(dependencies, letters, everything=arguments.all)
        return _drop(letters, really=arguments.yes)


def _show(letters: "DeadLetters") -> int:
    shown = [(d.message_id, d.sent_at, d.receives, "yes" if d.is_job else "no", _short(d.body)) for d in letters]
    print(table(("message", "sent", "receives", "a job", "body"), shown))
    print(f"{len(shown)} dead letters")
    return 3 if shown else 0


def _redrive(dependencies: Dependencies, letters: "DeadLetters", *, everything: bool) -> int:
    sent, left = 0, 0
    for letter in letters:
        if letter.is_job or everything:
            dependencies.sqs.send_message(QueueUrl=dependencies.queue_url, MessageBody=letter.body)
            letters.remove(letter)
            print(f"sent  {letter.message_id}: {_short(letter.body)}")
            sent += 1
        else:
            print(f"left  {letter.message_id}, which is no job: {_short(letter.body)}")
            left += 1
    print(f"sent {sent} to the job queue, left {left}")
    return 3 if left else 0


def _drop(letters: "DeadLetters", *, really: bool) -> int:
    verb, doomed = "dropped" if really else "would drop", list(letters)
    for letter in doomed:
        if really:
            letters.remove(letter)
        print(f"{verb}  {letter.message_id}: {_short(letter.body)}")
    print(f"{verb} {len(doomed)} dead letters{'' if really else '; --yes does it'}")
    return 3 if doomed and not really else 0


class DeadLetters:
    """Up to `limit` dead letters, each once; after the block, those that were not removed are visible again."""

    def __init__(self, dependencies: Dependencies, *, limit: int) -> None:
        self._sqs, self._url, self._limit = dependencies.sqs, dead_letters_url(dependencies), limit
        self._held: dict[str, DeadLetter] = {}

    def __enter__(self) -> Self:
        while len(self._held) < self._limit:
            before = len(self._held)
            self._receive(at_most=min(LARGEST_BATCH, self._limit - before))
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
    return line if len(line) <= _LONGEST_BODY else f"{line[:_LONGEST_BODY]}…"
