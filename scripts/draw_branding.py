"""Draw the watermark and the two bumpers that the worker puts on every clip.

Everything comes from the numbers below: no font, picture or random number is read, so a second run on the
same machine with the same locked packages writes the same bytes. Lengths are pixels of the 1280x720 picture,
y grows downwards, times are seconds, colours are sRGB from 0 to 1.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageDraw, ImageFilter

from anb_worker.encoding import BUMPER_SECONDS, COLOUR_FILTER, ENCODER_FLAGS, FRAME_RATE, HEIGHT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = npt.NDArray[np.float64]

BRANDING = Path(__file__).parents[1] / "services/worker/anb_worker/branding"
FRAMES = round(BUMPER_SECONDS * FRAME_RATE)

WHITE = np.array([1.0, 1.0, 1.0])
STEEL = np.array([0.80, 0.86, 0.96])
NAVY = np.array([0.027, 0.055, 0.133])
ROYAL = np.array([0.075, 0.149, 0.341])
COURT_BLUE = np.array([0.30, 0.48, 0.95])
ORANGE = np.array([1.0, 0.416, 0.075])
AMBER = np.array([1.0, 0.639, 0.227])
RUST = np.array([0.698, 0.204, 0.0])

SLANT = 0.19  # of the italics, the bars and the stripes: one angle in the whole picture
OVERSAMPLING = 4  # mask pixels a side for each picture pixel
SHUTTER = 0.5 / FRAME_RATE  # an 180 degree shutter, like a camera's
BLUR_STEPS = 28  # at most so many positions of a moving shape are averaged


# Shapes


@dataclass(frozen=True)
class Outline:
    """A closed polygon that adds ink, or takes it away again where it is the hole of a letter."""

    points: Array
    is_hole: bool = False


Shape = tuple[Outline, ...]


@dataclass(frozen=True)
class Placement:
    """A scale about the origin, then a shift."""

    scale: float = 1.0
    x: float = 0.0
    y: float = 0.0

    def point(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale + self.x, y * self.scale + self.y

    def shape(self, shape: Shape) -> Shape:
        return tuple(Outline(o.points * self.scale + [self.x, self.y], o.is_hole) for o in shape)

    def after(self, inner: Placement) -> Placement:
        """The placement that applies `inner` first."""
        return Placement(self.scale * inner.scale, *self.point(inner.x, inner.y))


def slanted_bar(left: float, top: float, right: float, bottom: float) -> Shape:
    """A bar whose ends lean like the italics; `left` and `right` are measured at its foot."""
    lean = SLANT * (bottom - top)
    corners = [(left + lean, top), (right + lean, top), (right, bottom), (left, bottom)]
    return (Outline(np.array(corners)),)


def joined(shapes: Sequence[Shape]) -> Shape:
    return tuple(outline for shape in shapes for outline in shape)


Corners = list[tuple[float, float, float]]  # x, y, radius


def rounded(corners: Corners) -> Array:
    """The outline through the corners, each radius cut down to what its sides allow."""
    points: list[Array] = []
    for index, (x, y, radius) in enumerate(corners):
        corner = np.array([x, y])
        if radius == 0:
            points.append(corner)
            continue
        before = np.array(corners[index - 1][:2]) - corner
        behind = np.array(corners[(index + 1) % len(corners)][:2]) - corner
        reach = min(radius, float(np.hypot(*before)), float(np.hypot(*behind)))
        before, behind = before / np.hypot(*before) * reach, behind / np.hypot(*behind) * reach
        t = np.linspace(0, 1, 17)[:, None]
        # 0.56 is close to a circle's 0.5523, a little fuller, as bold letters want it
        curve = (
            (1 - t) ** 3 * before
            + 3 * (1 - t) ** 2 * t * before * (1 - 0.56)
            + 3 * (1 - t) * t**2 * behind * (1 - 0.56)
            + t**3 * behind
        )
        points.extend(corner + curve)
    return np.array(points)


# Type: a bold condensed face, drawn upright with y upwards on a cap height of 700

CAP = 700
LETTER_GAP = 46


@dataclass(frozen=True)
class Glyph:
    """A letter as contours parted by `/`, each a list of corners `x,y` or `x,y,radius`."""

    width: float
    ink: str
    holes: str = ""

    def contours(self) -> list[tuple[Corners, bool]]:
        """The contours, the holes last, and whether each is a hole."""
        return [(c, False) for c in _corners(self.ink)] + [(c, True) for c in _corners(self.holes)]


def _corners(contours: str) -> list[Corners]:
    return [
        [(x, y, radius[0] if radius else 0) for x, y, *radius in _numbers(contour)]
        for contour in contours.split("/")
        if contour.strip()
    ]


def _numbers(contour: str) -> list[list[float]]:
    return [[float(number) for number in corner.split(",")] for corner in contour.split()]


# Strokes are 150 wide where they stand and 126 high where they lie; radii are 120 outside and 34 inside
GLYPHS = {
    " ": Glyph(170, ""),
    "A": Glyph(496, "0,0 160,700 336,700 496,0", holes="158,-1 177,112 319,112 338,-1 / 196,222 248,520 300,222"),
    "B": Glyph(
        430,
        "0,0 430,0,120 430,352,85 344,359 418,366,85 418,700,120 0,700",
        holes="150,122 280,122,34 280,304,34 150,304 / 150,414 268,414,34 268,578,34 150,578",
    ),
    "C": Glyph(
        420,
        "0,0,120 420,0,120 420,245 270,245 270,126,34 150,126,34 150,574,34 270,574,34 "
        "270,455 420,455 420,700,120 0,700,120",
    ),
    "D": Glyph(430, "0,0 430,0,120 430,700,120 0,700", holes="150,126 280,126,34 280,574,34 150,574"),
    "E": Glyph(385, "0,0 0,700 385,700 385,574 150,574 150,413 355,413 355,293 150,293 150,126 385,126 385,0"),
    "F": Glyph(385, "0,0 0,700 385,700 385,574 150,574 150,425 350,425 350,305 150,305 150,0"),
    "G": Glyph(
        430,
        "0,0,120 430,0,120 430,385 215,385 215,275 280,275 280,126,34 150,126,34 "
        "150,574,34 280,574,34 280,480 430,480 430,700,120 0,700,120",
    ),
    "I": Glyph(150, "0,0 0,700 150,700 150,0"),
    "L": Glyph(370, "0,0 0,700 150,700 150,126 370,126 370,0"),
    "N": Glyph(442, "0,0 0,700 140,700 300,270 300,700 442,700 442,0 302,0 142,430 142,0"),
    "O": Glyph(430, "0,0,120 430,0,120 430,700,120 0,700,120", holes="150,126,34 280,126,34 280,574,34 150,574,34"),
    "Ó": Glyph(
        430,
        "0,0,120 430,0,120 430,700,120 0,700,120 / 150,745 262,890 412,890 272,745",
        holes="150,126,34 280,126,34 280,574,34 150,574,34",
    ),
    "P": Glyph(424, "0,0 150,0 150,255 424,255,120 424,700,120 0,700", holes="150,373 274,373,34 274,574,34 150,574"),
    "R": Glyph(
        442,
        "0,0 150,0 150,268 426,268,120 426,700,120 0,700 / 182,300 338,330 450,0 285,0",
        holes="150,386 276,386,34 276,574,34 150,574",
    ),
    "S": Glyph(
        416,
        "0,700,120 416,700,120 416,490 266,490 266,574,34 150,574,34 150,414,34 "
        "416,414,120 416,0,120 0,0,120 0,210 150,210 150,126,34 266,126,34 266,288,34 "
        "0,288,120",
    ),
    "T": Glyph(410, "0,574 0,700 410,700 410,574 280,574 280,0 130,0 130,574"),
    "U": Glyph(430, "0,700 0,0,120 430,0,120 430,700 280,700 280,126,34 150,126,34 150,700"),
    "V": Glyph(476, "0,700 158,700 238,175 318,700 476,700 324,0 152,0"),
}
KERNING = {
    "AV": -62,
    "FA": -60,
    "LO": -14,
    "OT": -14,
    "OV": -20,
    "PO": -6,
    "RT": -10,
    "TA": -60,
    "TO": -14,
    "VO": -20,
}


def lettering(text: str, *, cap: float, tracking: float = 0) -> tuple[list[Shape], float]:
    """The letters of a line that starts at (0, 0) on its baseline, and the line's width at its foot.

    `tracking` is added between letters, in thousandths of the cap height.
    """
    letters: list[Shape] = []
    pen = 0.0
    for index, character in enumerate(text):
        glyph = GLYPHS[character]
        if index:
            pen += LETTER_GAP + tracking * CAP / 1000 + KERNING.get(text[index - 1] + character, 0)
        letters.append(tuple(Outline(_set(corners, pen, cap), hole) for corners, hole in glyph.contours()))
        pen += glyph.width
    return letters, pen * cap / CAP


def _set(corners: Corners, pen: float, cap: float) -> Array:
    """A contour at its place in the line: leaning, scaled, y downwards."""
    points = rounded(corners)
    return np.column_stack([points[:, 0] + pen + SLANT * points[:, 1], -points[:, 1]]) * (cap / CAP)


# Painting


class Canvas:
    """A picture with premultiplied alpha; `view` is the camera that shapes are seen through."""

    def __init__(self, width: int, height: int, *, view: Placement | None = None) -> None:
        self.rgb: Array = np.zeros((height, width, 3))
        self.alpha: Array = np.zeros((height, width))
        self.view = view or Placement()

    def paint(
        self,
        *positions: Shape,
        colour: Array,
        opacity: float = 1.0,
        within: Shape | None = None,
    ) -> None:
        """Paint a shape; several positions of it are one moving shape, smeared over them.

        `colour` is one colour or a field of them that spreads over the canvas.
        """
        seen = [self.view.shape(position) for position in positions]
        box = self._box(seen)
        if box is None or opacity <= 0:
            return
        cover: Array = np.mean([_coverage(position, box) for position in seen], axis=0)
        if within is not None:
            cover = cover * _coverage(self.view.shape(within), box)
        field = np.broadcast_to(colour, self.rgb.shape)[box]
        self.lay(box, field, cover * opacity)

    def lay(self, box: tuple[slice, slice], colour: Array, cover: Array) -> None:
        if not cover.any():
            return
        self.rgb[box] = self.rgb[box] * (1 - cover[..., None]) + colour * cover[..., None]
        self.alpha[box] = self.alpha[box] * (1 - cover) + cover

    def lay_canvas(self, above: Canvas) -> None:
        self.rgb = self.rgb * (1 - above.alpha[..., None]) + above.rgb
        self.alpha = self.alpha * (1 - above.alpha) + above.alpha

    def _box(self, shapes: Sequence[Shape]) -> tuple[slice, slice] | None:
        """The part of the canvas that the shapes touch."""
        points = [outline.points for shape in shapes for outline in shape]
        if not points:
            return None
        height, width = self.alpha.shape
        low = np.floor(np.min([p.min(axis=0) for p in points], axis=0)).astype(int) - 1
        high = np.ceil(np.max([p.max(axis=0) for p in points], axis=0)).astype(int) + 2
        left, right = max(int(low[0]), 0), min(int(high[0]), width)
        top, bottom = max(int(low[1]), 0), min(int(high[1]), height)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _coverage(shape: Shape, box: tuple[slice, slice]) -> Array:
    """How much of each pixel of the box is inside the shape."""
    rows, columns = box
    size = (columns.stop - columns.start, rows.stop - rows.start)
    mask = Image.new("L", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
    draw = ImageDraw.Draw(mask)
    for outline in shape:
        # ImageDraw puts whole coordinates on the centres of pixels
        points = (outline.points - [columns.start, rows.start]) * OVERSAMPLING - 0.5
        draw.polygon([(float(x), float(y)) for x, y in points], fill=0 if outline.is_hole else 255)
    return np.asarray(mask.reduce(OVERSAMPLING), dtype=float) / 255


# Motion


def progress(time: float, start: float, end: float) -> float:
    return float(np.clip((time - start) / (end - start), 0, 1))


def ease_out(x: float) -> float:
    return float(1 - (1 - x) ** 4)


def ease_in_out(x: float) -> float:
    return float(x**3 * (x * (6 * x - 15) + 10))


def overshoot(x: float) -> float:
    """Ease out past the goal and back to it."""
    return float(1 + 2.4 * (x - 1) ** 3 + 1.4 * (x - 1) ** 2)


def exposures(time: float, distance: float) -> list[float]:
    """Moments at which the shutter is open, dense enough for something that moves so many pixels meanwhile."""
    steps = int(np.clip(np.ceil(distance / 2), 1, BLUR_STEPS))
    return [time + SHUTTER * (step + 0.5) / steps for step in range(steps)]


def moving(shape_at: Callable[[float], Shape], time: float) -> list[Shape]:
    """The positions of a shape while the shutter is open."""
    shifts = [
        np.abs(late.points - early.points).max()
        for early, late in zip(shape_at(time), shape_at(time + SHUTTER), strict=True)
    ]
    return [shape_at(moment) for moment in exposures(time, max(shifts))]


# The ball


@dataclass(frozen=True)
class Ball:
    x: float
    y: float
    radius: float
    roll: float = 0.0  # radians since it came to rest

    def seen_through(self, view: Placement) -> Ball:
        return Ball(*view.point(self.x, self.y), self.radius * view.scale, self.roll)


SEAM = 0.052  # half the width of a seam on a ball of radius 1


def paint_ball(canvas: Canvas, *positions: Ball) -> None:
    """Paint a basketball, smeared over its positions if it has several."""
    seen = [position.seen_through(canvas.view) for position in positions]
    height, width = canvas.alpha.shape
    left = max(int(min(b.x - b.radius for b in seen)) - 2, 0)
    right = min(int(max(b.x + b.radius for b in seen)) + 3, width)
    top = max(int(min(b.y - b.radius for b in seen)) - 2, 0)
    bottom = min(int(max(b.y + b.radius for b in seen)) + 3, height)
    if left >= right or top >= bottom:
        return
    box = slice(top, bottom), slice(left, right)
    fine = 3 if len(seen) < 4 else 1  # a smear needs no finer grain
    pictures = [_ball_picture(ball, box, fine) for ball in seen]
    cover: Array = np.mean([cover for _, cover in pictures], axis=0)
    light: Array = np.mean([colour * cover[..., None] for colour, cover in pictures], axis=0)
    canvas.lay(box, light / np.maximum(cover, 1e-6)[..., None], cover)


def _ball_picture(ball: Ball, box: tuple[slice, slice], fine: int) -> tuple[Array, Array]:
    """Colour and coverage of a lit ball with seams, from `fine` samples a side for each pixel."""
    rows, columns = box

    def samples(span: slice) -> Array:
        return np.arange(span.start * fine, span.stop * fine) / fine + 0.5 / fine

    x, y = np.meshgrid((samples(columns) - ball.x) / ball.radius, (samples(rows) - ball.y) / ball.radius)
    distance = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))

    edge = fine * ball.radius
    cover = np.clip((1 - distance) * edge + 0.5, 0, 1)
    seams = np.clip((SEAM - _seam_distance(x, y, z, ball.roll)) * edge + 0.5, 0, 1)[..., None]

    light = np.clip(-0.50 * x - 0.62 * y + 0.60 * z, -1, 1)[..., None]
    leather = ORANGE + np.clip(light - 0.45, 0, 1) * 1.1 * (AMBER - ORANGE)
    leather = leather + np.clip(0.30 - light, 0, 1) * 0.85 * (RUST - leather)
    colour = leather * (1 - seams) + NAVY * seams

    def shrink(samples: Array) -> Array:
        height, width = samples.shape[0] // fine, samples.shape[1] // fine
        shape = (height, fine, width, fine, *samples.shape[2:])
        return np.asarray(samples.reshape(shape).mean(axis=(1, 3)))

    whole = shrink(cover)
    return shrink(colour * cover[..., None]) / np.maximum(whole, 1e-6)[..., None], whole


def _seam_distance(x: Array, y: Array, z: Array, roll: float) -> Array:
    """Distance over the skin to the nearest seam: two great circles and the two curved panels' edges."""
    # the pose at rest shows the crossing of the seams off the centre, which reads as a sphere
    u, v = _turned(x, y, roll - 0.42)
    u, w = _turned(u, z, 0.38)
    v, w = _turned(v, w, 0.26)
    # an elliptic cone about the u axis; its value over its slope along the skin is the distance
    cone = u**2 - 0.27 - 0.55 * v**2
    gradient_u, gradient_v = 2 * u, -1.1 * v
    radial = gradient_u * u + gradient_v * v
    slope = np.sqrt(np.maximum(gradient_u**2 + gradient_v**2 - radial**2, 1e-4))
    return np.asarray(np.minimum(np.minimum(np.abs(u), np.abs(v)), np.abs(cone) / slope))


def _turned(a: Array, b: Array, angle: float) -> tuple[Array, Array]:
    return a * np.cos(angle) + b * np.sin(angle), b * np.cos(angle) - a * np.sin(angle)


# The lockup: ball, letters and bar, in pixels of the opening bumper, origin at the upper left

LOCKUP_CAP = 230  # the letters' height
BALL_AT_REST = Ball(118, 116, 119)
LETTERS_LEFT = 246
BAR_TOP, BAR_BOTTOM = 256, 346
LETTERS, LETTERS_WIDTH = lettering("ANB", cap=LOCKUP_CAP)
LETTERS = [Placement(x=LETTERS_LEFT, y=LOCKUP_CAP).shape(letter) for letter in LETTERS]
LETTERS_RIGHT = LETTERS_LEFT + LETTERS_WIDTH
# the end of the bar continues the slant of the B
BAR_RIGHT = LETTERS_RIGHT - SLANT * (BAR_BOTTOM - LOCKUP_CAP)
BAR_LEFT = -8.0
LOCKUP_LEFT, LOCKUP_RIGHT = BAR_LEFT, LETTERS_RIGHT + SLANT * LOCKUP_CAP
LOCKUP_WIDTH = LOCKUP_RIGHT - LOCKUP_LEFT


def bar(right: float = BAR_RIGHT) -> Shape:
    return slanted_bar(BAR_LEFT, BAR_TOP, right, BAR_BOTTOM)


def rising_stars() -> list[Shape]:
    """The second line, centred in the bar."""
    cap = 58
    letters, width = lettering("RISING STARS", cap=cap, tracking=150)
    x = (BAR_LEFT + BAR_RIGHT - width) / 2 + SLANT * (BAR_BOTTOM - BAR_TOP - cap) / 2
    return [Placement(x=x, y=(BAR_TOP + BAR_BOTTOM + cap) / 2).shape(letter) for letter in letters]


def letter_colour(canvas: Canvas, placement: Placement) -> Array:
    """White that cools towards the foot of the letters."""
    seen = canvas.view.after(placement)
    rows = (np.arange(canvas.alpha.shape[0]) + 0.5 - seen.y) / (LOCKUP_CAP * seen.scale)
    share = np.clip(rows, 0, 1)[:, None, None] ** 2
    return np.asarray(WHITE + (STEEL - WHITE) * share)


def paint_lockup(canvas: Canvas, placement: Placement) -> None:
    """The whole mark at rest."""
    paint_ball(canvas, BALL_AT_REST.seen_through(placement))
    canvas.paint(placement.shape(joined(LETTERS)), colour=letter_colour(canvas, placement))
    canvas.paint(placement.shape(bar()), colour=ORANGE)
    canvas.paint(placement.shape(joined(rising_stars())), colour=NAVY)


# The watermark


def watermark(width: int) -> Image.Image:
    """The lockup on a translucent plate, for any footage behind it."""
    shadow, margin = width * 0.02, width * 0.062
    radius = width * 0.03
    scale = (width * 0.845 - 2 * shadow) / LOCKUP_WIDTH
    height = round(BAR_BOTTOM * scale + 2 * margin + 2 * shadow)
    lean = SLANT * (height - 2 * shadow)
    corners: Corners = [
        (shadow, height - shadow, radius),
        (width - shadow - lean, height - shadow, radius),
        (width - shadow, shadow, radius),
        (shadow + lean, shadow, radius),
    ]
    plate = (Outline(rounded(corners)),)

    outline = Canvas(width, height)
    outline.paint(plate, colour=NAVY)
    shade = Image.fromarray(_levels(outline.alpha)).filter(ImageFilter.GaussianBlur(shadow * 0.6))

    canvas = Canvas(width, height)
    canvas.alpha = np.asarray(shade, dtype=float) / 255 * 0.5
    canvas.paint(plate, colour=NAVY, opacity=0.72)
    left = (width - LOCKUP_WIDTH * scale) / 2 - LOCKUP_LEFT * scale
    paint_lockup(canvas, Placement(scale, left, (height - BAR_BOTTOM * scale) / 2))

    straight = canvas.rgb / np.maximum(canvas.alpha, 1e-6)[..., None]
    return Image.fromarray(_levels(np.dstack([straight, canvas.alpha])), mode="RGBA")


def _levels(values: Array) -> npt.NDArray[np.uint8]:
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


# The arena behind the bumpers

HORIZON = 392
EYE_HEIGHT, EYE_DISTANCE, FOCAL_LENGTH = 2.6, 6.2, 830.0  # metres above and behind the baseline; pixels
COURT_WIDTH, COURT_LENGTH = 15.0, 28.0  # metres, and so are the numbers of `court_markings`
MARKING = 0.07

ROW, COLUMN = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
DEPTH = np.clip((ROW - HORIZON) / (HEIGHT - HORIZON), 0, 1)  # 0 at the horizon, 1 at the viewer


def backdrop() -> Array:
    """The dark hall and its floor, lit from the middle."""
    glow = np.exp(-(((COLUMN - 640) / 560) ** 2) - ((ROW - 300) / 300) ** 2)
    hall = NAVY * 0.75 + (ROYAL - NAVY * 0.5) * glow[..., None] * 0.9
    shine = np.exp(-(((COLUMN - 640) / 620) ** 2)) * (1 - DEPTH) ** 1.5
    floor = NAVY * 0.55 + ROYAL * (0.18 + 1.0 * shine)[..., None]
    # the far edge of the floor melts into the hall
    blend = np.clip((ROW - HORIZON + 10) / 60, 0, 1)[..., None]
    return np.asarray(hall * (1 - blend) + floor * blend)


def court_markings() -> list[Array]:
    """The lines of a court as ground points (x across, z away from the near baseline)."""
    half = COURT_WIDTH / 2

    def arc(x: float, z: float, radius: float, start: float, end: float) -> Array:
        angle = np.radians(np.linspace(start, end, 73))
        return np.column_stack([x + radius * np.cos(angle), z + radius * np.sin(angle)])

    def line(*points: tuple[float, float]) -> Array:
        return np.array(points)

    corner = np.degrees(np.arccos(6.6 / 6.75))
    three_points = np.vstack(
        [line((6.6, 0)), arc(0, 1.575, 6.75, corner, 180 - corner), line((-6.6, 0))],
    )
    near = [
        line((-half, 0), (half, 0)),
        line((-2.45, 0), (-2.45, 5.8), (2.45, 5.8), (2.45, 0)),
        arc(0, 5.8, 1.8, 0, 180),
        arc(0, 1.575, 1.25, 0, 180),
        three_points,
    ]
    far = [points * [1, -1] + [0, COURT_LENGTH] for points in near]
    middle = [line((-half, 14), (half, 14)), arc(0, 14, 1.8, 0, 360)]
    sides = [line((x, 0), (x, COURT_LENGTH)) for x in (-half, half)]
    return near + far + middle + sides


def normals(path: Array) -> Array:
    """The unit vectors across a path."""
    along = np.gradient(path, axis=0)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    return np.asarray(across / np.maximum(np.hypot(*across.T), 1e-9)[:, None])


def ribbon(path: Array, half_widths: Array | float) -> Array:
    """The outline of a line that is drawn along a path."""
    reach = normals(path) * np.broadcast_to(half_widths, len(path))[:, None]
    return np.vstack([path + reach, (path - reach)[::-1]])


def on_floor(ground: Array, time: float) -> Array:
    """Where points of the ground are in the picture; the camera glides forward and to the side."""
    depth = ground[:, 1] + EYE_DISTANCE - 0.55 * time
    across = ground[:, 0] - 0.9 + 0.55 * time
    return np.column_stack([WIDTH / 2 + FOCAL_LENGTH * across / depth, HORIZON + FOCAL_LENGTH * EYE_HEIGHT / depth])


def straight_pieces(path: Array) -> list[Array]:
    """Polylines with sharp corners piece by piece, because a ribbon has no mitres."""
    if len(path) <= 4:
        return [path[index : index + 2] for index in range(len(path) - 1)]
    return [path]


COURT = [ribbon(piece, MARKING / 2) for path in court_markings() for piece in straight_pieces(path)]
KEYS = [np.array([(-2.45, z), (2.45, z), (2.45, z + 5.8), (-2.45, z + 5.8)]) for z in (0, COURT_LENGTH - 5.8)]
LAMPS = ((150, 0.42), (440, 0.16), (840, -0.16), (1130, -0.42))  # place along the upper edge, aim in radians


def light_beams(time: float) -> Array:
    """The light of the lamps, computed on every fourth pixel: it has no edges."""
    y, x = np.mgrid[0:HEIGHT:4, 0:WIDTH:4].astype(float)
    light = np.zeros_like(x)
    for index, (place, aim) in enumerate(LAMPS):
        sway = 0.07 * np.sin(1.5 * time + 1.9 * index)
        angle = np.arctan2(x - place, y + 70) - aim - sway
        light += np.exp(-((angle / 0.10) ** 2)) * np.exp(-(y + 70) / 260)
    smooth = Image.fromarray(light.astype(np.float32)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=float)


SPARKS = 30
GOLDEN, PLASTIC = 0.6180339887, 0.7548776662  # spread points evenly without chance


def add_sparks(rgb: Array, time: float) -> None:
    """Specks of light that rise."""
    for index in range(SPARKS):
        x = (index * GOLDEN % 1) * WIDTH + 14 * np.sin(1.3 * time + index)
        speed = 50 + 70 * (index * 0.377 % 1)
        y = HEIGHT * 1.05 - ((index * PLASTIC % 1) * HEIGHT * 1.1 + speed * time) % (HEIGHT * 1.1)
        size = 1.3 + 1.9 * (index * 0.291 % 1)
        left, top = int(x) - 10, int(y) - 10
        box = slice(max(top, 0), max(top + 20, 0)), slice(max(left, 0), max(left + 20, 0))
        distance = (COLUMN[box] - x) ** 2 + (ROW[box] - y) ** 2
        strength = 0.55 * (0.4 + 0.6 * (index * 0.513 % 1))
        rgb[box] += np.exp(-distance / (2 * size**2))[..., None] * AMBER * strength


BACKDROP = backdrop()


def arena(time: float) -> Canvas:
    stage = Canvas(WIDTH, HEIGHT)
    stage.rgb, stage.alpha = BACKDROP.copy(), np.ones((HEIGHT, WIDTH))

    court = Canvas(WIDTH, HEIGHT)
    keys = tuple(Outline(on_floor(key, time)) for key in KEYS)
    court.paint(keys, colour=COURT_BLUE, opacity=0.16)
    court.paint(tuple(Outline(on_floor(points, time)) for points in COURT), colour=COURT_BLUE)
    fade = np.clip(DEPTH * 5 - 0.35, 0, 1) * (0.30 + 0.35 * np.exp(-(((COLUMN - 640) / 480) ** 2)))
    court.rgb *= fade[..., None]
    court.alpha *= fade
    stage.lay_canvas(court)

    stage.rgb += light_beams(time)[..., None] * np.array([0.20, 0.28, 0.50])
    add_sparks(stage.rgb, time)
    return stage


def add_light_sweep(mark: Canvas, time: float, start: float, end: float) -> None:
    """A gleam that runs over the mark, leaning like its letters."""
    if not start < time < end:
        return
    centre = -300 + (WIDTH + 600) * ease_in_out(progress(time, start, end))
    distance = COLUMN + SLANT * (ROW - 360) - centre
    gleam = np.exp(-((distance / 46) ** 2)) * 0.62 + np.exp(-((distance / 150) ** 2)) * 0.18
    light = gleam * mark.alpha
    mark.rgb += (mark.alpha[..., None] - mark.rgb) * light[..., None]


# The stripes that open and close a bumper

STRIPES = (  # from the edge inwards: start, end, colour
    (0, 26, WHITE),
    (46, 250, ORANGE),
    (250, 300, AMBER),
)
PANEL = 300  # where the plain panel behind the stripes begins
BEFORE, BEYOND = -180.0, WIDTH + 380.0  # an edge that is out of the picture, and one that has left it whole


def panel_colour() -> Array:
    stripes = ((COLUMN + SLANT * ROW) % 90 < 45)[..., None]
    base = NAVY * 0.8 + ROYAL * 0.35 * np.exp(-(((COLUMN - 640) / 620) ** 2))[..., None]
    return np.asarray(base + stripes * ROYAL * 0.05)


PANEL_COLOUR = panel_colour()


def paint_stripes(canvas: Canvas, edge_at: Callable[[float], float], time: float, *, opening: bool) -> None:
    """Cover what lies behind an edge that runs to the right; uncover it when `opening`."""
    early, late = edge_at(time), edge_at(time + SHUTTER)
    # how far a pixel is past the edge, on the side that is covered
    past = (COLUMN + 0.5 + SLANT * (ROW + 0.5 - HEIGHT) - (early + late) / 2) * (1 if opening else -1)
    # the average of a straight edge that moves is a ramp as wide as its way
    blur = max(late - early, 1.2)

    def beyond(distance: float) -> Array:
        return np.asarray(np.clip((past - distance) / blur + 0.5, 0, 1))

    everything = slice(0, HEIGHT), slice(0, WIDTH)
    canvas.lay(everything, PANEL_COLOUR, beyond(PANEL))
    for start, end, colour in STRIPES:
        canvas.lay(everything, colour, beyond(start) - beyond(end))


def opening_edge(time: float) -> float:
    return BEFORE + (BEYOND - BEFORE) * ease_in_out(progress(time, -0.12, 0.52))


def closing_edge(time: float) -> float:
    return BEFORE + (BEYOND - BEFORE) * ease_in_out(progress(time, 2.08, 2.44))


# The opening bumper: the ball flies in, rolls aside and pulls the letters out

OPENING_LOCKUP = Placement(x=(WIDTH - LOCKUP_WIDTH) / 2 - LOCKUP_LEFT, y=150)
LANDED = 0.56
REST = BALL_AT_REST.seen_through(OPENING_LOCKUP)


def opening_ball(time: float) -> Ball:
    flown = 1 - (1 - progress(time, 0.0, LANDED)) ** 2.6
    aside = ease_in_out(progress(time, LANDED - 0.10, LANDED + 0.32))
    start, top, middle = np.array([-260, 880]), np.array([330, -140]), np.array([WIDTH / 2, REST.y])
    x, y = (1 - flown) ** 2 * start + 2 * (1 - flown) * flown * top + flown**2 * middle
    x += (REST.x - WIDTH / 2) * aside
    radius = REST.radius * (1 + 1.3 * (1 - flown))
    return Ball(x, y, radius, roll=(x - REST.x) / REST.radius + 3 * (1 - flown))


def paint_trail(canvas: Canvas, ball_at: Callable[[float], Ball], time: float) -> None:
    """Three lines of speed behind a ball; they fade where they would be shorter than the ball is wide."""
    balls = [ball_at(moment) for moment in np.linspace(time, max(time - 0.17, 0), 25)]
    path = np.array([(ball.x, ball.y) for ball in balls])
    length = float(np.hypot(*(path[0] - path[-1])))
    if length < 2:
        return
    taper = np.linspace(1, 0, 25)
    radii = np.array([ball.radius for ball in balls])
    opacity = 0.75 * progress(length, 1.2 * balls[0].radius, 2.6 * balls[0].radius)
    for offset, width, colour in ((0.0, 0.42, ORANGE), (0.62, 0.13, AMBER), (-0.62, 0.13, AMBER)):
        side = path + normals(path) * (radii * offset)[:, None]
        canvas.paint((Outline(ribbon(side, radii * width * taper)),), colour=colour, opacity=opacity)


def paint_opening_mark(canvas: Canvas, time: float) -> None:
    early, late = opening_ball(time), opening_ball(time + SHUTTER)
    way = float(np.hypot(late.x - early.x, late.y - early.y)) + abs(late.roll - early.roll) * early.radius
    balls = [opening_ball(moment) for moment in exposures(time, way)]
    for index, letter in enumerate(LETTERS if time > LANDED else []):
        start = LANDED + 0.08 + 0.05 * (2 - index)  # the last letter leaves first

        def pulled(moment: float, letter: Shape = letter, start: float = start) -> Shape:
            behind = 440 * (1 - ease_out(progress(moment, start, start + 0.45)))
            return Placement(x=OPENING_LOCKUP.x - behind, y=OPENING_LOCKUP.y).shape(letter)

        uncovered = slanted_bar(balls[0].x - SLANT * 200, -100, WIDTH * 2, HEIGHT)
        colour = letter_colour(canvas, OPENING_LOCKUP)
        canvas.paint(*moving(pulled, time), colour=colour, within=uncovered)

    if time < LANDED:
        paint_trail(canvas, opening_ball, time)
    paint_ball(canvas, *balls)

    def drawn(moment: float) -> Shape:
        right = BAR_LEFT + (BAR_RIGHT - BAR_LEFT) * ease_out(progress(moment, 0.86, 1.24))
        return OPENING_LOCKUP.shape(bar(right))

    if time > 0.86:
        canvas.paint(*moving(drawn, time), colour=ORANGE)
        behind = 120 * (1 - ease_out(progress(time, 0.92, 1.34)))
        line = Placement(x=-behind).shape(OPENING_LOCKUP.shape(joined(rising_stars())))
        canvas.paint(line, colour=NAVY, within=drawn(time))


def paint_association(canvas: Canvas, time: float, start: float, baseline: float) -> None:
    """The full name, fading in while it draws together."""
    shown = ease_out(progress(time, start, start + 0.5))
    letters, width = lettering("ASOCIACIÓN NACIONAL DE BALONCESTO", cap=20, tracking=330 + 260 * (1 - shown))
    line = Placement(x=(WIDTH - width) / 2, y=baseline).shape(joined(letters))
    canvas.paint(line, colour=STEEL, opacity=shown * 0.95)


def push_in(time: float) -> Placement:
    """A slow zoom towards the middle of the mark, so that nothing ever stands quite still."""
    scale = 0.985 + 0.016 * time
    return Placement(scale, WIDTH / 2 * (1 - scale), 330 * (1 - scale))


def opening(time: float) -> Canvas:
    stage = arena(time)
    mark = Canvas(WIDTH, HEIGHT, view=push_in(time))
    paint_opening_mark(mark, time)
    paint_association(mark, time, 1.08, 552)
    add_light_sweep(mark, time, 1.25, 1.85)
    stage.lay_canvas(mark)
    paint_stripes(stage, opening_edge, time, opening=True)
    paint_stripes(stage, closing_edge, time, opening=False)
    return stage


# The closing bumper: the mark above, and what we ask of the viewer

CLOSING_SCALE = 0.5
CLOSING_LOCKUP = Placement(
    CLOSING_SCALE, (WIDTH - LOCKUP_WIDTH * CLOSING_SCALE) / 2 - LOCKUP_LEFT * CLOSING_SCALE, 72
)
ASK_BASELINE, ASK_CAP = 408, 84
PLATE_TOP, PLATE_BOTTOM, FAVOURITE_CAP = 440, 590, 106


def paint_ask(canvas: Canvas, time: float) -> None:
    """VOTA POR TU rises word by word."""
    letters, width = lettering("VOTA POR TU", cap=ASK_CAP, tracking=30)
    left = (WIDTH - width - SLANT * ASK_CAP) / 2
    words = (letters[:4], letters[5:8], letters[9:])
    line = slanted_bar(-200, ASK_BASELINE - ASK_CAP - 6, WIDTH + 200, ASK_BASELINE + 2)
    for index, word in enumerate(words):
        start = 0.38 + 0.09 * index

        def risen(moment: float, word: list[Shape] = word, start: float = start) -> Shape:
            below = (ASK_CAP + 12) * (1 - ease_out(progress(moment, start, start + 0.42)))
            return Placement(x=left - SLANT * below, y=ASK_BASELINE + below).shape(joined(word))

        canvas.paint(*moving(risen, time), colour=WHITE, within=line)


def paint_favourite(canvas: Canvas, time: float) -> None:
    """FAVORITO on its plate, which opens from the middle."""
    letters, width = lettering("FAVORITO", cap=FAVOURITE_CAP, tracking=70)
    half = width / 2 + 62
    middle = WIDTH / 2 - SLANT * (PLATE_BOTTOM - PLATE_TOP) / 2

    def opened(moment: float) -> Shape:
        reach = half * overshoot(progress(moment, 0.66, 1.06))
        return slanted_bar(middle - reach, PLATE_TOP, middle + reach, PLATE_BOTTOM)

    if time <= 0.66:
        return
    canvas.paint(*moving(opened, time), colour=ORANGE)
    grown = 0.7 + 0.3 * overshoot(progress(time, 0.74, 1.14))
    x = (WIDTH - (width + SLANT * FAVOURITE_CAP) * grown) / 2
    y = (PLATE_TOP + PLATE_BOTTOM + FAVOURITE_CAP * grown) / 2
    line = Placement(grown, x, y).shape(joined(letters))
    canvas.paint(line, colour=NAVY, opacity=progress(time, 0.74, 0.86), within=opened(time))


def paint_closing_lockup(canvas: Canvas, time: float) -> None:
    above = 300 * (1 - ease_out(progress(time, 0.16, 0.62)))
    paint_lockup(canvas, Placement(y=-above).after(CLOSING_LOCKUP))


def closing(time: float) -> Canvas:
    stage = arena(time + 1.2)
    mark = Canvas(WIDTH, HEIGHT, view=push_in(time))
    paint_closing_lockup(mark, time)
    paint_ask(mark, time)
    paint_favourite(mark, time)
    paint_association(mark, time, 1.0, 650)
    add_light_sweep(mark, time, 1.2, 1.85)
    stage.lay_canvas(mark)
    paint_stripes(stage, opening_edge, time, opening=True)
    return stage


# Encoding

# hides the steps of the dark gradients in 8 bits; it stands still, so it costs the encoder little
DITHER = ((COLUMN * 0.7548776662 + ROW * 0.5698402910) % 1 - 0.5)[..., None] / 255


def encode(scene: Callable[[float], Canvas], path: Path) -> None:
    """Write a bumper that the worker can join to a body without encoding again."""
    to_video = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setsar=1"
    command = [
        *(get_ffmpeg_exe(), "-v", "error", "-y"),
        *("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{WIDTH}x{HEIGHT}"),
        *("-framerate", str(FRAME_RATE), "-i", "pipe:0"),
        *("-an", "-vf", f"{to_video},{COLOUR_FILTER}"),
        *ENCODER_FLAGS,
        *("-fflags", "+bitexact", "-flags", "+bitexact"),  # no version or date in the file
        *("-f", "mp4", str(path)),
    ]
    pictures = (_levels(scene(frame / FRAME_RATE).rgb + DITHER).tobytes() for frame in range(FRAMES))
    subprocess.run(command, input=b"".join(pictures), check=True)


def main() -> None:
    BRANDING.mkdir(exist_ok=True)
    watermark(150).save(BRANDING / "logo.png", optimize=True)
    watermark(900).save(BRANDING / "logo-large.png", optimize=True)
    encode(opening, BRANDING / "intro.mp4")
    encode(closing, BRANDING / "outro.mp4")


if __name__ == "__main__":
    main()
