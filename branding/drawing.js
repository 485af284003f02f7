// What the drawings share: the size of the picture, colours, motion, and the shapes of the logo.
// Lengths are pixels of the 1280x720 picture, y grows downwards, times are seconds.
export const WIDTH = 1280, HEIGHT = 720;
export const ORANGE = "#ff6a13", AMBER = "#ffa33a", STEEL = "#ccdbf5", NAVY = "#070e22";
export const SLANT = 0.19; // of the italics, the bars and the stripes: one angle in the whole picture
const SHUTTER = 0.5 / 30; // a 180 degree shutter, like a camera's
const EXPOSURES = 24; // so many positions of what moves are averaged

const LEATHER = [
  [0, "#ff8c2b"], [0.16, "#ff8727"], [0.44, "#ff7319"], [0.55, ORANGE], [0.64, ORANGE], [0.78, "#eb5c0e"],
  [0.89, "#d9500a"], [1, "#b73801"],
];
const COOLING = [[0, "#ffffff"], [0.25, "#fcfdfe"], [0.5, "#f2f6fc"], [0.75, "#e2eaf9"], [1, STEEL]];

/** Return a drawing context; of sixteen bits a colour, because averaging in eight would round each exposure. */
export function canvas(width = WIDTH, height = HEIGHT, colorType = "float16") {
  return Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", {
    colorType,
    willReadFrequently: true, // drawn by the processor, the same on every machine
  });
}

/** Return a layer with what `paint(layer, moment)` paints while the shutter is open. */
export function exposed(paint, time) {
  const film = canvas(), picture = canvas();
  film.globalCompositeOperation = "lighter";
  film.globalAlpha = 1 / EXPOSURES;
  for (let step = 0; step < EXPOSURES; step++) {
    picture.reset();
    paint(picture, time + (SHUTTER * (step + 0.5)) / EXPOSURES);
    film.drawImage(picture.canvas, 0, 0);
  }
  film.globalCompositeOperation = "source-over";
  film.globalAlpha = 1;
  return film;
}

export const progress = (time, start, end) => Math.min(Math.max((time - start) / (end - start), 0), 1);
export const easeOut = (x) => 1 - (1 - x) ** 4;
export const easeInOut = (x) => x ** 3 * (x * (6 * x - 15) + 10);
/** Ease out past the goal and back to it. */
export const overshoot = (x) => 1 + 2.4 * (x - 1) ** 3 + 1.4 * (x - 1) ** 2;

/** A bar whose ends lean like the italics; `left` and `right` are measured at its foot. */
export function slantedBar(left, top, right, bottom) {
  const lean = SLANT * (bottom - top);
  return new Path2D(`M${left + lean} ${top}L${right + lean} ${top}L${right} ${bottom}L${left} ${bottom}z`);
}

async function shapes(address) {
  const text = await (await fetch(address)).text();
  const paths = new DOMParser().parseFromString(text, "image/svg+xml").querySelectorAll("path[id]");
  return Object.fromEntries([...paths].map((path) => [path.id, new Path2D(path.getAttribute("d"))]));
}

export const logo = await shapes("/services/web/anb_web/static/logo.svg");
export const words = await shapes("words.svg");
await document.fonts.load('italic 800 20px "Barlow Condensed"');

// The logo's own measures
export const BALL = { x: 118, y: 116, radius: 119 };
export const LOGO = { left: -8, right: 769.4, bottom: 346, barRight: 703.7, barTop: 256, lettersFoot: 230 };

/** Paint a lit basketball; `roll` is what it has turned, in radians. */
export function paintBall(layer, { x, y, radius }, roll = 0) {
  layer.save();
  layer.translate(x, y);
  layer.scale(radius / BALL.radius, radius / BALL.radius);
  const leather = layer.createRadialGradient(-60, -74, 0, -60, -74, 214); // lit from the upper left
  for (const stop of LEATHER) leather.addColorStop(...stop);
  layer.beginPath();
  layer.arc(0, 0, BALL.radius, 0, 2 * Math.PI);
  layer.fillStyle = leather;
  layer.fill();
  layer.clip();
  layer.rotate(roll);
  layer.translate(-BALL.x, -BALL.y);
  layer.strokeStyle = NAVY;
  layer.lineWidth = 12.4;
  layer.lineJoin = "round";
  layer.stroke(logo.seams);
  layer.restore();
}

/** White that cools towards the foot of the letters. */
export function letterColour(layer) {
  const colour = layer.createLinearGradient(0, 0, 0, LOGO.lettersFoot);
  for (const stop of COOLING) colour.addColorStop(...stop);
  return colour;
}

export function fill(layer, path, colour) {
  layer.fillStyle = colour;
  layer.fill(path);
}

/** Paint the whole mark at rest, from its own origin. */
export function paintLogo(layer) {
  paintBall(layer, BALL);
  for (const letter of ["a", "n", "b"]) fill(layer, logo[letter], letterColour(layer));
  fill(layer, logo.bar, ORANGE);
  fill(layer, logo["rising-stars"], NAVY);
}
