"""The command line of `python -m twin`."""

from pathlib import Path

import click

from anb import commands
from demo.client import UnexpectedAnswer
from local import console
from local.cli import ERRORS
from twin.refusal import Refused
from twin.stories import STORIES

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "elastic"
TEMPLATES = ROOT / "build" / "cdk"


@click.group()
def twin() -> None:
    """Act as AWS would with the synthesised templates, for trying and teaching."""


@twin.command()
@click.argument("names", metavar="[STORY]...", nargs=-1, type=click.Choice(list(STORIES)))
@click.option("--speed", default=6.0, show_default=True, help="How many times as fast as AWS time goes.")
@click.option("--profile", default="academy", show_default=True, help="Whose templates, of those in build/cdk.")
def elastic(names: tuple[str, ...], speed: float, profile: str) -> int:
    """Play stories, and write what was seen to build/elastic.

    Unless STORY names some, all that replay encodings; one that encodes indeed goes at true speed.

    Two at a time, each with a system of its own. The exit code is 1 when a promise was not kept.
    """
    from twin.elastic import play, play_all  # noqa: PLC0415 help needs no system

    chosen = names or [name for name, story in STORIES.items() if not story.encodes]
    match [STORIES[name] for name in chosen]:
        case [story]:
            kept = play(story, folder=FOLDER, templates=TEMPLATES / profile, speed=speed, say=console.say)
        case stories:
            options = ["--speed", f"{speed:g}", "--profile", profile]
            kept = play_all(stories, folder=FOLDER, options=options, say=console.say)
    return commands.DONE if kept else commands.FAILED


@twin.command()
@click.argument("run", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--profile", default="academy", show_default=True, help="Whose templates, of those in build/cdk.")
def compare(run: Path, profile: str) -> int:
    """Play RUN again on the simulated clock, draw both over each other, and say how far they agree.

    RUN is the JSON of a story in build/elastic, or of a run on AWS that `python -m deploy recorded` has fetched. The
    exit code is 1 when they differ by more than 15 %, or in the order of what happened.
    """
    from twin.comparison_picture import lay_over  # noqa: PLC0415 help needs no templates

    return commands.DONE if lay_over(run, templates=TEMPLATES / profile, say=console.say) else commands.FAILED


def main() -> int:
    """Do what the command line says; the exit code."""
    return commands.run(
        twin, program="twin", errors=ERRORS | {Refused: commands.FAILED, UnexpectedAnswer: commands.FAILED}
    )
