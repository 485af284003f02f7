"""Writes docs/entrega4/trazabilidad.md: what is asked for, where the templates have it, which test holds it.

Usage: python -m scripts.trace_requirements
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from app import compose
from stacks.constructs.artefacts import Sources
from stacks.profiles import ACADEMY
from stacks.rules.assembly import Assembly

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "entrega4" / "trazabilidad.md"
GROUP, TEMPLATE, POLICY = "AutoScaling::AutoScalingGroup", "EC2::LaunchTemplate", "AutoScaling::ScalingPolicy"
BALANCER, TARGETS = "ElasticLoadBalancingV2::LoadBalancer", "ElasticLoadBalancingV2::TargetGroup"
QUEUE, DATABASE, BUCKET, ALARM = "SQS::Queue", "RDS::DBInstance", "S3::Bucket", "CloudWatch::Alarm"
TRACKING = "TargetTrackingConfiguration"
ENVIRONMENT = "entorno"  # no resource: where all stacks go
EBS = "LaunchTemplateData.BlockDeviceMappings.0.Ebs"


@dataclass(frozen=True)
class Row:
    """One thing that is asked for. Without a property the resource is the answer; `none` says that there is none."""

    asked: str
    stack: str
    type: str
    property: str
    test: str
    named: str = ""
    none: bool = False


SECTIONS: dict[str, list[Row]] = {
    "Actividades calificadas": [
        Row(
            "1. Balanceador de carga",
            "AnbWeb",
            BALANCER,
            "Scheme",
            "test_web.py::test_the_load_balancer_faces_the_internet",
        ),
        Row(
            "1. Verificación de salud superficial",
            "AnbWeb",
            TARGETS,
            "HealthCheckPath",
            "test_mutations.py::deep_health_check",
        ),
        Row(
            "2. Hasta 3 servidores web",
            "AnbWeb",
            GROUP,
            "MaxSize",
            "test_web.py::test_there_are_up_to_three_instances",
        ),
        Row(
            "2. La capa web escala por solicitudes",
            "AnbWeb",
            POLICY,
            f"{TRACKING}.TargetValue",
            "test_web.py::test_it_scales_on_requests_and_on_cpu",
            named="FleetGroupScalingPolicyRequests",
        ),
        Row(
            "2. La capa web escala por CPU",
            "AnbWeb",
            POLICY,
            f"{TRACKING}.TargetValue",
            "test_web.py::test_it_scales_on_requests_and_on_cpu",
            named="FleetGroupScalingPolicyCpu",
        ),
        Row(
            "3. Hasta 3 workers (20 %)",
            "AnbWorker",
            GROUP,
            "MaxSize",
            "test_mutations.py::four_workers",
        ),
        Row(
            "3. Los workers escalan por trabajo pendiente y en curso por instancia",
            "AnbWorker",
            POLICY,
            f"{TRACKING}.CustomizedMetricSpecification.Metrics.3.Expression",
            "test_worker.py::test_workers_follow_the_backlog_of_each_instance",
            named="ScalingBacklog",
        ),
        Row(
            "3. Trabajos aceptables por instancia",
            "AnbWorker",
            POLICY,
            f"{TRACKING}.TargetValue",
            "test_worker.py::test_workers_follow_the_backlog_of_each_instance",
            named="ScalingBacklog",
        ),
        Row(
            "3. Refuerzo por la edad del trabajo más antiguo (segundos)",
            "AnbWorker",
            ALARM,
            "Threshold",
            "test_worker.py::test_an_old_job_hurries_the_fleet",
            named="ScalingOldestWaits",
        ),
        Row(
            "3. Solo se reduce la flota ociosa (minutos seguidos sin trabajo)",
            "AnbWorker",
            ALARM,
            "EvaluationPeriods",
            "test_worker.py::test_only_an_idle_fleet_shrinks",
            named="ScalingIdle",
        ),
        Row(
            "3. Un worker termina su trabajo antes de apagarse (segundos)",
            "AnbWorker",
            "AutoScaling::LifecycleHook",
            "HeartbeatTimeout",
            "test_worker.py::test_a_worker_is_waited_for_without_a_role",
        ),
        Row(
            "4. Mensajería asíncrona con SQS (20 %)",
            "AnbMedia",
            QUEUE,
            "QueueName",
            "test_media.py::test_dead_letters_outlive_the_queue_and_come_from_it_alone",
            named="JobsQueue",
        ),
        Row(
            "4. Visibilidad no menor que la reserva del video (segundos)",
            "AnbMedia",
            QUEUE,
            "VisibilityTimeout",
            "test_media.py::test_a_message_is_hidden_for_as_long_as_its_video_is_leased",
            named="JobsQueue",
        ),
        Row(
            "4. Cola de mensajes fallidos (entregas antes de llegar a ella)",
            "AnbMedia",
            QUEUE,
            "RedrivePolicy.maxReceiveCount",
            "test_media.py::test_a_message_is_dead_after_as_many_receives_as_the_service_counts_on",
            named="JobsQueue",
        ),
        Row(
            "5. Balanceador en dos zonas de disponibilidad (20 %)",
            "AnbWeb",
            BALANCER,
            "Subnets",
            "test_mutations.py::load_balancer_in_a_single_zone",
        ),
        Row(
            "5. Servidores web en dos zonas",
            "AnbWeb",
            GROUP,
            "VPCZoneIdentifier",
            "test_mutations.py::web_fleet_in_a_single_zone",
        ),
        Row(
            "5. Workers en dos zonas",
            "AnbWorker",
            GROUP,
            "VPCZoneIdentifier",
            "test_worker.py::test_there_are_one_to_three_workers_in_two_zones",
        ),
    ],
    "Modelo de despliegue": [
        Row(
            "EC2 con 2 vCPU y 2 GiB de RAM",
            "AnbWorker",
            TEMPLATE,
            "LaunchTemplateData.InstanceType",
            "test_worker.py::test_an_instance_is_what_the_business_decided_on",
        ),
        Row(
            "30 GiB de almacenamiento",
            "AnbWorker",
            TEMPLATE,
            f"{EBS}.VolumeSize",
            "test_worker.py::test_an_instance_is_what_the_business_decided_on",
        ),
        Row(
            "Base de datos en RDS",
            "AnbData",
            DATABASE,
            "Engine",
            "test_data.py::test_it_is_mysql_8_4_without_paid_extended_support",
        ),
        Row(
            "RDS se elimina sola, sin tocar lo demás",
            "AnbData",
            "SSM::Parameter",
            "Name",
            "test_data.py::test_no_stack_waits_for_the_database",
        ),
        Row(
            "Videos originales y procesados en S3",
            "AnbMedia",
            BUCKET,
            "VersioningConfiguration.Status",
            "test_media.py::test_videos_keep_their_versions_for_a_week",
        ),
        Row(
            "Monitoreo con CloudWatch: tablero",
            "AnbObservability",
            "CloudWatch::Dashboard",
            "",
            "test_observability.py::test_the_dashboard_tells_the_story",
        ),
        Row(
            "Monitoreo con CloudWatch: alarmas",
            "AnbObservability",
            ALARM,
            "TreatMissingData",
            "test_observability.py::test_every_alarm_leads_to_its_heading_in_the_runbook",
            named="AlarmsDeadLetters",
        ),
        Row(
            "Credenciales fuera del código: generadas",
            "AnbData",
            "SecretsManager::Secret",
            "GenerateSecretString.PasswordLength",
            "test_data.py::test_its_password_is_generated",
        ),
    ],
    "Límites de AWS Academy": [
        Row(
            "Regiones us-east-1 y us-west-2",
            "*",
            ENVIRONMENT,
            "region",
            "test_mutations.py::test_a_region_outside_the_lab_is_found",
        ),
        Row(
            "LabRole y LabInstanceProfile: ningún rol propio",
            "AnbWorker",
            TEMPLATE,
            "LaunchTemplateData.IamInstanceProfile.Arn",
            "test_mutations.py::a_role_in_academy",
        ),
        Row(
            "Sin roles ni políticas en las plantillas",
            "*",
            "IAM::",
            "",
            "test_mutations.py::an_instance_profile_in_academy",
            none=True,
        ),
        Row("Sin funciones Lambda", "*", "Lambda::", "", "test_mutations.py::a_function_in_academy", none=True),
        Row(
            "Tipos nano a large",
            "AnbWeb",
            TEMPLATE,
            "LaunchTemplateData.InstanceType",
            "test_mutations.py::an_instance_too_large",
        ),
        Row(
            "Solo bajo demanda",
            "*",
            "EC2::SpotFleet",
            "",
            "test_mutations.py::spot_instances",
            none=True,
        ),
        Row(
            "Máximo 9 instancias, reemplazos incluidos: lote de reemplazo web",
            "AnbWeb",
            GROUP,
            "UpdatePolicy.AutoScalingRollingUpdate.MaxBatchSize",
            "test_mutations.py::a_rolling_update_of_three_at_once",
        ),
        Row(
            "Máximo 32 vCPU",
            "AnbWorker",
            GROUP,
            "MaxSize",
            "test_mutations.py::more_than_32_cores",
        ),
        Row(
            "Nunca 20 arranques a la vez",
            "AnbWeb",
            GROUP,
            "MaxSize",
            "test_mutations.py::twenty_instances_at_once",
        ),
        Row(
            "EBS de hasta 100 GB",
            "AnbWeb",
            TEMPLATE,
            f"{EBS}.VolumeSize",
            "test_mutations.py::a_volume_too_large",
        ),
        Row(
            "EBS gp2, gp3, sc1 o estándar",
            "AnbWeb",
            TEMPLATE,
            f"{EBS}.VolumeType",
            "test_mutations.py::a_volume_with_provisioned_iops",
        ),
        Row(
            "RDS de tamaño nano a medium",
            "AnbData",
            DATABASE,
            "DBInstanceClass",
            "test_mutations.py::a_database_too_large",
        ),
        Row("RDS sobre gp2", "AnbData", DATABASE, "StorageType", "test_mutations.py::a_database_on_gp3"),
        Row(
            "RDS sin monitoreo mejorado",
            "AnbData",
            DATABASE,
            "MonitoringInterval",
            "test_mutations.py::a_database_with_enhanced_monitoring",
            none=True,
        ),
    ],
}

HEAD = """# Trazabilidad

Cada exigencia del enunciado, dónde la cumplen las plantillas sintetizadas del perfil `academy` y qué prueba falla si
se pierde. Las pruebas están en `tests/stacks/`. Página generada por `scripts/trace_requirements.py`; una prueba exige
que esté al día.
"""


def page(assembly: Assembly) -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(_section(title, rows, assembly) for title, rows in SECTIONS.items())])


def _section(title: str, rows: list[Row], assembly: Assembly) -> str:
    lines = [_line(row, assembly) for row in rows]
    head = ["| Exigencia | Recurso de la plantilla | Propiedad y valor | Prueba |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}", "", *head, *lines, ""])


def _line(row: Row, assembly: Assembly) -> str:
    if row.type == ENVIRONMENT:
        return f"| {row.asked} | {ENVIRONMENT} de todas | `{row.property}` = `{assembly.region}` | `{row.test}` |"
    resource = f"`{row.stack}` `AWS::{row.type}`" if row.stack != "*" else f"`AWS::{row.type}*` en ninguna"
    return f"| {row.asked} | {resource} | {_answer(row, assembly)} | `{row.test}` |"


def _answer(row: Row, assembly: Assembly) -> str:
    found = [
        resource
        for resource in assembly.resources()
        if _is(resource.type, f"AWS::{row.type}")
        and row.stack in {resource.stack, "*"}
        and resource.logical_id.startswith(row.named)
    ]
    if row.none and not row.property:
        if found:
            raise LookupError(f"{row.asked}: {found[0].logical_id} is there")
        return "ninguno"
    if len(found) != 1 and row.named:
        raise LookupError(f"{row.asked}: {len(found)} resources are named {row.named}")
    definition = found[0].definition
    if not row.property:
        return "presente"
    start = definition if row.property.startswith("UpdatePolicy") else definition.get("Properties", {})
    value = _value(start, row.property.split("."))
    if row.none is not (value is None):
        raise LookupError(f"{row.asked}: {row.property} is {value}")
    return f"`{row.property.rpartition('.')[2]}` {'ausente' if value is None else '= ' + _shown(value)}"


def _is(type_: str, asked: str) -> bool:
    """Say whether it is that type, or one of a service whose name ends in colons."""
    return type_.startswith(asked) if asked.endswith("::") else type_ == asked


def _value(start: Any, path: list[str]) -> Any:
    """Return what lies at the end of the path, or None."""
    for step in path:
        start = start[int(step)] if isinstance(start, list) else start.get(step)
        if start is None:
            return None
    return start


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} subredes"
    if isinstance(value, Mapping):
        joined = value.get("Fn::Join", ["", [json.dumps(value)]])[1]
        return f"`…{joined[-1]}`"
    return f"`{value}`"


def _synthesised() -> Assembly:
    """Return academy's templates; what the artefacts hold changes nothing on the page."""
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for artefact in ("web", "worker", "ffmpeg"):
            (folder / f"{artefact}.zip").write_bytes(b"stand-in")
        app = cdk.App(
            context=flags,
            outdir=str(folder / "out"),
            analytics_reporting=False,
            builtin_cloud_formation_validation=False,
        )
        compose(app, ACADEMY, Sources(artefacts=folder, user_data=ROOT / "userdata"))
        app.synth()
        paths = (folder / "out").glob("*.template.json")
        templates = {path.name.partition(".")[0]: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    return Assembly(ACADEMY.region, templates)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(_synthesised()), encoding="utf-8")
    print(PAGE)
