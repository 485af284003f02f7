"""The user data of the deployed launch templates runs for real, in machines that systemd boots.

CDK's own command line deploys everything, with the real artefacts, to an emulated AWS, where the user data is read
back. A machine boots over a copy of this one, which keeps its own files, and shares its network: port 80 is taken.
What the machine lacks of Amazon Linux stands in: dnf and aws are small programs, and cfn-signal, the CloudWatch
agent's control program and the metadata service write down what they are told.
"""

import datetime as dt
import ipaddress
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.client import Client
from local import database, emulator, packages, parent_death
from local.errors import ProgramMissing
from local.loopback import check_free, status
from local.packages import Program
from local.state import State
from local.supervisor import Supervisor
from stacks.profiles import ACADEMY
from stacks.web import PORT, RAISED_LIMITS
from tests.deploy.lab import Lab, running_lab
from tests.people import PASSWORD, registration
from tests.waiting import until
from twin.instance_cloud import InstanceCloud, running_cloud

ROOT = Path(__file__).resolve().parents[2]
# ---- what stands in for Amazon Linux

STAND_INS = {
    # Fails once for each line that is in the file, and says it
    "usr/bin/dnf": """#!/bin/bash
echo "dnf $*" >>/var/log/stand-ins.log
[[ -s /var/lib/dnf-fails ]] || exit 0
head --lines 1 /var/lib/dnf-fails
sed -i 1d /var/lib/dnf-fails
exit 1
""",
    "usr/bin/aws": f"""#!/bin/bash
if [[ "$1 $2" == "s3 cp" ]]; then
    exec {sys.executable} -c '
import boto3, sys
bucket, _, key = sys.argv[-2].removeprefix("s3://").partition("/")
boto3.client("s3").download_file(bucket, key, sys.argv[-1])' "$@"
fi
exit 1
""",
    "opt/aws/bin/cfn-signal": """#!/bin/bash
echo "cfn-signal $*" >>/var/log/stand-ins.log
[[ ! -e /var/lib/nobody-waits ]]
""",
    "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl": """#!/bin/bash
set -e
echo "amazon-cloudwatch-agent-ctl $*" >>/var/log/stand-ins.log
python3 -m json.tool /etc/anb/cloudwatch-agent.json >/dev/null
""",
}
UNITS = {
    "amazon-cloudwatch-agent.service": "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    "multi-user.target": """
[Unit]
Requires=basic.target
After=basic.target
Wants=user-data.service
AllowIsolate=yes
""",
    # As cloud-init does: once in the life of an instance
    "user-data.service": """
[Unit]
ConditionPathExists=!/var/lib/user-data-ran
[Service]
Type=oneshot
ExecStartPre=/bin/touch /var/lib/user-data-ran
ExecStart=/bin/bash /var/lib/user-data
StandardOutput=append:/var/log/cloud-init-output.log
StandardError=inherit
""",
}
MASKED = ("systemd-tmpfiles-setup", "systemd-udevd", "systemd-udev-trigger", "systemd-networkd-wait-online")

BOOT = """
mount -t overlay overlay -o "lowerdir=/,upperdir=$MACHINE/upper,workdir=$MACHINE/work" "$MACHINE/root"
exec "$@"
"""


class Machine:
    """A virtual instance; its files are in `upper`, this machine's own are never touched."""

    def __init__(self, folder: Path, *, nspawn: Program, nginx: Program, environment: Mapping[str, str]) -> None:
        self._folder, self._nspawn = folder, nspawn
        self.upper = folder / "upper"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        for name, text in STAND_INS.items():
            self.write(name, text, mode=0o755)
        for name, text in UNITS.items():
            self.write(f"etc/systemd/system/{name}", text)
        for name in MASKED:
            (self.upper / f"etc/systemd/system/{name}.service").symlink_to("/dev/null")
        variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
        self.write("etc/systemd/system.conf.d/test.conf", f"[Manager]\nDefaultEnvironment={variables}\n")
        self.write("etc/machine-id", "")
        self._hide_services_of_this_machine()
        self._install_nginx(nginx)

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        path = self.upper / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, name: str) -> str:
        path = self.upper / name
        return path.read_text() if path.exists() else ""

    def told(self) -> str:
        """What the stand-ins were told."""
        return self.read("var/log/stand-ins.log")

    def output(self) -> str:
        """What the user data printed."""
        return self.read("var/log/cloud-init-output.log")

    def power_on(self, user_data: str | None = None) -> None:
        if user_data is not None:
            self.write("var/lib/user-data", user_data)
        with (self._folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                parent_death.dying_with_us(
                    (
                        *("unshare", "--mount", "bash", "-ec", BOOT, "boot", str(self._nspawn.path)),
                        *("--register=no", "--keep-unit", "--quiet", "--link-journal=no", "--console=pipe"),
                        *("-D", str(self._folder / "root"), "-b", "systemd.unit=multi-user.target"),
                    )
                ),
                env={
                    **os.environ,
                    **self._nspawn.environment,
                    "MACHINE": str(self._folder),
                    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def power_off(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._process = None

    def cut_power(self) -> None:
        """Kill the first of its processes, with which the kernel kills the others.

        They outlive a systemd-nspawn that is killed itself, which is done only where it has not started any yet.
        """
        if not self.is_on():
            return
        assert self._process is not None
        first = self.first_process()
        os.kill(first or self._process.pid, signal.SIGKILL)
        self._process.wait()

    def first_process(self) -> int | None:
        """Return the process that is the first one inside, as this machine numbers it."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, *command: str) -> str:
        """Run a command inside; return what it printed."""
        first = str(self.first_process())
        done = subprocess.run(
            ["nsenter", "--target", first, "--mount", "--uts", "--ipc", "--pid", "--cgroup", *command],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        return (done.stdout + done.stderr).strip()

    def show(self, unit: str, what: str) -> str:
        return self.run("systemctl", "show", "--property", what, "--value", unit)

    def _hide_services_of_this_machine(self) -> None:
        """Start what the user data enables, and nothing that is enabled here."""
        for folder in ("etc/systemd/system", "usr/lib/systemd/system"):
            for wants in Path("/", folder).glob("*.target.wants"):
                if folder.startswith("etc") or wants.name in {"multi-user.target.wants", "timers.target.wants"}:
                    hidden = self.upper / folder / wants.name
                    hidden.mkdir(parents=True, exist_ok=True)
                    os.setxattr(hidden, "trusted.overlay.opaque", b"y")

    def _install_nginx(self, nginx: Program) -> None:
        """Put it where Amazon's package has it, unless this machine has it there."""
        if Path("/usr/sbin/nginx").exists():
            return
        copy = self.upper / "opt" / "nginx"
        shutil.copytree(nginx.prefix.parent, copy, symlinks=True)
        libraries = ":".join(
            f"/opt/nginx/{Path(folder).relative_to(nginx.prefix.parent)}"
            for folder in nginx.environment.get("LD_LIBRARY_PATH", "").split(":")
            if folder
        )
        program = Path("/opt/nginx") / nginx.path.relative_to(nginx.prefix.parent)
        self.write("usr/sbin/nginx", f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec {program} "$@"\n', mode=0o755)


# ---- what is around the machine


@dataclass
class Cloud:
    """Emulated AWS with everything deployed, a database that insists on TLS, and machines."""

    folder: Path
    lab: Lab
    instance: InstanceCloud
    nspawn: Program
    nginx: Program

    @contextmanager
    def machine(self, name: str, **environment: str) -> Iterator[Machine]:
        folder = self.folder / name
        machine = Machine(
            folder,
            nspawn=self.nspawn,
            nginx=self.nginx,
            environment={
                "AWS_ENDPOINT_URL": self.lab.endpoint,
                "AWS_ACCESS_KEY_ID": emulator.KEY,
                "AWS_SECRET_ACCESS_KEY": emulator.KEY,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.instance.url,
                "ANB_DATABASE_CA": "/etc/test-ca.pem",
                "ANB_LAST_WORDS_SECONDS": "0",
                "ANB_WEB_BIND": f"127.0.0.1:{State(self.folder).port('gunicorn')}",
                **environment,
            },
        )
        machine.write("etc/test-ca.pem", (self.folder / "ca.pem").read_text())
        try:
            yield machine
        finally:
            machine.cut_power()
            shutil.rmtree(folder, ignore_errors=True)  # half a gigabyte that pytest would keep

    def install_database(self, name: str) -> database.Database:
        """Create a database and let the parameter lead to it, as deploying the data stack does."""
        state = State(self.folder / name)
        server, service = database.prepare(state, mariadbd=packages.find("mariadbd")["mariadbd"])
        tls = ("--require-secure-transport=ON", *(f"--ssl-{k}={self.folder / k}.pem" for k in ("cert", "key")))
        supervisor = Supervisor([replace(service, command=[*service.command, *tls])], write=lambda *_: None)
        supervisor.start_all()
        self.stop_database()
        self.databases = [supervisor]
        described = {
            "username": "anb",
            "password": server.password,
            "host": "127.0.0.1",
            "port": server.port,
            "dbname": database.SCHEMA,
        }
        arn = self.lab.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(described))["ARN"]
        parameter = ACADEMY.names.database_parameter
        self.lab.client("ssm").put_parameter(Name=parameter, Value=arn, Type="String", Overwrite=True)
        return server

    def remove_database(self) -> None:
        """End the database and the parameter that leads to it, as destroying the data stack does."""
        self.stop_database()
        with suppress(ClientError):  # it is gone already
            self.lab.client("ssm").delete_parameter(Name=ACADEMY.names.database_parameter)

    databases: list[Supervisor] = None  # type: ignore[assignment]

    def stop_database(self) -> None:
        for supervisor in self.databases or []:
            supervisor.stop_all()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    return machine_programs(tmp_path_factory.mktemp("probe"))


@pytest.fixture(scope="module")
def cloud(programs: dict[str, Program], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    make_certificates(folder)
    app = f"{sys.executable} {ROOT / 'app.py'}"
    with running_lab(tmp_path_factory.mktemp("lab"), app=app) as lab, running_cloud() as instance:
        lab.deploy("bootstrap")
        lab.deploy("up")
        cloud = Cloud(
            folder=folder, lab=lab, instance=instance, nspawn=programs["systemd-nspawn"], nginx=programs["nginx"]
        )
        try:
            cloud.install_database("first")
            yield cloud
        finally:
            cloud.stop_database()


def machine_programs(folder: Path) -> dict[str, Program]:
    """What it takes to boot a machine here; skips where something is missing."""
    if os.geteuid() != 0:
        pytest.skip("only root can boot a machine")
    try:
        check_free(PORT)
    except OSError as error:
        pytest.skip(f"port {PORT}, on which the instances listen: {error}")
    if not Path("/usr/lib/systemd/systemd").exists():
        pytest.skip("this machine has no systemd to boot with")
    if subprocess.run(["/usr/bin/python3.11", "-c", "import ensurepip, venv"], check=False).returncode != 0:
        pytest.skip("this machine has no /usr/bin/python3.11 with venv, which Amazon Linux would have")
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    probe = subprocess.run(
        ["unshare", "--mount", "bash", "-ec", BOOT, "boot", "true"],
        env={**os.environ, "MACHINE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip(f"this machine cannot lay an overlay over its files: {probe.stderr.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(packages.PACKAGES, "systemd-nspawn", "systemd-container")
        try:
            return packages.find("systemd-nspawn", "nginx")
        except ProgramMissing as reason:
            pytest.skip(str(reason))


def make_certificates(folder: Path) -> None:
    """An authority in ca.pem, and what it certifies for a server on this machine in cert.pem and key.pem."""
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = certificate("authority", authority_key)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    signed = (
        authority.issuer_name(issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = (
        certificate("database", server_key)
        .issuer_name(issuer)
        .add_extension(address, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(signed.public_bytes(pem))
    (folder / "cert.pem").write_bytes(server.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        server_key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )


def eventually(holds: Callable[[], Any], *, machine: Machine) -> Any:
    return until(holds, seconds=240, what=lambda: f"the machine said: {machine.output()[-3000:]}")


SUCCESS = "cfn-signal --region us-east-1 --stack {0} --resource Group --success true"
FAILURE = "cfn-signal --region us-east-1 --stack AnbWeb --resource Group --success false --reason"


NO_NETWORK = "Curl error (6): Couldn't resolve host name for https://al2023-repos-us-east-1.s3.example"
LOCKED = "RPM: error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)"


def has_signalled(machine: Machine) -> bool:
    return "cfn-signal" in machine.told()


@pytest.fixture(scope="module")
def instances(cloud: Cloud) -> Iterator[tuple[Machine, Machine]]:
    """A web instance and a worker instance, booted side by side; the tests use them one after the other."""
    with cloud.machine("web") as web, cloud.machine("worker") as worker:
        worker.write("var/lib/dnf-fails", f"{NO_NETWORK}\n{LOCKED}\n")
        web.power_on(cloud.lab.user_data("AnbWeb"))
        worker.power_on(cloud.lab.user_data("AnbWorker"))
        for machine in (web, worker):
            eventually(partial(has_signalled, machine), machine=machine)
        yield web, worker


@pytest.fixture
def web(instances: tuple[Machine, Machine]) -> Machine:
    return instances[0]


@pytest.fixture
def worker(instances: tuple[Machine, Machine]) -> Machine:
    return instances[1]


# ---- what a machine leaves behind


@pytest.fixture
def idle_machine(programs: dict[str, Program], tmp_path: Path) -> Iterator[Machine]:
    """A machine that says in which namespace its processes are, and does nothing more."""
    machine = Machine(tmp_path / "idle", nspawn=programs["systemd-nspawn"], nginx=programs["nginx"], environment={})
    machine.write("var/lib/user-data", "readlink /proc/self/ns/pid >/var/lib/namespace\nsleep infinity\n")
    yield machine
    machine.cut_power()
    shutil.rmtree(tmp_path / "idle", ignore_errors=True)


def namespace(machine: Machine) -> str:
    return str(eventually(lambda: machine.read("var/lib/namespace").strip(), machine=machine))


def processes(namespace: str) -> list[str]:
    """Return the processes of this machine that are in the namespace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str((process / "ns/pid").readlink()) == namespace:
                found.append(process.name)
    return found


def test_a_machine_without_power_leaves_no_process(idle_machine: Machine) -> None:
    idle_machine.power_on()
    inside = namespace(idle_machine)
    assert processes(inside)

    idle_machine.cut_power()

    assert processes(inside) == []


def power_on_and_stay(machine: Machine) -> None:
    machine.power_on()
    signal.pause()


def test_a_machine_ends_with_whoever_started_it_even_if_that_is_killed(idle_machine: Machine) -> None:
    owner = multiprocessing.get_context("spawn").Process(target=power_on_and_stay, args=(idle_machine,))
    owner.start()
    inside = namespace(idle_machine)

    owner.kill()

    until(lambda: not processes(inside), what=lambda: f"these are left: {processes(inside)}")


# ---- a first boot


def test_a_web_instance_boots_and_answers_through_nginx(web: Machine) -> None:
    assert SUCCESS.format("AnbWeb") in web.told(), web.output()
    assert status(PORT, "/readyz") == 200


def test_a_worker_instance_takes_a_message_and_processes_the_video(
    worker: Machine, clips: Mapping[str, Path]
) -> None:
    assert SUCCESS.format("AnbWorker") in worker.told(), worker.output()
    with Client(f"http://127.0.0.1:{PORT}") as player:
        sign_up(player)
        video_id = player.upload(clips["good"], title="Triple").expect(201)["video_id"]
        video = eventually(
            lambda: (v := player.send("GET", f"/api/videos/{video_id}").expect(200))["status"] != "uploaded" and v,
            machine=worker,
        )

    logged = worker.read("var/log/anb/worker-1.log") + worker.read("var/log/anb/worker-2.log")
    assert video["status"] == "processed", logged
    assert "ffmpeg runs without it" not in logged  # the unit's own limits leave ffmpeg's confinement whole


def test_packages_are_tried_again_after_a_network_that_was_late_and_a_lock(worker: Machine) -> None:
    assert worker.told().count("dnf --quiet --assumeyes install") == 3
    assert worker.output().index(NO_NETWORK) < worker.output().index(LOCKED) < worker.output().index("is ready")
    assert "anb: dnf failed and is tried again in 10 s" in worker.output()


def sign_up(player: Client) -> None:
    account = registration()
    player.send("POST", "/api/auth/signup", json=account).expect(201)
    player.log_in(email=account["email"], password=PASSWORD)


def test_no_secret_is_in_the_settings_on_the_disk(web: Machine) -> None:
    settings = dict(line.split("=", 1) for line in web.read("etc/anb/settings.env").splitlines())

    assert not {"ANB_DATABASE_URL", "ANB_JWT_SECRET", "ANB_ADDRESS_SECRET"} & settings.keys()
    assert (web.upper / "etc/anb/settings.env").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("unit", "user"), [("anb-web", "anb-web"), ("anb-nginx", "anb-nginx"), ("anb-database-check", "anb-database")]
)
def test_each_unit_of_a_web_instance_has_a_user_of_its_own(web: Machine, unit: str, user: str) -> None:
    assert web.show(unit, "User") == user


def test_both_workers_run_with_folders_and_limits_of_their_own(worker: Machine) -> None:
    for number in "12":
        pid = worker.show(f"anb-worker@{number}", "MainPID")
        process = worker.run("cat", f"/proc/{pid}/status")
        environment = worker.run("cat", f"/proc/{pid}/environ").split("\0")

        assert "NoNewPrivs:\t1" in process
        assert "CapEff:\t0000000000000000" in process
        assert f"ANB_SCRATCH_DIR=/var/lib/anb-worker/{number}/scratch" in environment
        assert worker.show(f"anb-worker@{number}", "MemoryMax") == str(850 << 20)


# ---- what happens to an instance later


def test_a_check_without_news_leaves_the_api_alone(web: Machine) -> None:
    before = web.show("anb-web", "MainPID")

    web.run("systemctl", "start", "anb-database-check.service")

    assert web.show("anb-web", "MainPID") == before
    assert "Skipped due to 'exec-condition'" in web.run("journalctl", "--unit", "anb-database-check.service")


def test_a_database_that_was_created_again_is_found_and_migrated(cloud: Cloud, web: Machine) -> None:
    web.run("systemctl", "stop", "anb-database-check.timer")  # whose own check could be under way
    before = web.show("anb-web", "MainPID")
    server = cloud.install_database("second")

    web.run("systemctl", "start", "anb-database-check.service")

    eventually(lambda: web.show("anb-web", "MainPID") not in {before, "0"}, machine=web)
    eventually(lambda: status(PORT, "/readyz") == 200, machine=web)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM anb.users")
        assert cursor.fetchone() == (0,)


def test_an_instance_that_was_stopped_and_started_serves_again(web: Machine) -> None:
    web.power_off()
    assert status(PORT, "/readyz") is None

    web.power_on()

    eventually(lambda: status(PORT, "/readyz") == 200, machine=web)


def test_the_user_data_can_run_again_with_nobody_waiting_for_its_signal(web: Machine) -> None:
    web.run("touch", "/var/lib/nobody-waits")
    web.run("rm", "/var/lib/user-data-ran")

    web.run("systemctl", "start", "user-data.service")

    assert web.output().endswith("anb: web is ready\nanb: CloudFormation waits for no signal\n")
    assert status(PORT, "/readyz") == 200


def test_limits_that_are_raised_for_a_load_test_are_those_of_the_service(cloud: Cloud, web: Machine) -> None:
    raised = f"#!/bin/bash\nexport {RAISED_LIMITS}\n"
    boot_again(web, cloud.lab.user_data("AnbWeb").replace("#!/bin/bash\n", raised))

    eventually(lambda: status(PORT, "/readyz") == 200, machine=web)
    assert set(RAISED_LIMITS.split()) <= set(web.read("etc/anb/settings.env").replace('"', "").splitlines())


def test_a_worker_that_its_group_wants_to_end_finishes_and_completes_the_action(
    cloud: Cloud, worker: Machine
) -> None:
    cloud.instance.state = "Terminated"

    def logged(number: int) -> str:
        return worker.read(f"var/log/anb/worker-{number}.log")

    eventually(lambda: "complete_lifecycle_action" in logged(1) + logged(2), machine=worker)

    assert (logged(1) + logged(2)).count('"event": "ready for the termination", ') == 2


# ---- what an instance does without its database


def test_a_database_that_does_not_answer_is_said_and_costs_no_instance(cloud: Cloud, web: Machine) -> None:
    cloud.stop_database()
    seconds = boot_without_database(cloud, web)

    assert f"{FAILURE} the database is not ready after {seconds} s: anb: (2003, " in web.told()
    assert web.is_on()


def test_a_database_that_is_absent_for_longer_than_a_boot_waits_costs_no_instance(cloud: Cloud, web: Machine) -> None:
    cloud.remove_database()
    absent_since = time.monotonic()
    seconds = boot_without_database(cloud, web)

    assert "ANB_DATABASE_PARAMETER is /anb/database, but the parameter cannot be read: " in web.told()
    # 15 minutes where a boot waits 10. The group would replace an instance that failed a few checks in a row
    while time.monotonic() < absent_since + 1.5 * seconds:
        assert status(PORT, "/healthz") == 200
        assert status(PORT, "/api/public/rankings") == 503
        time.sleep(0.5)
    with Client(f"http://127.0.0.1:{PORT}") as anybody:
        missing = anybody.send("GET", "/readyz").expect(503)["fields"]
    assert missing == {"database": "Faltan las credenciales de la base de datos."}
    assert web.is_on()


def test_a_worker_without_its_database_lives_and_works_once_that_is_there(
    cloud: Cloud, web: Machine, worker: Machine
) -> None:
    cloud.remove_database()
    cloud.instance.state = "InService"
    assert web.is_on()
    boot_again(worker, impatient(cloud.lab.user_data("AnbWorker"), database_seconds=5))
    eventually(partial(has_signalled, worker), machine=worker)
    assert "--success false --reason the database is not ready after 5 s" in worker.told()
    assert worker.is_on()

    cloud.install_database("third")

    eventually(
        lambda: [worker.show(f"anb-worker@{number}", "ActiveState") for number in "12"] == ["active"] * 2,
        machine=worker,
    )
    eventually(lambda: status(PORT, "/readyz") == 200, machine=web)


def test_an_instance_that_is_replaced_meanwhile_has_a_successor_that_serves_once_the_database_is_there(
    cloud: Cloud, web: Machine
) -> None:
    cloud.remove_database()
    web.power_off()
    with cloud.machine("replacement") as machine:
        machine.write("var/lib/nobody-waits", "")
        machine.power_on(impatient(cloud.lab.user_data("AnbWeb"), database_seconds=1))
        eventually(lambda: "anb: CloudFormation waits for no signal" in machine.output(), machine=machine)
        assert status(PORT, "/healthz") == 200
        assert status(PORT, "/readyz") == 503

        cloud.install_database("fourth")

        eventually(lambda: status(PORT, "/readyz") == 200, machine=machine)
        assert machine.is_on()


def boot_without_database(cloud: Cloud, web: Machine) -> int:
    """Boot until the instance has given up in public; return how many seconds it waited for its database."""
    seconds = 15 + 4 * round(os.getloadavg()[0])  # one attempt starts Python three times, which a busy machine feels
    boot_again(web, impatient(cloud.lab.user_data("AnbWeb"), database_seconds=seconds))
    eventually(partial(has_signalled, web), machine=web)
    return seconds


def impatient(user_data: str, **seconds: int) -> str:
    """Return the user data on a faster clock."""
    exports = "".join(
        f"export ANB_{name.upper().replace('_', '_WAIT_')}={value}\n" for name, value in seconds.items()
    )
    return user_data.replace("#!/bin/bash\n", f"#!/bin/bash\n{exports}")


# ---- what fails an instance


def test_packages_that_nobody_has_are_said_and_end_the_instance(cloud: Cloud, web: Machine) -> None:
    web.write("var/lib/dnf-fails", f"{NO_NETWORK}\n")
    fail_to_boot(web, impatient(cloud.lab.user_data("AnbWeb"), packages_seconds=1))

    assert re.search(rf"{FAILURE} dnf could not install python3.11 .* within 1 s", web.told())


def test_a_broken_artefact_is_said_with_its_line_and_ends_the_instance(cloud: Cloud, web: Machine) -> None:
    user_data = cloud.lab.user_data("AnbWeb")
    bucket, key = re.search("s3://([^/]+)/([^']+)", user_data).groups()  # type: ignore[union-attr]
    s3 = cloud.lab.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=s3.get_object(Bucket=bucket, Key=key)["Body"].read()[:-1])
    fail_to_boot(web, user_data)

    assert "artefact.zip: FAILED" in web.output()
    assert re.search(rf"{FAILURE} user data, line \d+: sha256sum --check", web.told().splitlines()[-1])


def boot_again(machine: Machine, user_data: str) -> None:
    """Boot the machine with other user data, as if it were a new one."""
    machine.power_off()
    for name in ("var/lib/user-data-ran", "var/log/stand-ins.log", "var/log/anb/database.log"):
        (machine.upper / name).unlink(missing_ok=True)
    machine.power_on(user_data)


def fail_to_boot(machine: Machine, user_data: str) -> None:
    """Boot the machine with user data that ends it."""
    boot_again(machine, user_data)
    eventually(lambda: not machine.is_on(), machine=machine)
