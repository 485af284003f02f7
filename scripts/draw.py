"""`python -m scripts.draw` draws the pictures of the documents from what there is: templates, modules and models.

Each picture is a source in Graphviz's language and an SVG that names the hash of that source; `scripts/draw.mjs` lays
it out.
"""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import click
import diagrams
from diagrams import Cluster, Diagram, Edge, Node
from diagrams.aws.compute import EC2
from diagrams.aws.database import RDSMysqlInstance
from diagrams.aws.general import Users
from diagrams.aws.integration import SNS, SQS
from diagrams.aws.management import Cloudwatch
from diagrams.aws.network import ElbApplicationLoadBalancer, Endpoint
from diagrams.aws.security import SecretsManager
from diagrams.aws.storage import SimpleStorageServiceS3Bucket
from sqlalchemy import Column, Table
from sqlalchemy.dialects import mysql

from anb import commands
from anb.models import Base
from scripts.trace_requirements import synthesised
from stacks.rules.assembly import Assembly, Resource

ROOT = Path(__file__).parents[1]
COURSE, FIGURES = Path("docs", "entrega4", "figuras"), Path("docs", "figures")
ICONS = Path(diagrams.__file__).parents[1]
FONT = "Helvetica,Arial,sans-serif"
ICON_PIXELS = 256  # all of them
_LAYOUT = {"fontname": FONT, "fontsize": "20", "pad": "0.3", "nodesep": "0.9", "ranksep": "0.9", "splines": "spline"}
_IMAGE = re.compile(r'image="?([^" \]]+\.png)"?')


_BOX = {"shape": "box", "style": "rounded,filled", "fillcolor": "#FFFFFF", "height": "0.8"}


def _area(label: str) -> Cluster:
    return Cluster(label, graph_attr={"fontname": FONT, "fontsize": "16", "margin": "18"})


class _Drawing(Diagram):  # type: ignore[misc] # the library has no types
    """A diagram whose source alone is wanted."""

    def __init__(self, direction: str) -> None:
        super().__init__(
            filename="unused",
            direction=direction,
            graph_attr=_LAYOUT,
            node_attr={"fontname": FONT, "fontsize": "15", "imagepos": "tc"},
            edge_attr={"fontname": FONT, "fontsize": "14", "color": "#5A6B7B"},
        )

    def __exit__(self, *error: object) -> None:
        """End the drawing; the library would have a program lay it out, which few machines have."""
        diagrams.setdiagram(None)

    @property
    def text(self) -> str:
        """The drawing in Graphviz's language, with icons by their place in the library."""
        return str(self.dot.source).replace(f"{ICONS}/", "").replace("\t", "  ")


def pictures(assembly: Assembly) -> dict[Path, str]:
    """Return the sources of all pictures, by the file of each without its suffix."""
    return {
        COURSE / "despliegue": deployment(assembly),
        COURSE / "componentes": components(),
        FIGURES / "data-model": data_model(),
    }


def deployment(assembly: Assembly) -> str:
    """Draw what stands where: zones, subnets, fleets, and who may reach whom."""
    with _Drawing("TB") as drawing:
        people = Users("Jugadores y público", nodeid="people")
        with _area(f"Región {assembly.region}"):
            with _area(f"VPC {_only(assembly, 'EC2::VPC').properties['CidrBlock']}"):
                balancer = ElbApplicationLoadBalancer(
                    "Application Load Balancer\nen las dos zonas", nodeid="balancer"
                )
                Node(f"Auto Scaling entre las dos zonas\n{_sizes(assembly)}", nodeid="sizes", **_BOX, width="4.2")
                zones = [_zone(assembly, number) for number in range(2)]
                store_door = Endpoint("Endpoint de S3", nodeid="endpoint")
            services = _services(assembly)
        people >> Edge(label="HTTP 80", minlen="1") >> balancer
        for web, worker, _ in zones:
            balancer >> Edge(label=f"TCP {_port(assembly, 'WebGroup')}") >> web
            for server in (web, worker):
                server >> Edge(label=f"TCP {_port(assembly, 'DatabaseGroup')}") >> zones[0][2]
            zones[1][0] >> Edge(style="invis") >> zones[1][2]
        (web, worker, _), (other_web, other_worker, _) = zones
        web >> Edge(label="encola", color="#B0084D", constraint="false") >> services["queue"]
        other_web >> Edge(color="#B0084D", constraint="false") >> services["queue"]
        services["queue"] >> Edge(label="entrega", color="#B0084D", constraint="false") >> other_worker
        services["queue"] >> Edge(color="#B0084D", constraint="false") >> worker
        (
            zones[1][2]
            >> Edge(style="invis")
            >> store_door
            >> Edge(color="#3F8624", label="videos")
            >> services["videos"]
        )
    return str(drawing.text)


def _zone(assembly: Assembly, number: int) -> tuple[Node, Node, Node]:
    """Draw a zone; return its web server, its worker and what stands in the database's subnet."""
    public, private = (_subnet(assembly, kind, number) for kind in ("Public", "Database"))
    with _area(f"Zona de disponibilidad {number + 1}"):
        with _area(f"Subred pública {public}"):
            web = EC2(f"Web\n{_machine(assembly, 'AnbWeb')}", nodeid=f"web{number}")
            worker = EC2(f"Worker\n{_machine(assembly, 'AnbWorker')}", nodeid=f"worker{number}")
        with _area(f"Subred de datos {private}"):
            database = _only(assembly, "RDS::DBInstance").properties
            said = f"RDS {database['Engine']} {database['EngineVersion']}\n{database['DBInstanceClass']}"
            if number and not database.get("MultiAZ"):
                store = Node("aquí, si RDS elige\nesta zona", nodeid="spare", shape="plaintext", height="1.6")
            else:
                store = RDSMysqlInstance(said, nodeid=f"database{number}")
    return web, worker, store


def _services(assembly: Assembly) -> dict[str, Node]:
    """Draw what belongs to no network."""
    queue = next(found for found in assembly.resources("AWS::SQS::Queue") if "RedrivePolicy" in found.properties)
    name, seconds = queue.properties["QueueName"], queue.properties["VisibilityTimeout"]
    receives = queue.properties["RedrivePolicy"]["maxReceiveCount"]
    alarms = sum(1 for _ in assembly.resources("AWS::CloudWatch::Alarm"))
    nodes = {
        "queue": SQS(f"SQS {name}\nvisibilidad {seconds} s", nodeid="queue"),
        "dead": SQS("SQS: mensajes\nfallidos", nodeid="dead"),
        "videos": SimpleStorageServiceS3Bucket("S3: originales\ny procesados", nodeid="videos"),
        "watch": Cloudwatch(f"CloudWatch: tablero,\n{alarms} alarmas, registros", nodeid="watch"),
        "topic": SNS("SNS: avisos", nodeid="topic"),
        "secrets": SecretsManager("Secrets Manager y\nParameter Store", nodeid="secrets"),
    }
    nodes["queue"] >> Edge(label=f"tras {receives}\nentregas", style="dashed") >> nodes["dead"]
    nodes["watch"] >> Edge(label="alarma") >> nodes["topic"]
    return nodes


def _only(assembly: Assembly, type_: str) -> Resource:
    (found,) = assembly.resources(f"AWS::{type_}")
    return found


def _subnet(assembly: Assembly, kind: str, number: int) -> str:
    """Return the addresses of the kind's subnet in the zone of that number."""
    subnets = [
        found.properties
        for found in assembly.resources("AWS::EC2::Subnet")
        if found.logical_id.startswith(f"Vpc{kind}Subnet")
    ]
    return str(next(it["CidrBlock"] for it in subnets if it["AvailabilityZone"]["Fn::Select"][0] == number))


def _machine(assembly: Assembly, stack: str) -> str:
    """Return what the instances of a stack's fleet are."""
    machine = assembly.only(stack, "AWS::EC2::LaunchTemplate").properties["LaunchTemplateData"]
    disk = machine["BlockDeviceMappings"][0]["Ebs"]
    return f"{machine['InstanceType']}\n{disk['VolumeSize']} GiB {disk['VolumeType']}"


def _sizes(assembly: Assembly) -> str:
    """Return between how many and how many instances each fleet has."""
    groups = {
        name: assembly.only(stack, "AWS::AutoScaling::AutoScalingGroup").properties
        for name, stack in (("web", "AnbWeb"), ("workers", "AnbWorker"))
    }
    return "; ".join(f"{name}: {group['MinSize']} a {group['MaxSize']}" for name, group in groups.items())


def _port(assembly: Assembly, group: str) -> int:
    """Return the one port by which others enter a security group."""
    (port,) = {
        rule.properties["FromPort"]
        for rule in assembly.resources("AWS::EC2::SecurityGroupIngress")
        if rule.logical_id.startswith(group)
    }
    return int(port)


def _part(path: str, does: str) -> Node:
    """Draw a module of the services, which has to exist."""
    if not (ROOT / "services" / path).exists():
        raise FileNotFoundError(f"there is no services/{path}")
    name = path.partition("/")[2]
    inches = 0.16 * max(len(name), len(does))  # for fonts that are wider than the one that Graphviz knows
    return Node(
        f"{name}\n{does}",
        nodeid=name.replace("/", "_").replace(".", "_"),
        **_BOX,
        width=f"{inches:.2f}",
        fontsize="18",
    )


def components() -> str:
    """Draw the parts of the software, and which part uses which."""
    with _Drawing("TB") as drawing:
        drawing.dot.graph_attr.update(nodesep="0.3", ranksep="0.7")  # for a page that stands upright
        client = Users("Navegador,\ncliente del API", nodeid="client")
        with _area("Servidor web"):
            proxy = _part("web/nginx.conf", "límites y esperas")
            app = _part("web/anb_web/app.py", "composición, errores")
            with _area("Vistas: una petición, una llamada"):
                views = [
                    _part("web/anb_web/auth.py", "registro, sesión"),
                    _part("web/anb_web/videos.py", "videos propios"),
                    _part("web/anb_web/uploads.py", "carga directa"),
                    _part("web/anb_web/public.py", "lista, voto, clasificación"),
                ]
        with _area("Paquete anb: lo que web y worker acuerdan"):
            accounts = _part("anb/anb/accounts.py", "cuentas")
            lifecycle = _part("anb/anb/lifecycle.py", "vida de un video")
            voting = _part("anb/anb/voting.py", "votos, clasificación")
            relay = _part("anb/anb/relay.py", "reenvío de lo pendiente")
            jobs = _part("anb/anb/jobs.py", "puerto de la cola")
            storage = _part("anb/anb/storage.py", "puerto de objetos")
        with _area("Worker"):
            loop = _part("worker/anb_worker/loop.py", "recibe y reclama")
            beat = _part("worker/anb_worker/heartbeat.py", "renueva la reserva")
            end = _part("worker/anb_worker/termination.py", "termina antes de irse")
            ffmpeg = _part("worker/anb_worker/encoding.py", "ffmpeg: recorte, marca")
            sandbox = _part("worker/anb_worker/sandbox.py", "límites de ffmpeg")
        database = RDSMysqlInstance("RDS MySQL", nodeid="database")
        queue, bucket = SQS("SQS", nodeid="queue"), SimpleStorageServiceS3Bucket("S3", nodeid="bucket")
        client >> proxy >> app >> views
        views[0] >> accounts
        views[1] >> lifecycle
        views[2] >> [lifecycle, storage]
        views[3] >> voting
        [accounts, lifecycle, voting] >> database
        relay >> [lifecycle, jobs]
        jobs >> queue
        storage >> bucket
        loop << Edge(dir="back") << [beat, end]
        beat >> Edge(style="invis") >> end  # below each other, not side by side
        loop >> Edge(style="invis") >> database
        lifecycle << Edge() << loop
        jobs << Edge() << loop
        loop >> Edge() >> ffmpeg >> sandbox
        storage << Edge() << ffmpeg
    return str(drawing.text)


def data_model() -> str:
    """Draw the tables with their columns, keys and references."""
    tables = list(Base.metadata.sorted_tables)
    references = [
        f'  {table.name} -> {key.column.table.name} [label="{key.name}"]'
        for table in tables
        for key in sorted(table.foreign_keys, key=lambda key: str(key.parent.name))
    ]
    head = [
        "digraph {",
        f'  graph [rankdir=RL pad=0.3 nodesep=0.4 ranksep=1.4 fontname="{FONT}"]',
        f'  node [shape=plaintext fontname="{FONT}" fontsize=14]',
        f'  edge [fontname="{FONT}" fontsize=12 color="#5A6B7B" dir=both arrowtail=crow arrowhead=tee]',
    ]
    return "\n".join([*head, *(_entity(table) for table in tables), *references, "}\n"])


def _entity(table: Table) -> str:
    rows = "".join(_attribute(column) for column in table.columns)
    head = (
        f'<tr><td bgcolor="#0B2545" colspan="3"><font color="white"><b>&#160;{table.name}&#160;</b></font></td></tr>'
    )
    frame = '<table border="0" cellborder="1" cellspacing="0" cellpadding="4">'
    return f"  {table.name} [label=<{frame}{head}{rows}</table>>]"


def _attribute(column: Column[object]) -> str:
    mark = "PK" if column.primary_key else "FK" if column.foreign_keys else ""
    kind = column.type.compile(dialect=mysql.dialect()).partition(" ")[0].lower()
    kind += "" if column.nullable is False else ", null"
    name = column.name + "&#160;" * (len(column.name) // 4)  # for fonts that are wider than the one Graphviz knows
    kind += "&#160;" * (len(kind) // 3)
    return (
        f'<tr><td align="left">{mark}</td><td align="left">{name}</td>'
        f'<td align="left"><font color="#5A6B7B">{kind}</font></td></tr>'
    )


def drawn(source: str) -> str:
    """Return the picture of a source as SVG, which needs no other file."""
    icons = sorted(set(_IMAGE.findall(source)))
    images = [{"name": icon, "width": ICON_PIXELS, "height": ICON_PIXELS} for icon in icons]
    laid_out = subprocess.run(
        ["node", ROOT / "scripts" / "draw.mjs"],
        input=json.dumps({"source": source, "images": images}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for icon in icons:
        data = base64.b64encode((ICONS / icon).read_bytes()).decode()
        laid_out = laid_out.replace(f'"{icon}"', f'"data:image/png;base64,{data}"')
    return f"{laid_out.rstrip()}\n<!-- {digest(source)} -->\n"


def digest(source: str) -> str:
    """Return what the picture says of its source."""
    return f"source: sha256 {sha256(source.encode()).hexdigest()}"


def stale(assembly: Assembly, root: Path = ROOT) -> Iterator[str]:
    """Yield a sentence for each picture that is not what there is."""
    for place, source in pictures(assembly).items():
        written, picture = (root / place).with_suffix(".dot"), (root / place).with_suffix(".svg")
        if not written.exists() or written.read_text(encoding="utf-8") != source:
            yield f"{written.relative_to(root)} is not what there is"
        elif not picture.exists() or digest(source) not in picture.read_text(encoding="utf-8"):
            yield f"{picture.relative_to(root)} is not drawn from its source"


@click.command()
def draw() -> None:
    """Draw the pictures of the documents again."""
    for place, source in pictures(synthesised()).items():
        path = ROOT / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".dot").write_text(source, encoding="utf-8")
        path.with_suffix(".svg").write_text(drawn(source), encoding="utf-8")
        print(path.with_suffix(".svg").relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(commands.run(draw, program="scripts.draw", errors={}))
