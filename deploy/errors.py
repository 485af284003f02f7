"""Why an account is left as it is."""


class CannotDeploy(Exception):
    """One sentence that says what is in the way and what to do about it."""
