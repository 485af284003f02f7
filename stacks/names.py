"""Names by which things are found without importing the stack that made them. Nothing else has a physical name."""

from dataclasses import dataclass

# A worker completes its own termination: hook and group appear in its user data, which the group depends on
TERMINATION_HOOK = "finish-job"
# What `cfn-signal` names: the logical id of the group, once in each fleet's stack
GROUP_LOGICAL_ID = "Group"


@dataclass(frozen=True)
class Names:
    """What the things of one environment are called; two environments of an account share none of these.

    `prefix` is a capital letter and then small letters and digits, so that environments differ in small letters, too.
    """

    prefix: str

    @property
    def network(self) -> str:
        """The stack with the VPC."""
        return f"{self.prefix}Network"

    @property
    def data(self) -> str:
        """The stack with the database."""
        return f"{self.prefix}Data"

    @property
    def media(self) -> str:
        """The stack with videos and queue."""
        return f"{self.prefix}Media"

    @property
    def web(self) -> str:
        """The stack with the API."""
        return f"{self.prefix}Web"

    @property
    def worker(self) -> str:
        """The stack with the workers."""
        return f"{self.prefix}Worker"

    @property
    def observability(self) -> str:
        """The stack with dashboard and alarms."""
        return f"{self.prefix}Observability"

    @property
    def load(self) -> str:
        """The stack with the load generator, which is there when it is asked for."""
        return f"{self.prefix}Load"

    @property
    def bootstrap(self) -> str:
        """The stack with the bucket to upload to, where CDK's own bootstrap is not possible."""
        return f"{self.prefix}Bootstrap"

    @property
    def teardown(self) -> tuple[tuple[str, ...], ...]:
        """The stacks in the reverse of the order in which a deployment makes them; those of a row need no other."""
        return (self.load, self.observability), (self.web, self.worker, self.data), (self.media,), (self.network,)

    @property
    def stacks(self) -> tuple[str, ...]:
        """All stacks of a deployment, in the order in which they are destroyed."""
        return tuple(name for row in self.teardown for name in row)

    @property
    def database_parameter(self) -> str:
        """Where the fleets read at start which secret has the database's credentials.

        No stack imports the data stack, so that it can be destroyed and created again alone.
        """
        return f"/{self._small}/database"

    @property
    def database_secret(self) -> str:
        """The secret's logical id, which its name begins with: production's roles may read what begins so."""
        return f"{self.prefix}DatabaseSecret"

    @property
    def database_instance(self) -> str:
        """The database, whose metrics are found by this name while it does not exist."""
        return f"{self._small}-database"

    @property
    def job_queue(self) -> str:
        """The queue: dead letters that name their source, and a source that names them, need one known name."""
        return f"{self._small}-jobs"

    @property
    def worker_group(self) -> str:
        """The group that a worker completes its own termination in."""
        return f"{self._small}-workers"

    @property
    def metrics_namespace(self) -> str:
        """What the log agents' metrics are kept under."""
        return self.prefix.upper()

    @property
    def asset_bucket(self) -> str:
        """The bucket that the CLI uploads to with its own credentials, as a template writes it."""
        return f"{self._small}-assets-${{AWS::AccountId}}-${{AWS::Region}}"

    @property
    def _small(self) -> str:
        return self.prefix.lower()
