"""How gunicorn serves the API, here and on the instances. nginx in front of it buffers slow clients, but for uploads.

Settings: https://docs.gunicorn.org/en/stable/settings.html
"""

import logging
import os
import sys
import threading
from typing import Any

from gunicorn.glogging import Logger

from anb import logs, periodic_tasks
from anb_web import bodies, bulkheads
from anb_web.dependencies import dependencies

bind = os.environ.get("ANB_WEB_BIND", "127.0.0.1:8000")
workers = 2  # one per vCPU of an instance
worker_class = "anb_web.gunicorn_worker.Worker"
threads = bulkheads.threads()  # most of which wait: for their turn, for the object store, for the rest of an upload
timeout = 60
graceful_timeout = 30
keepalive = 90  # outlasts nginx's idle upstream connections, so that it never meets a closing one
# nginx bounds the request line and the headers, and says so in the API's shape; gunicorn would answer with HTML
limit_request_line = 0
limit_request_field_size = 16 * 1024
limit_request_fields = 32768
# What a proxy says is read in one place, by the application; two that contradict each other would be refused here
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
control_socket_disable = True
loglevel = "warning"


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 without types; the setting's name
    """gunicorn's own log, as lines like ours that quote no request."""

    def setup(self, cfg: Any) -> None:
        """Take the level from the settings; the rest is the same for all our logs."""
        super().setup(cfg)
        handler = logs.handler(service="web", stream=sys.stderr)
        handler.addFilter(_without_the_request)
        self.error_log.handlers = [handler]


def _without_the_request(record: logging.LogRecord) -> bool:
    what, quotes, _ = str(record.msg).partition(" request ")
    if quotes:
        record.msg, record.args = f"{what} request", ()
    return True


_stop = threading.Event()


def post_worker_init(worker: Any) -> None:
    """Start the periodic tasks in the process that serves, after the fork."""
    needed = dependencies(worker.wsgi)
    for task in (
        periodic_tasks.relay_task(needed.jobs, needed.timings),
        periodic_tasks.tally_task(needed.timings),
        periodic_tasks.purge_task(needed.timings),
        periodic_tasks.purge_origins_task(needed.timings),
        periodic_tasks.search_task(needed.timings),
    ):
        task.start(needed.engine, _stop)
    bodies.start_watch(worker.wsgi, _stop)


def worker_exit(_server: Any, _worker: Any) -> None:
    """Let the periodic tasks end with their process."""
    _stop.set()
