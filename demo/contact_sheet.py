"""Draws what became of each video: one row with pictures from its bumpers and its body."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw, ImageFont

from demo.inspection import BUMPER_SECONDS, HEIGHT, WIDTH

LOGO = Path(__file__).resolve().parent.parent / "services/worker/anb_worker/branding/logo-large.png"

NAVY, ORANGE = (10, 26, 63), (255, 106, 19)
NIGHT, WHITE, MIST, STEEL = (4, 9, 24), (255, 255, 255), (150, 168, 208), (44, 66, 118)

FRAME = (384, 216)
LABEL_WIDTH, GAP, MARGIN = 372, 16, 48
HEADER_HEIGHT, HEADING_HEIGHT, ROW_HEIGHT = 196, 48, FRAME[1] + 40
COLUMNS = ("Intro", "Body, near its start", "Body, its middle", "Body, near its end", "Outro")
BUMPERS = (0, len(COLUMNS) - 1)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A processed video, and what it was made from. The font has no letters with accents."""

    name: str
    lines: Sequence[str]
    """About both of them."""
    source_size: tuple[int, int]
    video: Path
    seconds: float


def draw_contact_sheet(rows: Sequence[Row], target: Path) -> None:
    """Write a PNG picture with a row for each video; raises CalledProcessError for one that cannot be read."""
    width = 2 * MARGIN + LABEL_WIDTH + len(COLUMNS) * (FRAME[0] + GAP)
    height = HEADER_HEIGHT + HEADING_HEIGHT + len(rows) * ROW_HEIGHT + MARGIN
    sheet = _ground(width, height)
    draw = ImageDraw.Draw(sheet)
    _header(sheet, draw, count=len(rows))
    _headings(draw)
    for number, row in enumerate(rows):
        _row(sheet, draw, row, top=HEADER_HEIGHT + HEADING_HEIGHT + number * ROW_HEIGHT)
    sheet.save(target)


def moments(seconds: float) -> list[float]:
    """The times, in seconds, that the columns show of a video of that length."""
    body_end = seconds - BUMPER_SECONDS
    inset = min(1.0, (body_end - BUMPER_SECONDS) / 4)
    settled = 0.7 * BUMPER_SECONDS  # when what moves in a bumper has come to rest
    return [settled, BUMPER_SECONDS + inset, seconds / 2, body_end - inset, body_end + settled]


def _ground(width: int, height: int) -> Image.Image:
    """Navy above, night below."""
    fade = Image.linear_gradient("L").resize((width, height))
    return Image.composite(Image.new("RGB", fade.size, NIGHT), Image.new("RGB", fade.size, NAVY), fade)


def _header(sheet: Image.Image, draw: ImageDraw.ImageDraw, *, count: int) -> None:
    with Image.open(LOGO) as large:
        logo = large.resize((240, 240 * large.height // large.width), Image.Resampling.LANCZOS)
    middle = HEADER_HEIGHT // 2
    sheet.paste(logo, (MARGIN - 6, middle - logo.height // 2), logo)
    left = MARGIN + logo.width + 32
    draw.text(
        (left, middle - 22), "From the telephone to the showcase", WHITE, _font(50), anchor="lm", stroke_width=0.6
    )
    videos = "one video" if count == 1 else f"{count} videos"
    promise = f"{videos}, each now {WIDTH}x{HEIGHT}, H.264, 30 frames per second, no sound, between two bumpers"
    draw.text((left, middle + 32), promise, MIST, _font(28), anchor="lm")
    draw.rectangle((MARGIN, HEADER_HEIGHT - 8, sheet.width - MARGIN, HEADER_HEIGHT - 3), ORANGE)


def _headings(draw: ImageDraw.ImageDraw) -> None:
    line = HEADER_HEIGHT + HEADING_HEIGHT // 2 + 4
    draw.text((MARGIN, line), "What the player sent", MIST, _font(22), anchor="lm")
    for column, heading in enumerate(COLUMNS):
        colour = ORANGE if column in BUMPERS else MIST
        draw.text((_left_of(column), line), heading, colour, _font(22), anchor="lm")


def _row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: Row, *, top: int) -> None:
    if top > HEADER_HEIGHT + HEADING_HEIGHT:
        draw.line((MARGIN, top - 10, sheet.width - MARGIN, top - 10), STEEL)
    top += 10
    _label(draw, row, top=top)
    for column, moment in enumerate(moments(row.seconds)):
        left = _left_of(column)
        sheet.paste(_picture(row.video, moment), (left, top))
        colour = ORANGE if column in BUMPERS else STEEL
        draw.rectangle((left - 2, top - 2, left + FRAME[0] + 1, top + FRAME[1] + 1), outline=colour, width=2)
        _time(draw, f"{moment:.1f} s", left=left, bottom=top + FRAME[1])


def _label(draw: ImageDraw.ImageDraw, row: Row, *, top: int) -> None:
    draw.text((MARGIN, top + 2), row.name, WHITE, _font(30), stroke_width=0.4)
    for number, line in enumerate(row.lines):
        draw.text((MARGIN, top + 46 + 30 * number), line, MIST, _font(22))
    _shape(draw, row.source_size, left=MARGIN, bottom=top + FRAME[1])


def _shape(draw: ImageDraw.ImageDraw, size: tuple[int, int], *, left: int, bottom: int) -> None:
    """An outline with the proportions of the source, in 64 pixels at most."""
    scale = 64 / max(size)
    width, height = round(size[0] * scale), round(size[1] * scale)
    draw.rounded_rectangle((left, bottom - height, left + width, bottom), 5, NAVY, ORANGE, 3)


def _time(draw: ImageDraw.ImageDraw, text: str, *, left: int, bottom: int) -> None:
    width = round(draw.textlength(text, _font(18))) + 16
    draw.rectangle((left, bottom - 28, left + width, bottom - 1), NIGHT)
    draw.text((left + width / 2, bottom - 14), text, WHITE, _font(18), anchor="mm")


def _left_of(column: int) -> int:
    return MARGIN + LABEL_WIDTH + GAP + column * (FRAME[0] + GAP)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _picture(video: Path, second: float) -> Image.Image:
    done = subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-ss", f"{second:.3f}"),
            *("-i", f"file:{video}", "-frames:v", "1", "-vf", f"scale={FRAME[0]}:{FRAME[1]}:flags=lanczos"),
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
        ],
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    return Image.frombytes("RGB", FRAME, done.stdout)
