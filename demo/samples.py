"""Draws clips that look like a basketball video: a court under a hand-held camera, players, a bouncing ball.

They are synthetic, and say so by their looks; they serve the tests, the demo and the measurements.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw

MARGIN = 1.12  # how much larger than the picture the court is: the room in which the camera moves
SHIRTS = ("#f4f4f2", "#d7263d", "#f4f4f2", "#d7263d", "#1b4fa0")
WOOD, PAINT, LINE, STANDS = (196, 142, 84), (30, 70, 130), (245, 240, 230), (22, 26, 38)


def make_sample(
    path: Path,
    *,
    width: int = 1920,
    height: int = 1080,
    seconds: float = 2,
    fps: int | str = 30,
    codec: Literal["h264", "hevc"] = "h264",
    rotation: Literal[0, 90, 180, 270] = 0,
    audio: bool = True,
    variable_rate: bool = False,
    hdr: bool = False,
    grain: int = 3,
    kilobits_per_second: int | None = None,
    preset: str = "ultrafast",
    options: Sequence[str] = (),
) -> Path:
    """Write an MP4 to `path` and return it; the same arguments give the same picture.

    `width` and `height` are pixels as coded, `rotation` the degrees by which a player turns them, `fps` a
    number or a fraction such as "30000/1001", `grain` the strength of the sensor noise (0 to 100). Without
    `kilobits_per_second` the quality is constant; `options` go to ffmpeg last.
    """
    with tempfile.TemporaryDirectory(prefix="sample-") as name:
        folder = Path(name)
        _court(round(width * MARGIN), round(height * MARGIN)).save(folder / "court.png", compress_level=1)
        for number, shirt in enumerate(SHIRTS):
            _player(shirt, height // 4).save(folder / f"player{number}.png", compress_level=1)
        _ball(max(8, height // 22)).save(folder / "ball.png", compress_level=1)
        target = folder / "upright.mp4" if rotation else path
        _ffmpeg(
            *_inputs(folder, seconds=seconds, audio=audio),
            *(
                "-filter_complex",
                _scene(width, height, Fraction(fps), grain=grain, variable_rate=variable_rate, hdr=hdr),
            ),
            *("-map", "[scene]", *(["-map", f"{len(SHIRTS) + 2}:a", "-c:a", "aac"] if audio else [])),
            *_encoder(codec, preset, kilobits_per_second, hdr=hdr),
            *("-fps_mode", "vfr", "-t", str(seconds), *options, f"file:{target}"),
        )
        if rotation:
            _ffmpeg("-display_rotation:v", str(rotation), "-i", f"file:{target}", "-c", "copy", f"file:{path}")
    return path


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments],
        check=True,
        timeout=1800,
    )


def _inputs(folder: Path, *, seconds: float, audio: bool) -> list[str]:
    pictures = ["court", *(f"player{number}" for number in range(len(SHIRTS))), "ball"]
    inputs = [word for picture in pictures for word in ("-i", str(folder / f"{picture}.png"))]
    if audio:
        inputs += ["-f", "lavfi", "-t", str(seconds), "-i", "sine=frequency=196:beep_factor=4:sample_rate=48000"]
    return inputs


def _scene(width: int, height: int, fps: Fraction, *, grain: int, variable_rate: bool, hdr: bool) -> str:
    """The filter graph: a court seen by a hand-held camera, with the players and the ball over it."""
    still = "loop=loop=-1:size=1,"  # decoded once
    clock = f"setpts=N/({fps})/TB,fps={fps}"
    camera = "x='(iw-ow)/2*(1+0.8*sin(0.9*t)+0.1*sin(5*t))':y='(ih-oh)/2*(1+0.6*sin(1.3*t+1))'"
    steps = [f"[0]format=yuv420p,{still}{clock},crop={width}:{height}:{camera}[floor0]"]
    for number in range(len(SHIRTS)):
        x = f"(W-w)*(0.5+0.42*sin({0.45 + 0.11 * number:.2f}*t+{1.7 * number:.1f}))"
        y = f"H*{0.38 + 0.07 * number:.2f}+H*0.03*sin({1.1 + 0.2 * number:.1f}*t)"
        steps.append(
            f"[{number + 1}]format=yuva420p,{still}{clock}[player{number}];"
            f"[floor{number}][player{number}]overlay=x='{x}':y='{y}':format=yuv420[floor{number + 1}]"
        )
    ball = len(SHIRTS) + 1
    steps.append(f"[{ball}]format=yuva420p,{still}{clock}[ball]")
    # The encoder takes the tags from the frames
    tagged = ",setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc" if hdr else ""
    dropped = ",select='mod(n\\,7)*mod(n\\,11)-15'" if variable_rate else ""
    steps.append(
        f"[floor{len(SHIRTS)}][ball]overlay=x='(W-w)*(0.5+0.4*sin(0.7*t))':y='H*0.78-H*0.4*abs(sin(3.1*t))'"
        f":format=yuv420,noise=c0s={grain}:c0f=t:all_seed=7,setsar=1{tagged}{dropped}[scene]"
    )
    return ";".join(steps)


def _encoder(codec: str, preset: str, kilobits_per_second: int | None, *, hdr: bool) -> list[str]:
    words = ["-c:v", "libx265" if codec == "hevc" else "libx264", "-preset", preset, "-threads", "2"]
    if codec == "hevc":
        words += ["-tag:v", "hvc1", "-x265-params", "log-level=error:pools=2"]
    words += ["-pix_fmt", "yuv420p10le" if hdr else "yuv420p"]
    if kilobits_per_second:
        rate = f"{kilobits_per_second}k"
        words += ["-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate]
    return words


# --- the pictures -----------------------------------------------------------------------------------------


def _court(width: int, height: int) -> Image.Image:
    """Stands with spectators above, a wooden floor with its markings below."""
    chance = np.random.default_rng(7)
    horizon = height * 2 // 5
    pixels = np.empty((height, width, 3), dtype=np.float32)
    pixels[:horizon] = np.asarray(STANDS) + chance.normal(0, 4, (horizon, width, 1))
    plank = chance.normal(0, 9, (1, width // 24 + 1, 1)).repeat(24, axis=1)[:, :width]
    grain = chance.normal(0, 5, ((height - horizon) // 6 + 1, width, 1)).repeat(6, axis=0)[: height - horizon]
    pixels[horizon:] = np.asarray(WOOD) + plank + grain
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    _spectators(draw, chance, width, horizon)
    _markings(draw, width, height, horizon)
    return image


def _spectators(draw: ImageDraw.ImageDraw, chance: np.random.Generator, width: int, horizon: int) -> None:
    size = max(4, horizon // 26)
    for row in range(size, horizon - size, size * 2):
        for column in range(0, width, size * 2):
            x, y = column + int(chance.integers(-2, 3)), row + int(chance.integers(-2, 3))
            red, green, blue = (int(shade) for shade in chance.integers(40, 190, 3))
            draw.ellipse((x, y, x + size, y + size * 5 // 4), fill=(red, green, blue))


def _markings(draw: ImageDraw.ImageDraw, width: int, height: int, horizon: int) -> None:
    line = max(2, height // 180)
    floor = height - horizon
    draw.polygon(
        [
            (width * 0.38, horizon),
            (width * 0.62, horizon),
            (width * 0.68, horizon + floor * 0.55),
            (width * 0.32, horizon + floor * 0.55),
        ],
        fill=PAINT,
        outline=LINE,
        width=line,
    )
    for scale in (0.16, 0.42):
        draw.ellipse(
            (
                width * (0.5 - scale),
                horizon + floor * (0.55 - scale),
                width * (0.5 + scale),
                horizon + floor * (0.55 + scale),
            ),
            outline=LINE,
            width=line,
        )
    draw.line((0, horizon, width, horizon), fill=LINE, width=line * 2)
    board = (width * 0.44, horizon * 0.35, width * 0.56, horizon * 0.8)
    draw.rectangle(board, fill=(235, 240, 245), outline=(200, 60, 40), width=line * 2)
    draw.ellipse(
        (width * 0.475, horizon * 0.74, width * 0.525, horizon * 0.84), outline=(240, 110, 30), width=line * 2
    )


def _player(shirt: str, height: int) -> Image.Image:
    """A figure of `height` pixels on a transparent ground."""
    width = height // 2
    image = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(image)
    skin, shorts = "#8d5b3f", "#20242e"
    draw.ellipse((width * 0.1, height * 0.93, width * 0.9, height), fill=(0, 0, 0, 90))
    for left in (0.3, 0.54):
        draw.rounded_rectangle((width * left, height * 0.6, width * (left + 0.16), height * 0.96), 4, fill=skin)
    draw.rounded_rectangle((width * 0.24, height * 0.5, width * 0.76, height * 0.7), 4, fill=shorts)
    draw.rounded_rectangle((width * 0.2, height * 0.18, width * 0.8, height * 0.55), width // 8, fill=shirt)
    draw.ellipse((width * 0.34, 0, width * 0.66, height * 0.17), fill=skin)
    return image


def _ball(size: int) -> Image.Image:
    image = Image.new("RGBA", (size, size))
    draw = ImageDraw.Draw(image)
    draw.ellipse((0, 0, size - 1, size - 1), fill="#e2711d", outline="#3a1d0c", width=max(1, size // 16))
    draw.line((size / 2, 0, size / 2, size), fill="#3a1d0c", width=max(1, size // 16))
    draw.arc((-size * 0.6, 0, size * 0.4, size), -60, 60, fill="#3a1d0c", width=max(1, size // 16))
    return image
