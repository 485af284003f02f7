"""Go through a system as its players do, and say what did not go as the contract says.

URL is where any system answers, such as http://127.0.0.1:8080 or the load balancer of a deployment: this is its smoke
test, and what a recording shows. Six players sign up, upload videos of several lengths and shapes, by both ways, some
of which must be refused; they look, download, vote, look at the ranking and delete. The accounts and the videos stay:
their family name tells them, and the videos are left in build/demo.
"""

from pathlib import Path

import click

from anb import commands

FOLDER = Path(__file__).resolve().parents[2] / "build" / "demo"


@click.command("demo", help=__doc__)
@click.argument("url", metavar="URL")
@click.option(
    "--pace", "pace_seconds", type=click.FloatRange(min=0), default=0, help="Seconds to rest after each step."
)
@commands.json_option
def command(*, url: str, pace_seconds: float, as_json: bool) -> int:
    """Run the journey."""
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter("it must begin with http:// or https://", param_hint="URL")
    from demo.run import run  # noqa: PLC0415 no other command needs pictures and numbers

    return run(FOLDER, url=url, pace_seconds=pace_seconds, as_json=as_json)
