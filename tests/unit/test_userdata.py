"""The scripts, units and settings with which an instance starts fit together, and to what the stacks give."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from anb.settings import variable
from anb_web.settings import WebSettings
from anb_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
USERDATA = ROOT / "userdata"
SCRIPTS = ["boot", "database", "load", "web", "worker"]
UNITS = sorted(USERDATA.glob("units/*/*.service"))

# What the stacks give, each as long as it gets: https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
REGION, ACCOUNT = "ap-southeast-2", "1" * 12
ASSET = f"s3://{'b' * 63}/{'a' * 64}.zip"
LONGEST = {
    "ARTEFACT_ADDRESS": ASSET,
    "ARTEFACT_SHA256": "a" * 64,
    "FFMPEG_ADDRESS": ASSET,
    "FFMPEG_SHA256": "a" * 64,
    "REGION": REGION,
    "STACK_NAME": "AnbRisingStarsWorker",
    "SIGNAL_RESOURCE": "Group",
    "MEDIA_BUCKET": "b" * 63,
    "QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/anb-jobs",
    "DATABASE_PARAMETER": "/anb/database",
    "JWT_SECRET_ID": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:TokenSecret{'A' * 8}-{'a' * 12}-{'a' * 6}",
    "ADDRESS_SECRET_ID": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:AddressKey{'A' * 8}-{'a' * 19}",
    "LOG_GROUP": f"AnbRisingStarsWorker-FleetLogs{'A' * 8}-{'a' * 12}",
    "METRICS_NAMESPACE": "ANB",
    "PORT": "80",
    "TRUSTED_NETWORKS": "10.20.0.0/16",
    "CLIENT_HEADER": "CloudFront-Viewer-Address",
    "SCHEME_VARIABLE": "http_cloudfront_forwarded_proto",
    "CORS_ORIGINS": "https://app.example.org,http://localhost:5173",
    "MEDIA_URL": f"https://{'m' * 60}.example.org",
    "RAISED_LIMITS": "".join(f" ANB_MAX_{'N' * 18}={'1' * 11}" for _ in range(3)),
    "MEMORY_MIB": "1400",
    "PROCESSES": "16",
    "GROUP_NAME": "anb-workers",
    "HOOK_NAME": "finish-job",
}
EC2_LIMIT_BYTES = 16 * 1024  # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
LONGEST_NAMES = {
    "STACK_NAME": 128,
    "MEDIA_BUCKET": 63,
    "DATABASE_PARAMETER": 1011,
    "LOG_GROUP": 512,
    "GROUP_NAME": 255,
}
LONGEST_NAMES |= {
    "QUEUE_URL": 140,
    "JWT_SECRET_ID": 600,
    "ADDRESS_SECRET_ID": 600,
    "SIGNAL_RESOURCE": 255,
    "HOOK_NAME": 255,
}


def template(script):
    """Return a script of the artefact, or the user data of a service, which is put together as the stacks do it."""
    parts = ["instance", script] if script in {"web", "worker"} else [script]
    return "\n".join((USERDATA / f"{part}.sh").read_text() for part in parts)


def placeholders(text):
    return set(re.findall(r"@([A-Z0-9_]+)@", text))


def render(service, values):
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: values[found[1]], template(service))


def directives(unit):
    return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]


def exported(service):
    return set(re.findall(r"\b(A(?:NB|WS)_[A-Z_]+)=", template(service)))


def written(service):
    """Return the names in the settings file of an instance: what boot.sh lists for all and for this service."""
    boot = template("boot").replace(' "${!ANB_MAX_@}"', "")  # those limits that the user data raises
    both = re.findall(r"names=\(([^)]*)\)", boot)[0].split()
    web, worker = (found.split() for found in re.findall(r"names\+=\(([^)]*)\)", boot))
    return {*both, *(web if service == "web" else worker)}


# ---- the user data


@pytest.mark.parametrize("service", ["web", "worker"])
def test_user_data_is_under_2700_bytes_with_every_asset_name_at_its_longest(service):
    assert len(render(service, LONGEST).encode()) < 2700


@pytest.mark.parametrize("service", ["web", "worker"])
def test_user_data_fits_ec2_even_with_every_name_as_long_as_aws_allows(service):
    values = LONGEST | {name: "x" * length for name, length in LONGEST_NAMES.items()}

    assert len(render(service, values).encode()) < EC2_LIMIT_BYTES


def test_every_placeholder_is_one_that_the_stacks_know_and_each_of_those_is_used():
    assert placeholders(template("web")) | placeholders(template("worker")) == LONGEST.keys()


@pytest.mark.parametrize("service", ["web", "worker"])
def test_the_command_line_knows_the_region_before_it_fetches(service):
    """It asks S3 at the region's own host: https://docs.aws.amazon.com/cli/latest/topic/s3-config.html"""
    lines = render(service, LONGEST).splitlines()

    told = lines.index(f"export AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}")
    assert told < min(number for number, line in enumerate(lines) if line.startswith("fetch "))


def test_what_the_database_and_the_tokens_are_protected_by_is_named_and_never_given():
    assert not {name for name in LONGEST if "PASSWORD" in name or name.endswith("SECRET")}


@pytest.mark.parametrize("service", ["web", "worker"])
def test_everything_that_user_data_exports_is_read_by_what_it_starts(service):
    read_by_the_aws_command = {"AWS_MAX_ATTEMPTS"}

    assert {name for name in exported(service) if name not in template("boot")} == read_by_the_aws_command


@pytest.mark.parametrize("service", ["web", "worker"])
def test_boot_writes_only_what_user_data_gives_or_boot_itself_decides(service):
    decided = set(re.findall(r': "\$\{([A-Z_]+):=', template("boot")))

    assert written(service) <= exported(service) | decided


# ---- the seam between boot and services


@pytest.mark.parametrize(("service", "settings"), [("web", WebSettings), ("worker", WorkerSettings)])
def test_an_instance_is_told_every_setting_of_its_service(service, settings):
    told = set(written(service))
    if {"ANB_DATABASE_PARAMETER", "ANB_DATABASE_CA"} <= told:
        told |= {"ANB_DATABASE_URL", "ANB_PENDING"}  # by anb.environment, through which every unit starts
    if "ANB_JWT_SECRET_ID" in told:
        told |= {"ANB_JWT_SECRET", "ANB_JWT_PREVIOUS_SECRET"}
    if "ANB_ADDRESS_SECRET_ID" in told:
        told.add("ANB_ADDRESS_SECRET")
    for unit in USERDATA.glob(f"units/{service}/*.service"):
        told |= set(re.findall(r"^Environment=(ANB_\w+)=", unit.read_text(), re.MULTILINE))

    # Instances keep to the limits; who tests their load raises them
    names = {variable(field.name) for field in fields(settings)}
    assert {name for name in names if not name.startswith("ANB_MAX_")} <= told


@pytest.mark.parametrize(("unit", "options"), [("web/anb-web", " --pending"), ("worker/anb-worker@", "")])
def test_services_start_with_their_secrets_looked_up(unit, options):
    text = (USERDATA / f"units/{unit}.service").read_text()

    assert f"\nExecStart=/opt/anb/venv/bin/python -m anb.environment{options} -- /opt/anb/venv/bin/" in text
    assert "\nEnvironmentFile=/etc/anb/settings.env\n" in text


def test_boot_fills_in_every_placeholder_of_the_nginx_configuration():
    configuration = (ROOT / "services" / "web" / "nginx.conf").read_text()

    assert placeholders(configuration)
    assert placeholders(configuration) <= placeholders(template("boot"))


# ---- units


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_locked_up(unit):
    wanted = {
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        "SystemCallArchitectures=native",
    }
    found = directives(unit)

    assert wanted <= set(found)
    for name in ("MemoryMax", "TasksMax", "RestrictNamespaces", "CapabilityBoundingSet"):
        assert any(line.startswith(f"{name}=") for line in found), name


def test_boot_fills_in_every_placeholder_of_a_unit():
    assert {name for unit in UNITS for name in placeholders(unit.read_text())} == {"MEMORY_MIB"}
    assert "s|@MEMORY_MIB@|$ANB_MEMORY_MIB|" in template("boot")


def test_every_unit_has_a_user_of_ours():
    accounts = set(re.findall(r"^u (\S+)", (USERDATA / "anb.sysusers").read_text(), re.MULTILINE))
    users = {unit.name: [line for line in directives(unit) if line.startswith("User=")] for unit in UNITS}

    assert {line.removeprefix("User=") for lines in users.values() for line in lines} == accounts
    assert all(len(lines) == 1 for lines in users.values())


def test_a_worker_that_hangs_is_started_again():
    found = directives(USERDATA / "units/worker/anb-worker@.service")

    assert {"Type=notify", "Restart=always", "WatchdogSec=10min"} <= set(found)  # a hanging transfer takes six


def test_workers_wait_for_the_schema():
    found = directives(USERDATA / "units/worker/anb-worker@.service")

    assert "Requires=anb-database.service" in found
    assert any(line.startswith("After=") and "anb-database.service" in line for line in found)


def test_the_api_waits_for_the_first_attempt_at_the_schema_alone():
    found = directives(USERDATA / "units/web/anb-web.service")

    assert "ExecStartPre=/bin/bash /opt/anb/release/database.sh tried" in found
    assert not [line for line in found if line.startswith(("Requires=", "After=")) and "anb-database" in line]


# ---- logs


def test_the_log_agent_sends_every_file_that_a_unit_writes_to():
    agent = json.loads((USERDATA / "cloudwatch-agent.json").read_text().replace("@WORKERS@", ""))
    sent = {entry["file_path"] for entry in agent["logs"]["logs_collected"]["files"]["collect_list"]}
    to = {re.findall(r"^StandardOutput=append:(.*)$", unit.read_text(), re.MULTILINE)[0] for unit in UNITS}

    # A worker's file is one of several, for each of which boot adds an entry
    assert '"$LOGS/worker-$worker.log' in template("boot").replace("\\", "")
    assert to - {"/var/log/anb/worker-%i.log"} == sent - {
        "/var/log/cloud-init-output.log",
        "/var/log/anb-nginx/access.log",
    }


def test_the_log_agent_is_told_everything_that_its_configuration_asks_for():
    asked = placeholders((USERDATA / "cloudwatch-agent.json").read_text())

    assert asked
    assert asked <= placeholders(template("boot"))


# ---- shell


def test_every_script_is_checked():
    assert {"instance", *SCRIPTS} == {path.stem for path in USERDATA.glob("*.sh")}


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script):
    checker = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run([checker, "-"], input=template(script), capture_output=True, text=True, check=False)

    assert found.stdout == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_stops_at_the_first_error_and_says_where(script):
    text = template(script)

    assert re.match(r"#!/bin/bash\n# Summary: .+\n# Usage: .+\n", text)
    assert "\nset -Eeuo pipefail\n" in text
    assert len(re.findall(r"^trap .*LINENO.*BASH_COMMAND.* ERR$", text, re.MULTILINE)) == 1
