"""Why a clip has no processed video.

ProcessingFailure
├── Unprocessable   the file itself is the reason: another attempt would end the same
├── Crashed         too slow, stuck, killed or out of memory: another attempt may succeed
└── Cancelled       whoever asked for it does not want it any more
"""


class ProcessingFailure(Exception):
    """Processing ended without a result."""


class Unprocessable(ProcessingFailure):
    """The file cannot be processed, with a sentence in Spanish for the player."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Crashed(ProcessingFailure):
    """The processing broke down; the message is for the operator."""


class Cancelled(ProcessingFailure):
    """The processing was stopped on request."""
