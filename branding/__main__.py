"""`python -m branding` draws the watermark and the two bumpers again.

The drawings are those of stage.html, made by Chromium from the shapes of the site's logo, from words.svg and from
the site's font; the same Chromium makes the same pictures.
"""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import imageio_ffmpeg
from playwright.sync_api import Page, Route, sync_playwright

from anb import commands
from anb_worker.encoding import BUMPER_SECONDS, COLOUR_FILTER, ENCODER_FLAGS, FRAME_RATE
from local import packages
from local.errors import ProgramMissing

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "services/worker/anb_worker/branding"
SITE = "http://branding.invalid"  # answered from the repository's files
WATERMARK_WIDTHS = {"logo.png": 150, "logo-large.png": 900}


@click.command()
def branding() -> None:
    """Draw the watermark and the bumpers again."""
    with _stage() as page:
        for name, width in WATERMARK_WIDTHS.items():
            (RESULTS / name).write_bytes(_draw(page, "watermark", width))
        for name in ("intro", "outro"):
            frames = (_draw(page, name, frame / FRAME_RATE) for frame in range(round(BUMPER_SECONDS * FRAME_RATE)))
            _encode(frames, RESULTS / f"{name}.mp4")


@contextmanager
def _stage() -> Iterator[Page]:
    """A page of Chromium that can draw."""
    chromium = packages.find("chromium")["chromium"]
    # The Node.js that the driver brings wants a library that a bare Debian lacks; our environment's does not
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(Path(sys.executable).with_name("node"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path, env={**chromium.environment}, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.on("pageerror", lambda error: click.echo(error, err=True))
        page.route("**/*", _answer)
        page.goto(f"{SITE}/branding/stage.html")
        page.wait_for_function("Boolean(window.draw)")
        yield page
        browser.close()


def _answer(route: Route) -> None:
    route.fulfill(path=ROOT / urlsplit(route.request.url).path.lstrip("/"))


def _draw(page: Page, name: str, value: float) -> bytes:
    return base64.b64decode(page.evaluate("([name, value]) => draw(name, value)", [name, value]))


def _encode(frames: Iterator[bytes], path: Path) -> None:
    """Write a bumper that the worker can join to a body without encoding again."""
    to_video = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setsar=1"
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"),
        *("-f", "image2pipe", "-c:v", "png", "-framerate", str(FRAME_RATE), "-i", "pipe:0"),
        *("-an", "-vf", f"{to_video},{COLOUR_FILTER}"),
        *ENCODER_FLAGS,
        *("-fflags", "+bitexact", "-flags", "+bitexact"),  # no version or date in the file
        *("-f", "mp4", str(path)),
    ]
    subprocess.run(command, input=b"".join(frames), check=True)


if __name__ == "__main__":
    errors: dict[type[Exception], int] = {ProgramMissing: commands.MISSING}
    sys.exit(commands.run(branding, program="branding", errors=errors))
