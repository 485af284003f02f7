"""The whole journey on a system of its own: players, real videos, votes, and a picture of what came out."""

import io
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from anb import commands
from anb.errors import Invalid
from anb.mp4 import Clip
from demo import clips
from demo.contact_sheet import Row, draw_contact_sheet
from demo.inspection import expected_frames, find_problems, read_file
from demo.journey import FILTERED_CITY, Entry, Journey
from local.errors import CannotRun
from local.signals import INTERRUPTED
from local.state import State
from local.supervisor import Write
from local.system import System, running_system

SHEET = "contact-sheet.png"
PIPE_WIDTH = 120  # columns, where there is no terminal to ask
STAGES = 2  # of a file: made and sent, and then processed or refused
ORANGE = "#ff6a13"
CODECS = {"h264": "H.264", "hevc": "HEVC"}


def run(folder: Path, *, url: str | None = None, pace_seconds: float = 0, as_json: bool = False) -> int:
    """Go through the journey and leave its videos and pictures in `folder`.

    It goes through the system at `url`, else through one of its own, and rests so long after each step, for whoever
    watches; with `as_json` they read on stderr, and what became of each video is printed for other programs.

    The exit status: 0 when all of it held, 1 when something did not, 130 when a KeyboardInterrupt ended it. Raises
    CannotRun when the system does not run here.
    """
    console = _console(sys.stderr if as_json else sys.stdout)
    started = time.monotonic()
    demo = _Demo(folder, console, url=url, pace_seconds=pace_seconds)
    try:
        with State(folder).locked():
            problems = demo.run()
    except KeyboardInterrupt:
        console.print("stopped")
        return INTERRUPTED
    for problem in problems:
        console.print(f"[bold red]did not hold:[/] {escape(problem)}")
    verdict = "[bold red]not all of it held[/]" if problems else "[bold green]all of it held[/]"
    seconds = time.monotonic() - started
    console.print(f"{verdict}, in {seconds:.0f} s; see {escape(str(folder))}", soft_wrap=True)
    if as_json:
        commands.print_json(
            {"problems": problems, "seconds": round(seconds, 1), "videos": list(map(_report, demo.entries))}
        )
    return 1 if problems else 0


class _Demo:
    """One run of the demo."""

    def __init__(self, folder: Path, console: Console, *, url: str | None = None, pace_seconds: float = 0) -> None:
        self._folder, self._console, self._url, self._pace_seconds = folder, console, url, pace_seconds
        self._samples, self._temporary = folder / "samples", folder / "running"
        self.entries: Sequence[Entry] = ()
        """What has been uploaded, once somebody has set out."""

    def run(self) -> list[str]:
        """What did not hold."""
        self._clear()
        try:
            with (
                (self._folder / "system.log").open("w") as log,
                self._making_samples() as is_there,
                self._place(log) as (url, sleep),
                Journey(url, samples=self._samples, sleep=sleep, family=_family() if self._url else "") as journey,
            ):
                self.entries = journey.entries
                self._travel(journey, is_there)
        except CannotRun:
            self._console.print(f"what its services said is in {escape(log.name)}", soft_wrap=True)
            raise
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)
        return [*journey.problems, *self._inspect(journey.processed)]

    def _clear(self) -> None:
        """Take away what an earlier run left."""
        for path in (self._samples, self._temporary):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        for path in (*self._folder.glob("*.mp4"), self._folder / SHEET):
            path.unlink(missing_ok=True)

    @contextmanager
    def _making_samples(self) -> Iterator[Callable[[clips.Sample], bool]]:
        temporary = self._temporary / "samples"
        temporary.mkdir()
        with clips.being_made(self._samples, temporary=temporary, log=self._folder / "samples.log") as is_there:
            yield is_there

    @contextmanager
    def _place(self, log: IO[str]) -> Iterator[tuple[str, Callable[[float], None]]]:
        """Yield where to go, and how to wait for what happens there."""
        if self._url:
            yield self._url.rstrip("/"), time.sleep
            return
        with self._system(log) as system:
            yield system.url, _watchful_sleep(system)

    @contextmanager
    def _system(self, log: IO[str]) -> Iterator[System]:
        self._console.print("starting the system, and making sample videos meanwhile")
        with running_system(self._temporary / "system", echo=_written_to(log)) as system:
            self._say("system", f"ready at {system.url}")
            try:
                yield system
            except KeyboardInterrupt:
                system.kill_all()  # what it has in hand is thrown away anyway
                raise

    def _travel(self, journey: Journey, is_there: Callable[[clips.Sample], bool]) -> None:
        self._step(journey, "sign-up", journey.sign_up)
        if journey.problems:
            return  # nobody could do anything
        with _board(self._console, journey.entries) as show:
            journey.upload_and_watch(is_there, show)
        self._console.print(_table_of_videos(journey.entries))
        if not journey.processed:
            return  # nothing to vote for
        for name, go in {
            "details": journey.look_closer,
            "download": lambda: journey.download(self._folder),
            "voting": journey.vote,
            "ranking": journey.rank,
            "deletion": journey.clear_away,
        }.items():
            self._step(journey, name, go)
        with journey.noting_problems("ranking"):
            self._console.print(_table_of_places("Ranking", journey.ranking()))
            asked, city = FILTERED_CITY
            self._console.print(_table_of_places(f"Ranking of {city}", journey.ranking(city=asked)))

    def _step(self, journey: Journey, name: str, go: Callable[[], str]) -> None:
        with journey.noting_problems(name):
            self._say(name, go())
        time.sleep(self._pace_seconds)  # whoever records it reads along

    def _say(self, name: str, text: str) -> None:
        self._console.print(f"[green]{name:<10}[/] {escape(text)}", soft_wrap=True)

    def _inspect(self, entries: Sequence[Entry]) -> list[str]:
        """Judge what came back and draw the contact sheet; what is wrong with it."""
        problems, rows = [], []
        for entry in entries:
            source, video = read_file(entry.path), self._folder / entry.sample.file
            found = find_problems(video, frames=expected_frames(source))
            problems += [f"{video.name}: {problem}" for problem in found]
            if not found:
                rows.append(_row(entry, source, video))
        if rows:
            draw_contact_sheet(rows, self._folder / SHEET)
            self._say("inspection", f"{len(rows)} of {len(entries)} videos are as promised; {SHEET} shows them")
        return problems


# --- the terminal -----------------------------------------------------------------------------------------


def _console(stream: TextIO) -> Console:
    """A terminal, or a pipe, that can be told any text whatever its encoding."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=PIPE_WIDTH)


@contextmanager
def _board(console: Console, entries: Sequence[Entry]) -> Iterator[Callable[[Entry], None]]:
    """Shows how far the entries are: bars on a terminal, a line for each change elsewhere."""
    if not console.is_terminal:
        yield lambda entry: console.print(f"{entry.sample.name:<20} {escape(_state(entry))}", soft_wrap=True)
        return
    with _progress(console) as progress:
        bars = {
            entry.sample: progress.add_task(entry.sample.name, total=STAGES, state=entry.state) for entry in entries
        }
        together = progress.add_task("[bold]together", total=len(entries), state="")

        def show(entry: Entry) -> None:
            over = sum(each.is_over for each in entries)
            state = _outcome(entry) if entry.is_over else entry.state
            progress.update(bars[entry.sample], completed=STAGES if entry.is_over else 1, state=state)
            progress.update(together, completed=over, state=f"{over} of {len(entries)}")

        yield show


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(style=ORANGE, finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style=ORANGE, finished_style=ORANGE),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=4,  # the machine has better things to do
    )


def _state(entry: Entry) -> str:
    if not entry.is_over:
        return entry.state
    return f"{_outcome(entry)}: {entry.sentence}" if entry.sentence else _outcome(entry)


def _outcome(entry: Entry) -> str:
    return entry.outcome.value if entry.outcome else "lost"


def _report(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.sample.name,
        "expected": entry.sample.outcome.value,
        "outcome": _outcome(entry),
        "reason": entry.sentence,
        "video_id": entry.video_id,
        "seconds": entry.seconds,
    }


def _table_of_videos(entries: Sequence[Entry]) -> Table:
    caption = "seconds: from the end of the upload to the result, with the wait for the videos before it"
    table = Table(title="Videos", title_justify="left", caption=caption, caption_justify="right")
    for name in ("video", "source"):
        table.add_column(name, no_wrap=True)
    table.add_column("result", overflow="fold")
    table.add_column("seconds", justify="right")
    for entry in entries:
        colour = "green" if entry.outcome is entry.sample.outcome else "red"
        seconds = f"{entry.seconds:.1f}" if entry.is_processed and entry.seconds is not None else ""
        result = f"[{colour}]{escape(_state(entry))}[/]"
        table.add_row(entry.sample.name, ", ".join(_source(entry.path)), result, seconds)
    return table


def _table_of_places(title: str, places: Sequence[dict[str, object]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("position", "username", "city", "votes"):
        table.add_column(column, justify="right" if column in {"position", "votes"} else "left")
    for place in places:
        table.add_row(*(escape(str(value)) for value in place.values()))
    return table


# --- videos -----------------------------------------------------------------------------------------------


def _source(path: Path) -> list[str]:
    """What a file is, in a few words each."""
    try:
        clip = read_file(path)
    except (Invalid, OSError):
        return ["no readable video"]
    return [
        f"{clip.width}x{clip.height} {_shape(clip)}",
        f"{clip.frames / clip.duration_seconds:.3g} fps",
        CODECS[clip.codec],
        f"{clip.duration_seconds:.3g} s",
    ]


def _shape(clip: Clip) -> str:
    if clip.width == clip.height:
        return "square"
    if clip.width < clip.height:
        return "portrait"
    return "ultrawide" if clip.width > 2 * clip.height else "landscape"


def _row(entry: Entry, source: Clip, video: Path) -> Row:
    size, *details = _source(entry.path)
    seconds = read_file(video).duration_seconds
    return Row(
        name=entry.sample.name,
        lines=[size, ", ".join(details), f"now {seconds:.3g} s with its bumpers"],
        source_size=(source.width, source.height),
        video=video,
        seconds=seconds,
    )


def _family() -> str:
    """A name that no other run has had, made of letters that make no words."""
    return "".join(random.choices("BCDFGKLMNPRTV", k=6)).capitalize()  # noqa: S311 it keeps nothing secret


# --- the system -------------------------------------------------------------------------------------------


def _watchful_sleep(system: System) -> Callable[[float], None]:
    """A sleep that raises CannotRun when a service of the system has died for good."""

    def sleep(seconds: float) -> None:
        system.check()
        time.sleep(seconds)

    return sleep


def _written_to(log: IO[str]) -> Write:
    """Takes what the services print; each line is written at once, so that lines of several services do not mix."""

    def write(name: str, line: str) -> None:
        log.write(f"{name:<10} | {line}\n")

    return write
