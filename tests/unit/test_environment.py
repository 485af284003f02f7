"""Secrets are looked up when a process starts, by names that its environment holds."""

import json
import os
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from sqlalchemy.engine import make_url

from anb.environment import SecretsMissing, look_up

ARN = "arn:aws:secretsmanager:us-east-1:1:secret:database"
DESCRIBED = {"host": "db.example", "port": 3306, "username": "anb", "password": "p@ss/w:r?d%", "dbname": "anb"}


class Aws:
    """SSM and Secrets Manager, as far as a look-up needs them."""

    def __init__(self, *, parameters, secrets):
        self._parameters, self._secrets = parameters, secrets

    def __call__(self, service):
        assert service in {"ssm", "secretsmanager"}
        return self

    def get_parameter(self, *, Name):  # noqa: N803 boto3's name
        return {"Parameter": {"Value": self._find(self._parameters, Name, "ParameterNotFound")}}

    def get_secret_value(self, *, SecretId, VersionStage):  # noqa: N803 boto3's names
        name = SecretId if VersionStage == "AWSCURRENT" else f"{SecretId} before"
        value = self._find(self._secrets, name, "ResourceNotFoundException")
        return {"SecretString": value, "ARN": SecretId, "VersionId": str(len(value))}

    def _find(self, where, name, code):
        if name not in where:
            raise ClientError({"Error": {"Code": code}}, "look-up")
        return where[name]


@pytest.fixture
def aws():
    return Aws(
        parameters={"/anb/database": ARN},
        secrets={ARN: json.dumps(DESCRIBED), "jwt": "x" * 64, "addresses": "y" * 64},
    )


@pytest.fixture
def named(tmp_path):
    authorities = tmp_path / "ca.pem"
    authorities.write_text("certificates")
    return {
        "ANB_DATABASE_PARAMETER": "/anb/database",
        "ANB_DATABASE_CA": str(authorities),
        "ANB_JWT_SECRET_ID": "jwt",
        "ANB_ADDRESS_SECRET_ID": "addresses",
    }


def test_each_name_leads_to_its_secret(aws, named):
    found = {secret.variable: secret.value for secret in look_up(named, client=aws)}

    assert found.keys() == {"ANB_DATABASE_URL", "ANB_JWT_SECRET", "ANB_ADDRESS_SECRET"}
    assert found["ANB_JWT_SECRET"] == "x" * 64
    assert found["ANB_ADDRESS_SECRET"] == "y" * 64


def test_a_database_from_a_snapshot_has_the_schema_that_was_saved(named):
    nameless = {name: value for name, value in DESCRIBED.items() if name != "dbname"}
    aws = Aws(
        parameters={"/anb/database": ARN}, secrets={ARN: json.dumps(nameless), "jwt": "x" * 64, "addresses": "y" * 64}
    )

    assert make_url(look_up(named, client=aws)[0].value).database == "anb"


def test_the_password_survives_being_part_of_an_address(aws, named):
    url = make_url(look_up(named, client=aws)[0].value)

    assert (url.username, url.password, url.host, url.port, url.database) == (
        "anb",
        "p@ss/w:r?d%",
        "db.example",
        3306,
        "anb",
    )


def test_the_driver_is_told_to_verify_the_database(aws, named):
    url = make_url(look_up(named, client=aws)[0].value)
    _, arguments = url.get_dialect()().create_connect_args(url)

    assert arguments["ssl"] == {"ca": named["ANB_DATABASE_CA"], "check_hostname": True}
    assert not {"ssl_ca", "ssl_verify_cert", "ssl_verify_identity"} & arguments.keys()  # they would undo it


def test_the_key_before_is_found_as_long_as_there_is_one(aws, named):
    aws._secrets["jwt before"] = "w" * 64

    found = {secret.variable: secret.value for secret in look_up(named, client=aws)}

    assert found["ANB_JWT_PREVIOUS_SECRET"] == "w" * 64


def test_what_is_not_named_is_not_looked_up(aws):
    assert look_up({"ANB_DATABASE_URL": "already here"}, client=aws) == []


def test_everything_that_is_missing_is_told_at_once(aws, named):
    named |= {"ANB_DATABASE_PARAMETER": "/gone", "ANB_JWT_SECRET_ID": "lost"}

    with pytest.raises(SecretsMissing) as refusal:
        look_up(named, client=aws)

    assert str(refusal.value) == (
        "ANB_DATABASE_PARAMETER is /gone, but the parameter cannot be read: ParameterNotFound; "
        "ANB_JWT_SECRET_ID is lost, but the secret lost cannot be read: ResourceNotFoundException"
    )


def test_a_database_that_cannot_be_verified_is_not_used(aws, named):
    with pytest.raises(SecretsMissing, match=r"ANB_DATABASE_CA .* is no file to verify the database with"):
        look_up(named | {"ANB_DATABASE_CA": "/nowhere"}, client=aws)


@pytest.mark.parametrize(
    ("described", "error"),
    [
        ({**DESCRIBED, "port": "many"}, "does not describe a database"),
        ({key: value for key, value in DESCRIBED.items() if key != "host"}, "has no host"),
        ("hidden words", "does not describe a database"),
    ],
)
def test_a_secret_of_another_shape_is_refused_without_quoting_it(named, described, error):
    aws = Aws(parameters={"/anb/database": ARN}, secrets={ARN: json.dumps(described), "jwt": "x"})

    with pytest.raises(SecretsMissing, match=error) as refusal:
        look_up(named, client=aws)

    assert "p@ss" not in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_an_unreachable_service_is_one_sentence(named):
    class Away(Aws):
        def get_parameter(self, **_):
            raise EndpointConnectionError(endpoint_url="https://ssm.example")

    with pytest.raises(SecretsMissing, match=r'the parameter cannot be read: Could not connect .* "https://ssm'):
        look_up(named, client=Away(parameters={}, secrets={"jwt": "x"}))


def test_versions_change_with_the_secret_and_tell_nothing_of_it(aws, named):
    before = [secret.version for secret in look_up(named, client=aws)]
    aws._secrets["jwt"] = "y" * 65

    after = [secret.version for secret in look_up(named, client=aws)]

    assert before == [f"{ARN} {len(json.dumps(DESCRIBED))}", "jwt 64", "addresses 64"]
    assert after != before


def test_secrets_do_not_show_when_they_are_printed(aws, named):
    printed = repr(look_up(named, client=aws))

    assert "p@ss" not in printed
    assert "x" * 64 not in printed


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "anb.environment", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_takes_the_place_of_the_launcher():
    done = run("--", sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "--versions", "--", "x")

    assert (done.returncode, done.stdout) == (7, "['--versions', '--', 'x']\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "error"),
    [
        (["--", "no-such-program"], {}, "anb.environment: no-such-program: No such file or directory\n"),
        (
            ["--", "true"],
            {"ANB_DATABASE_PARAMETER": "/anb/database"},
            (
                "anb.environment: ANB_DATABASE_PARAMETER is /anb/database, "
                "but ANB_DATABASE_CA (not set) is no file to verify the database with\n"
            ),
        ),
    ],
)
def test_what_keeps_the_command_from_starting_is_one_line(arguments, environment, error):
    done = run(*arguments, **environment)

    assert (done.returncode, done.stdout, done.stderr) == (3, "", error)


@pytest.mark.parametrize("arguments", [[], ["--versions", "--", "true"], ["--unknown", "--", "true"]])
def test_wrong_use_is_told_apart(arguments):
    assert run(*arguments).returncode == 2


def test_a_command_that_may_start_without_its_secrets_is_told_what_it_lacks():
    show = "import os; print(os.environ['ANB_PENDING'], 'ANB_DATABASE_URL' in os.environ)"
    done = run("--pending", "--", sys.executable, "-c", show, ANB_DATABASE_PARAMETER="/anb/database")

    assert (done.returncode, done.stdout) == (0, "ANB_DATABASE_URL False\n")
    assert "is no file to verify the database with; the command starts without\n" in done.stderr
