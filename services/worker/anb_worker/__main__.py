"""`python -m anb_worker run` works off the queue; `process` does the same to a file, without AWS or database."""

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from anb import aws, chores, logs
from anb.database import connect, sessions
from anb.jobs import SqsJobs
from anb.settings import SettingsError
from anb.storage import S3Storage
from anb_worker import process_file
from anb_worker.loop import Worker
from anb_worker.settings import WorkerSettings

POOL_SIZE = 4  # the loop, the heartbeat and the two chores


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m anb_worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="work off the queue until SIGTERM")
    process_file.add_arguments(commands.add_parser("process", help="process one local file"))
    arguments = parser.parse_args()
    return process_file.main(arguments) if arguments.command == "process" else run()


def run() -> int:
    """Work until SIGTERM or SIGINT, which finish or release the job under way."""
    logs.configure(service="worker")
    try:
        settings = WorkerSettings.from_environment(os.environ)
    except SettingsError as error:
        print(f"anb_worker: {error}", file=sys.stderr)  # noqa: T201 a command's answer to whoever ran it
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    factory = sessions(connect(settings.database_url, pool_size=POOL_SIZE))
    jobs = SqsJobs(aws.polling_sqs_client(), settings.queue_url)
    chores.start(factory, jobs, stop)
    Worker(
        sessions=factory,
        storage=S3Storage(aws.s3_client(), settings.media_bucket),
        jobs=jobs,
        scratch=Path(settings.scratch_dir),
        owner=f"{socket.gethostname()}:{os.getpid()}",
        stop=stop,
    ).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
