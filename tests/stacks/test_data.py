"""The database: closed, encrypted, and alone in its stack."""

import json
from dataclasses import replace

from stacks.profiles import ACADEMY


def database(synthesis):
    return synthesis.assembly.only("AnbData", "AWS::RDS::DBInstance")


def test_it_is_mysql_8_4_without_paid_extended_support(synthesis):
    made_of = database(synthesis).properties

    assert made_of["Engine"] == "mysql"
    assert made_of["EngineVersion"] == "8.4"
    assert made_of["EngineLifecycleSupport"] == "open-source-rds-extended-support-disabled"


def test_no_minor_version_is_named_that_rds_raises_by_itself(synthesis):
    """A template that names one drifts, and is refused as soon as it would lower it."""
    made_of = database(synthesis).properties

    assert made_of["AutoMinorVersionUpgrade"]
    assert made_of["EngineVersion"].count(".") == 1


def test_it_speaks_tls_alone(synthesis):
    parameters = synthesis.assembly.only("AnbData", "AWS::RDS::DBParameterGroup").properties

    assert parameters["Parameters"]["require_secure_transport"] == "1"


def test_it_writes_no_statement_to_a_log(synthesis):
    """Statements hold what people signed up with."""
    parameters = synthesis.assembly.only("AnbData", "AWS::RDS::DBParameterGroup").properties["Parameters"]

    assert parameters.get("slow_query_log") == "0"
    assert parameters.get("general_log", "0") == "0"


def test_its_password_is_generated(synthesis):
    password = str(database(synthesis).properties["MasterUserPassword"])

    assert "{{resolve:secretsmanager:" in password


def test_the_lab_has_the_cheapest_and_leaves_nothing_behind(academy):
    made_of = database(academy).properties

    assert (made_of["DBInstanceClass"], made_of["StorageType"], made_of["MultiAZ"]) == ("db.t3.micro", "gp2", False)
    assert (made_of["DeletionProtection"], made_of["DeleteAutomatedBackups"]) == (False, True)
    assert made_of["BackupRetentionPeriod"] == 1
    assert database(academy).definition["DeletionPolicy"] == "Delete"
    assert "MonitoringInterval" not in made_of


def test_production_has_a_standby_and_keeps_what_it_knows(production):
    made_of = database(production).properties

    assert (made_of["MultiAZ"], made_of["DeletionProtection"]) == (True, True)
    assert (made_of["DeleteAutomatedBackups"], made_of["BackupRetentionPeriod"]) == (False, 14)
    assert database(production).definition["DeletionPolicy"] == "Snapshot"


def test_no_stack_waits_for_the_database(synthesis):
    manifest = json.loads((synthesis.folder / "manifest.json").read_text(encoding="utf-8"))

    waited_for = {name for artifact in manifest["artifacts"].values() for name in artifact.get("dependencies", [])}
    assert "AnbNetwork" in waited_for
    assert "AnbData" not in waited_for
    assert "AnbData:" not in json.dumps(synthesis.assembly.templates)  # what begins the name of an export


def test_fleets_find_its_credentials_by_name(synthesis):
    parameter = synthesis.assembly.only("AnbData", "AWS::SSM::Parameter").properties

    assert parameter["Name"] == ACADEMY.names.database_parameter
    secret = synthesis.assembly.follow("AnbData", parameter["Value"])
    assert secret.type == "AWS::SecretsManager::SecretTargetAttachment"  # host included


def test_the_secret_is_called_what_production_may_read(production):
    assert ACADEMY.names.database_secret in production.assembly.templates["AnbData"]["Resources"]
    assert f"secret:{ACADEMY.names.database_secret}-*" in json.dumps(production.assembly.templates["AnbWorker"])


def test_it_comes_back_from_a_snapshot_under_the_same_name(synthesise):
    restored = database(synthesise(replace(ACADEMY, database_snapshot="before-the-exam")))

    assert restored.properties["DBSnapshotIdentifier"] == "before-the-exam"
    assert restored.properties["DBInstanceIdentifier"] == ACADEMY.names.database_instance
    assert (
        "EngineVersion" not in restored.properties
    )  # the snapshot's own, which RDS may have raised above its default
    assert "MasterUsername" not in restored.properties
