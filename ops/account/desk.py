"""Where an operator sits: beside the system that runs on this machine, or before one in an account."""

import os
import time
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from anb.settings import Settings, variable
from anb.timings import Timings
from deploy.account import Account, open_account
from deploy.errors import Missing, WrongSettings
from local.cli import STATE
from local.state import State
from ops.account.groups import Fleets
from ops.dependencies import Dependencies
from stacks.names import Names
from stacks.profiles import ACADEMY, ProfileError, choose

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Desk(Dependencies):
    """The parts of the system that the environment names, else of `make run`; where neither is, an account's.

    `aws` chooses the account all the same; `settings` are those of a deployment, such as prefix.
    """

    def __init__(self, environment: Mapping[str, str], timings: Timings, *, state: Path | None = None) -> None:
        super().__init__(environment, timings)
        self._state = State(state or STATE)
        self.aws = False
        self.settings: dict[str, str] = {}

    @property
    def is_on_aws(self) -> bool:
        """Whether the system is one in an account."""
        return self.aws or self._here is None

    def rest(self, seconds: float) -> None:
        """Wait before AWS is asked again."""
        time.sleep(seconds)

    @property
    def logs_folder(self) -> Path:
        """Where `make run` writes what its services print."""
        return self._state.root / "logs"

    @cached_property
    def account(self) -> Account:
        """The account; raises Missing without credentials for one."""
        region = self.settings.get("region", ACADEMY.region)
        try:
            account = open_account(region, chosen="region" in self.settings)
            account.identity()
        except Missing as reason:
            if self.aws:
                raise
            raise Missing(f"No system runs on this machine, and on AWS none can be asked for. {reason}") from None
        return account

    @cached_property
    def names(self) -> Names:
        """What the deployment's things are called."""
        try:
            return choose(ACADEMY.name, self.settings).names
        except ProfileError as error:
            raise WrongSettings(str(error)) from None

    @cached_property
    def fleets(self) -> Fleets:
        """The web servers and the workers of the deployment."""
        return Fleets(self.account, self.names)

    @cached_property
    def sqs(self) -> "SQSClient":
        """The queue's own client: dead letters are looked at from here, wherever the queue is."""
        if not self.is_on_aws:
            return super().sqs
        client: SQSClient = self.account.client("sqs")
        return client

    @property
    def queue_url(self) -> str:
        """The job queue."""
        if not self.is_on_aws:
            return super().queue_url
        return str(self.sqs.get_queue_url(QueueName=self.names.job_queue)["QueueUrl"])

    def _settings_environment(self) -> Mapping[str, str]:
        found = self._here or {}
        os.environ |= found  # where boto3 reads which services it talks to
        return found

    @cached_property
    def _here(self) -> Mapping[str, str] | None:
        if any(variable(field.name) in self._environment for field in fields(Settings)):
            return self._environment
        return self._state.published()
