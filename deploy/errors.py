"""Why an account is left as it is.

CannotDeploy           each message says what is in the way and what to do about it
├── WrongSettings      what was asked for is not allowed, or contradicts itself
└── Missing            credentials, rights, a tool or a bucket that has to be there first
"""


class CannotDeploy(Exception):
    """One sentence that says what is in the way and what to do about it."""


class WrongSettings(CannotDeploy):
    """What was asked for is not allowed, or contradicts itself."""


class Missing(CannotDeploy):
    """Credentials, rights, a tool or a bucket that has to be there first."""
