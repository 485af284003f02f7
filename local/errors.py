"""Why the system does not run here.

CannotRun              each message is one line that says what to do
├── ProgramMissing     a system program is absent and could not be unpacked
├── PortTaken          we cannot listen there, as a rule because somebody else does
├── AlreadyRunning     another process uses the same state folder
├── ServiceFailed      a service died for good or never became ready
└── Stopped            it was told to stop before it was ready
"""


class CannotRun(Exception):
    """The system does not run here; the message is one line for whoever started it."""


class ProgramMissing(CannotRun):
    """A system program is absent and could not be unpacked."""


class PortTaken(CannotRun):
    """We cannot listen on the port, as a rule because somebody else does."""


class AlreadyRunning(CannotRun):
    """Another process uses the same state folder."""


class ServiceFailed(CannotRun):
    """A service died for good or never became ready."""


class Stopped(CannotRun):
    """It was told to stop before it was ready."""
