"""The system on one machine: what keeps its services running, and what nginx answers by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from local import database, emulator, packages
from local.errors import AlreadyRunning, PortTaken, ProgramMissing, ServiceFailed
from local.proxy import Proxy, Trusted
from local.state import State
from local.supervisor import Service, Supervisor
from local.system import run, running_proxy
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status  # dead, and nobody has asked how


def service(name: str, *command: str, **options: object) -> Service:
    return Service(name=name, command=command, environment=dict(os.environ), **options)  # type: ignore[arg-type]


@contextmanager
def supervised(*services: Service) -> Iterator[tuple[Supervisor, list[str]]]:
    lines: list[str] = []
    supervisor = Supervisor(services, write=lambda name, line: lines.append(f"{name}: {line}"))
    try:
        yield supervisor, lines
    finally:
        supervisor.stop_all()


# ---- the supervisor


def test_a_service_that_is_killed_is_started_again() -> None:
    with supervised(service("sleeper", "sleep", "60")) as (supervisor, lines):
        supervisor.start_all()
        first = supervisor.pid("sleeper")

        supervisor.kill("sleeper", signal.SIGKILL)

        until(lambda: supervisor.pid("sleeper") != first and supervisor.is_alive("sleeper"), seconds=15)
        assert "sleeper: died by SIGKILL; starting it again" in lines


def test_a_service_that_keeps_dying_is_given_up_by_name() -> None:
    with supervised(service("mayfly", "sh", "-c", "echo why; exit 3")) as (supervisor, lines):
        supervisor.start_all()
        supervisor.wait()

        assert str(supervisor.failure) == "mayfly died 5 times within 60 s, last by exit status 3"
        assert "mayfly: why" in lines


def test_a_service_that_never_becomes_ready_is_given_up_by_name() -> None:
    mute = service("mute", "sleep", "60", is_ready=lambda: False, ready_within_seconds=0.2)

    with supervised(mute) as (supervisor, _), pytest.raises(ServiceFailed, match="mute did not become ready"):
        supervisor.start_all()


def test_a_service_that_announces_itself_is_ready_when_it_has() -> None:
    herald = service("herald", "sh", "-c", "sleep 0.2; echo I am ready; sleep 60", ready_text="am ready")

    with supervised(herald) as (supervisor, lines):
        supervisor.start_all()

        assert lines == ["herald: I am ready"]


def test_a_step_that_fails_keeps_the_next_part_from_starting() -> None:
    with supervised(service("step", "false", one_shot=True), service("next", "sleep", "60")) as (supervisor, _):
        with pytest.raises(ServiceFailed, match="step did not complete: exit status 1"):
            supervisor.start_all()

        assert not supervisor.is_alive("next")


def test_parts_stop_in_reverse_order_each_before_the_next() -> None:
    slow = "trap 'sleep 0.2; echo stopped; exit' TERM; echo started; while :; do sleep 0.01; done"
    with supervised(service("first", "sh", "-c", slow), service("second", "sh", "-c", slow)) as (supervisor, lines):
        supervisor.start_all()
        until(lambda: len(lines) == 2)
        supervisor.stop_all()

    assert lines[2:] == ["second: stopped", "first: stopped"]


def test_a_service_that_ignores_the_signal_is_killed_with_its_children() -> None:
    stubborn = service("stubborn", "sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait", stop_within_seconds=0.2)
    with supervised(stubborn) as (supervisor, lines):
        supervisor.start_all()
        until(lambda: lines)
        child = int(lines[0].removeprefix("stubborn: "))
        supervisor.stop_all()

    assert not is_running(child)


def test_no_process_is_left_when_the_supervisor_is_killed() -> None:
    program = """
import os
from local.supervisor import Service, Supervisor
services = [Service(name=name, command=["sleep", "60"], environment=dict(os.environ)) for name in "ab"]
supervisor = Supervisor(services, write=print)
supervisor.start_all()
print(*(supervisor.pid(name) for name in "ab"), flush=True)
supervisor.wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()

    assert len(pids) == 2
    until(lambda: not any(is_running(pid) for pid in pids), seconds=15)


def test_a_service_that_was_stopped_stays_down_until_it_is_started() -> None:
    with supervised(service("sleeper", "sleep", "60")) as (supervisor, _):
        supervisor.start_all()
        first = supervisor.pid("sleeper")
        supervisor.stop("sleeper")

        assert not is_running(first)
        assert not supervisor.is_alive("sleeper")

        supervisor.start("sleeper")

        assert supervisor.is_alive("sleeper")


# ---- one folder, one port


def test_a_port_in_use_is_one_clear_line_before_anything_starts(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"^port {port}: address already in use; stop what listens"):
            run(tmp_path, port=port, as_json=False)

    assert not (tmp_path / "database").exists()


def test_a_second_run_in_the_same_folder_is_one_clear_line(tmp_path: Path) -> None:
    with State(tmp_path).locked():
        second = subprocess.run(
            [sys.executable, "-m", "local", "run", "--state", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"local: the system already runs in {tmp_path}; stop that one first, or use another copy\n"
    )


def test_who_runs_the_system_chooses_its_optional_settings_by_the_environment(tmp_path: Path) -> None:
    origin = "https://app.example.org"
    port = State(tmp_path).port("test")
    with subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--state", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "ANB_CORS_ORIGINS": origin, "PORT": str(port)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        try:
            assert f"  setting   ANB_CORS_ORIGINS={origin}\n" in running.stdout
            answer = requests.get(
                f"http://127.0.0.1:{port}/api/public/rankings", headers={"Origin": origin}, timeout=5
            )
        finally:
            running.terminate()
            running.stdout.read()

    assert answer.headers["Access-Control-Allow-Origin"] == origin


def test_the_lock_of_a_folder_goes_with_its_holder(tmp_path: Path) -> None:
    with State(tmp_path).locked(), pytest.raises(AlreadyRunning), State(tmp_path).locked():
        pass

    with State(tmp_path).locked():
        pass


def test_ports_and_secrets_are_the_same_in_the_next_run(tmp_path: Path) -> None:
    before, after = State(tmp_path), State(tmp_path)

    assert after.port("web") == before.port("web") != before.port("nginx")
    assert after.secret("jwt") == before.secret("jwt") != before.secret("database")
    assert (tmp_path / "secrets" / "jwt").stat().st_mode & 0o777 == 0o600


def test_a_program_that_cannot_be_had_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "STORE", tmp_path)
    monkeypatch.setattr(packages, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ProgramMissing, match=r"^nginx is missing .*; install MariaDB and nginx, for example: .*$"):
        packages.find("nginx")


# ---- what survives SIGKILL


def test_the_database_keeps_what_was_committed_when_it_is_killed(tmp_path: Path) -> None:
    server, its_part = database.prepare(State(tmp_path), mariadbd=packages.find("mariadbd")["mariadbd"])
    with supervised(its_part) as (supervisor, _):
        supervisor.start_all()
        with server.connect() as connection:
            connection.cursor().execute("CREATE TABLE anb.kept (id INT PRIMARY KEY)")
            connection.cursor().execute("INSERT INTO anb.kept VALUES (7)")
        first = supervisor.pid("database")

        supervisor.kill("database", signal.SIGKILL)
        until(lambda: supervisor.pid("database") != first and supervisor.is_alive("database"))

        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM anb.kept")
            assert cursor.fetchall() == ((7,),)


def test_the_queues_are_there_again_when_the_emulator_was_killed(tmp_path: Path) -> None:
    aws, its_part = emulator.prepare(State(tmp_path), web_origin="http://127.0.0.1:8080")
    with supervised(its_part) as (supervisor, _):
        supervisor.start_all()
        first = supervisor.pid("emulator")

        supervisor.kill("emulator", signal.SIGKILL)
        until(lambda: supervisor.pid("emulator") != first and supervisor.is_alive("emulator"))

        attributes = requests.get(
            aws.queue_url, params={"Action": "GetQueueAttributes", "AttributeName.1": "All"}, timeout=5
        )
        assert "<Value>120</Value>" in attributes.text
        assert "anb-videos-dead" in attributes.text


# ---- nginx


class Upstream(BaseHTTPRequestHandler):
    """Stands in for gunicorn: says what it received; /refuse is an error of the application's own."""

    def do_GET(self) -> None:
        status = 502 if self.path == "/refuse" else 200
        body = json.dumps({"padding": " " * 2000, **{name.lower(): text for name, text in self.headers.items()}})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def upstream_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def proxy(upstream_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("nginx"), upstream_port=upstream_port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def behind_proxies(upstream_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Another one, whose load balancer is at 127.0.0.1 and whose content delivery network is 10.1.0.0/16."""
    with running_proxy(
        tmp_path_factory.mktemp("nginx"),
        upstream_port=upstream_port,
        trusted=Trusted(networks=("127.0.0.1/32", "10.1.0.0/16")),
    ) as another:
        yield another


@pytest.fixture(scope="module")
def behind_cloudfront(upstream_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Another one, as in production: its load balancer is at 127.0.0.1, and before that is CloudFront."""
    with running_proxy(
        tmp_path_factory.mktemp("nginx"),
        upstream_port=upstream_port,
        trusted=Trusted(
            networks=("127.0.0.1/32",),
            client_header="CloudFront-Viewer-Address",
            scheme_header="CloudFront-Forwarded-Proto",
        ),
    ) as another:
        yield another


def talk(proxy: Proxy, request: bytes) -> HTTPResponse:
    """The answer to bytes that no well-behaved client sends."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection)
        response.begin()
        return response


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"what is this\r\n\r\n", 400, "invalid"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "invalid"),  # no Host
        (b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method_not_allowed"),
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\nConnection: close\r\n\r\n",
            501,
            "not_implemented",
        ),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505, "http_version_not_supported"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n", 400, "invalid"),
    ],
)
def test_what_nginx_refuses_has_the_shape_of_the_api(
    proxy: Proxy, request_bytes: bytes, status: int, code: str
) -> None:
    answer = talk(proxy, request_bytes)

    error = json.load(answer)
    assert (answer.status, error["error"]) == (status, code)
    assert error["message"] == error["detail"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Server"] == "nginx"


def test_a_client_that_sends_too_much_can_read_why(proxy: Proxy) -> None:
    class Form:
        """A body of 102 MiB that takes no memory."""

        left = 102 << 20

        def __len__(self) -> int:
            return 102 << 20

        def read(self, size: int = 65536) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return b"\0" * size

    answer = requests.post(f"{proxy.url}/api/videos/upload", data=Form(), timeout=30)

    assert answer.status_code == 400
    assert answer.json()["message"] == "La petición supera el tamaño máximo; un video puede tener hasta 100 MB."


def test_an_api_that_is_away_is_worth_another_try(tmp_path: Path) -> None:
    with running_proxy(tmp_path, upstream_port=State(tmp_path).port("nobody")) as proxy:
        answer = requests.get(f"{proxy.url}/api/public/videos", timeout=5)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["error"] == "unavailable"


def test_errors_of_the_application_pass_unchanged(proxy: Proxy) -> None:
    answer = requests.get(f"{proxy.url}/refuse", timeout=5)

    assert answer.status_code == 502
    assert "padding" in answer.json()


ONLY_A_PROXY_SAYS = (
    *("Forwarded", "Proxy", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Protocol", "X-Forwarded-Server"),
    *("X-Forwarded-Ssl", "X-Raw-Target", "X-Real-IP", "X-Script-Name", "X_Forwarded_For", "SCRIPT_NAME"),
)


@pytest.mark.parametrize("name", ONLY_A_PROXY_SAYS)
def test_what_only_a_proxy_may_say_is_not_passed_on(proxy: Proxy, name: str) -> None:
    answer = requests.get(f"{proxy.url}/api/public/videos", headers={name: "forged"}, timeout=5)

    assert "forged" not in answer.json().values()


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 10.1.0.7, 203.0.113.9, 10.1.0.8", "203.0.113.9"),  # the last is the second proxy's
        ("6.6.6.6, 127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("nonsense, 203.0.113.9, 10.1.0.8", "203.0.113.9"),
        ("203.0.113.9, nonsense", "127.0.0.1"),
    ],
)
def test_behind_proxies_the_client_is_the_viewer_whatever_was_forged(
    behind_proxies: Proxy, said: str, client: str
) -> None:
    answer = requests.get(behind_proxies.url, headers={"X-Forwarded-For": said}, timeout=5)

    assert answer.json()["x-forwarded-for"] == client


def from_cloudfront(viewer: str, **forged: str) -> dict[str, str]:
    """What comes through CloudFront and the load balancer: what the viewer forged, and what they say over it."""
    chain = f"{forged.pop('chain', '6.6.6.6')}, {viewer.rpartition(':')[0]}, 130.176.1.2"
    said = {"CloudFront-Viewer-Address": viewer, "CloudFront-Forwarded-Proto": "https"}
    return {**forged, "X-Forwarded-For": chain, "X-Forwarded-Proto": "http", **said}


@pytest.mark.parametrize("chain", ["6.6.6.6", "127.0.0.1", "6.6.6.6, 127.0.0.1, 127.0.0.1", "nonsense"])
def test_behind_cloudfront_the_client_is_the_viewer_whatever_was_forged(behind_cloudfront: Proxy, chain: str) -> None:
    headers = from_cloudfront(
        "203.0.113.9:46532", chain=chain, **{"X-Real-Ip": "6.6.6.6", "True-Client-Ip": "6.6.6.6"}
    )

    seen = requests.get(behind_cloudfront.url, headers=headers, timeout=5).json()
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("203.0.113.9", "https")


def test_nobody_is_believed_to_be_cloudfront_where_there_is_none(proxy: Proxy, behind_proxies: Proxy) -> None:
    forged = {"CloudFront-Viewer-Address": "6.6.6.6:1", "CloudFront-Forwarded-Proto": "https"}
    alone = requests.get(proxy.url, headers=forged, timeout=5).json()
    balanced = requests.get(
        behind_proxies.url, headers={**forged, "X-Forwarded-For": "203.0.113.9"}, timeout=5
    ).json()

    assert (alone["x-forwarded-for"], alone["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert (balanced["x-forwarded-for"], balanced["x-forwarded-proto"]) == ("203.0.113.9", "http")


def test_a_proxy_that_repeats_the_header_changes_nothing(behind_proxies: Proxy) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"

    assert json.load(talk(behind_proxies, request))["x-forwarded-for"] == "203.0.113.9"


def test_the_application_learns_who_asks_and_how(proxy: Proxy) -> None:
    forged = {"X-Forwarded-For": "9.9.9.9", "X-Request-Id": "harmless-1"}
    answer = requests.get(proxy.url, headers=forged, timeout=5)

    seen = answer.json()
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["host"] == f"127.0.0.1:{proxy.port}"
    assert seen["x-request-id"] == "harmless-1"
    assert answer.headers["Content-Encoding"] == "gzip"
