"""An emulated lab account, and the commands that people run in it."""

import base64
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy import cdk
from local.emulator import KEY, PYTHON, QUICK, REGION
from local.loopback import ADDRESS, status
from local.state import State
from local.supervisor import Service, Supervisor
from stacks import names

HERE = Path(__file__).parent
NUMBER = "123456789012"
COMMAND_SECONDS = 300  # of which 10 are work where nothing else runs


@dataclass(frozen=True)
class Lab:
    """A Learner Lab, as far as it can be had without one."""

    endpoint: str
    environment: Mapping[str, str]
    settings: Path
    """What all instances read as their settings."""
    said: list[str] = field(default_factory=list)
    """What the deployment printed."""
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client that can reach nothing else."""
        if service not in self._clients:
            session: Any = boto3.session.Session(KEY, KEY, region_name=REGION)
            self._clients[service] = session.client(service, endpoint_url=self.endpoint, config=QUICK)
        return self._clients[service]

    def user_data(self, stack: str) -> str:
        """What the instances of a stack's group run when they start, read back from the deployed launch template."""
        group = self.client("cloudformation").describe_stack_resource(
            StackName=stack, LogicalResourceId=names.GROUP_LOGICAL_ID
        )["StackResourceDetail"]["PhysicalResourceId"]
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
        asked = found["AutoScalingGroups"][0]["LaunchTemplate"]
        versions = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=asked["LaunchTemplateId"], Versions=[asked["Version"]]
        )["LaunchTemplateVersions"]
        return base64.b64decode(versions[0]["LaunchTemplateData"]["UserData"]).decode()

    def deploy(self, *arguments: str, status: int = 0) -> str:
        """Run our own command, which is expected to end with this status; what it printed."""
        return self._run(sys.executable, "-m", "deploy", *arguments, status=status)

    def deploy_answering(self, *arguments: str, answers: str, status: int = 0) -> str:
        """The same on a terminal on which somebody answers."""
        terminal, stdin = pty.openpty()
        try:
            os.write(terminal, answers.encode())
            return self._run(sys.executable, "-m", "deploy", *arguments, status=status, stdin=stdin)
        finally:
            os.close(terminal)
            os.close(stdin)

    def ops(self, *arguments: str, status: int = 0) -> str:
        """Look after what is deployed, from the operator's own machine; what the command printed."""
        return self._run(sys.executable, "-m", "ops", "--aws", *arguments, status=status)

    def give_instances(self, settings: Mapping[str, str]) -> None:
        """Write the file that an instance's boot writes; all instances of the account read the same one."""
        self.settings.write_text("".join(f'{name}="{value}"\n' for name, value in settings.items()))

    def cdk(self, *arguments: str, app: str = str(cdk.ASSEMBLY), status: int = 0) -> str:
        """Run CDK's own command, by default on what was synthesised last; what it printed."""
        return self._run(str(cdk.PROGRAM), *arguments, "--app", app, "--no-notices", status=status)

    def _run(self, *command: str, status: int = 0, stdin: int = subprocess.DEVNULL) -> str:
        done = subprocess.run(
            command,
            cwd=cdk.ROOT,
            env=dict(self.environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == status, f"{' '.join(command)}\n{done.stdout[-6000:]}"
        return done.stdout


@contextmanager
def running_lab(folder: Path, *, app: str) -> Iterator[Lab]:
    """An account with nothing in it but the instance profile that a lab lends; `app` is what CDK synthesises with.

    Skips where the CDK command line is not installed.
    """
    if not cdk.PROGRAM.exists():
        pytest.skip("the CDK command line is not installed: run npm ci")
    lab, service = _prepare(State(folder), app)
    lines: list[str] = []
    emulator = Supervisor([service], write=lambda _name, line: lines.append(line))
    try:
        emulator.start_all()
        lab.client("iam").create_instance_profile(InstanceProfileName="LabInstanceProfile")
        yield lab
    except BaseException:
        sys.stderr.write("\n".join(lines[-50:]))
        raise
    finally:
        emulator.stop_all()


def _prepare(state: State, app: str) -> tuple[Lab, Service]:
    port = state.port("emulator")
    endpoint, settings = f"http://{ADDRESS}:{port}", state.folder("instances") / "settings.env"
    service = Service(
        name="emulator",
        command=[str(PYTHON), str(HERE / "emulated_aws.py")],
        environment=state.environment()
        | {
            "BIND_HOST": ADDRESS,
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": ADDRESS,
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": NUMBER,
            "LOG_LEVEL": "WARNING",
            "OPS_ON_INSTANCE": f"{sys.executable} {HERE / 'ops_on_instance.py'} {settings}",
            "STATE_DIR": str(state.folder("emulator")),
            "S3_DATA_DIR": str(state.folder("objects")),
        },
        is_ready=lambda: status(port, "/_ministack/health") == 200,
    )
    nowhere = str(state.folder("aws") / "none")
    return Lab(
        endpoint,
        # Nothing of whoever runs the tests comes along: no slip can reach an account of theirs
        state.environment()
        | {
            "PATH": cdk.PATH,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_APP": app,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_VALIDATION": "false",  # 4 s of another validator, which tests/stacks makes up for
            "NODE_NO_WARNINGS": "1",
        },
        settings,
    ), service
