// The dark hall behind the bumpers: its light, the lines of the court, specks of light that rise.
import { HEIGHT, WIDTH, canvas } from "./drawing.js";

const HORIZON = 392;
const EYE_HEIGHT = 2.6, EYE_DISTANCE = 6.2, FOCAL_LENGTH = 830; // metres above and behind the baseline; pixels
const COURT_WIDTH = 15, COURT_LENGTH = 28, MARKING = 0.07; // metres
const NAVY = [7, 14, 34], ROYAL = [19, 38, 87], BEAM = [51, 71, 128];
const LAMPS = [[150, 0.42], [440, 0.16], [840, -0.16], [1130, -0.42]]; // place along the upper edge, aim in radians
const SPARKS = 30, GOLDEN = 0.6180339887, PLASTIC = 0.7548776662; // spread points evenly without chance
const COARSE = 4; // the beams have no edges: one value for so many pixels each way

const bell = (x) => Math.exp(-x * x);
const clamp = (x) => Math.min(Math.max(x, 0), 1);
const depth = (y) => clamp((y - HORIZON) / (HEIGHT - HORIZON)); // 0 at the horizon, 1 at the viewer

/** Call `paint` with place and index of each pixel. */
function eachPixel(paint) {
  for (let y = 0, index = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH; x++, index++) paint(x, y, index);
}

// The hall and its floor, lit from the middle; the far edge of the floor melts into the hall
const backdrop = new Float32Array(WIDTH * HEIGHT * 3);
eachPixel((x, y, index) => {
  const glow = bell((x - 640) / 560) * bell((y - 300) / 300) * 0.9;
  const shine = bell((x - 640) / 620) * (1 - depth(y)) ** 1.5;
  const floor = clamp((y - HORIZON + 10) / 60);
  for (let c = 0; c < 3; c++) {
    const hall = NAVY[c] * 0.75 + (ROYAL[c] - NAVY[c] * 0.5) * glow;
    backdrop[index * 3 + c] = hall * (1 - floor) + (NAVY[c] * 0.55 + ROYAL[c] * (0.18 + shine)) * floor;
  }
});

function beamsAt(time) {
  const columns = WIDTH / COARSE + 1, light = new Float32Array(columns * (HEIGHT / COARSE + 1));
  light.forEach((_, index) => {
    const x = (index % columns) * COARSE, y = Math.floor(index / columns) * COARSE + 70;
    LAMPS.forEach(([place, aim], lamp) => {
      const angle = Math.atan2(x - place, y) - aim - 0.07 * Math.sin(1.5 * time + 1.9 * lamp);
      light[index] += bell(angle / 0.1) * Math.exp(-y / 260);
    });
  });
  return (x, y) => {
    const [u, v] = [x / COARSE, y / COARSE], corner = Math.floor(v) * columns + Math.floor(u);
    const upper = light[corner] + (light[corner + 1] - light[corner]) * (u % 1);
    const lower = light[corner + columns] + (light[corner + columns + 1] - light[corner + columns]) * (u % 1);
    return upper + (lower - upper) * (v % 1);
  };
}

// The court's lines as ground points: metres to the right, and away from the near baseline
const arc = (x, z, radius, start, end) =>
  Array.from({ length: 73 }, (_, step) => {
    const angle = ((start + ((end - start) * step) / 72) * Math.PI) / 180;
    return [x + radius * Math.cos(angle), z + radius * Math.sin(angle)];
  });
const corner = (Math.acos(6.6 / 6.75) * 180) / Math.PI;
const half = COURT_WIDTH / 2;
const near = [
  [[-half, 0], [half, 0]],
  [[-2.45, 0], [-2.45, 5.8], [2.45, 5.8], [2.45, 0]],
  arc(0, 5.8, 1.8, 0, 180),
  arc(0, 1.575, 1.25, 0, 180),
  [[6.6, 0], ...arc(0, 1.575, 6.75, corner, 180 - corner), [-6.6, 0]],
];
const markings = [
  ...near,
  ...near.map((line) => line.map(([x, z]) => [x, COURT_LENGTH - z])),
  [[-half, 14], [half, 14]],
  arc(0, 14, 1.8, 0, 360),
  ...[-half, half].map((x) => [[x, 0], [x, COURT_LENGTH]]),
];
const keys = [0, COURT_LENGTH - 5.8].map((z) => [[-2.45, z], [2.45, z], [2.45, z + 5.8], [-2.45, z + 5.8]]);

/** The part of a line between two of its points, as wide on the ground as a marking. */
function strip([x, z], [x2, z2]) {
  const reach = MARKING / 2 / Math.hypot(x2 - x, z2 - z);
  const [across, away] = [(z - z2) * reach, (x2 - x) * reach];
  return [[x + across, z + away], [x2 + across, z2 + away], [x2 - across, z2 - away], [x - across, z - away]];
}

/** A shape of ground points in the picture; the camera glides forward and to the side. */
function addGround(path, points, time) {
  points.forEach(([x, z], index) => {
    const distance = z + EYE_DISTANCE - 0.55 * time, across = x - 0.9 + 0.55 * time;
    const place = [WIDTH / 2 + (FOCAL_LENGTH * across) / distance, HORIZON + (FOCAL_LENGTH * EYE_HEIGHT) / distance];
    path[index ? "lineTo" : "moveTo"](...place);
  });
  path.closePath();
}

const fade = canvas();
const mask = fade.createImageData(WIDTH, HEIGHT);
eachPixel((x, y, index) => {
  mask.data[index * 4 + 3] = 255 * clamp(depth(y) * 5 - 0.35) * (0.3 + 0.35 * bell((x - 640) / 480));
});
fade.putImageData(mask, 0, 0);

function court(time) {
  const layer = canvas(), lines = new Path2D(), floors = new Path2D();
  layer.fillStyle = "rgb(77 122 242)";
  keys.forEach((key) => addGround(floors, key, time));
  for (const line of markings) line.slice(1).forEach((end, index) => addGround(lines, strip(line[index], end), time));
  layer.globalAlpha = 0.16;
  layer.fill(floors);
  layer.globalAlpha = 1;
  layer.fill(lines);
  layer.globalCompositeOperation = "destination-in";
  layer.drawImage(fade.canvas, 0, 0);
  return layer.canvas;
}

function paintSparks(stage, time) {
  for (let index = 0; index < SPARKS; index++) {
    const x = ((index * GOLDEN) % 1) * WIDTH + 14 * Math.sin(1.3 * time + index);
    const climbed = ((index * PLASTIC) % 1) * HEIGHT * 1.1 + (50 + 70 * ((index * 0.377) % 1)) * time;
    const y = HEIGHT * 1.05 - (climbed % (HEIGHT * 1.1));
    const size = 1.3 + 1.9 * ((index * 0.291) % 1), strength = 0.55 * (0.4 + 0.6 * ((index * 0.513) % 1));
    const glow = stage.createRadialGradient(x, y, 0, x, y, 3 * size);
    for (let step = 0; step <= 6; step++) {
      const alpha = strength * Math.exp(-((step / 2) ** 2) / 2);
      glow.addColorStop(step / 6, `rgb(255 163 58 / ${step < 6 ? alpha : 0})`);
    }
    stage.fillStyle = glow;
    stage.fillRect(x - 10, y - 10, 20, 20);
  }
}

/** Paint the arena over the whole stage. */
export function paintArena(stage, time) {
  const picture = stage.createImageData(WIDTH, HEIGHT), beams = beamsAt(time);
  eachPixel((x, y, index) => {
    // Hides the steps of the dark gradients in 8 bits; it stands still, so it costs the encoder little
    const dither = ((x * 0.7548776662 + y * 0.569840291) % 1) - 0.5, light = beams(x, y);
    for (let c = 0; c < 3; c++) {
      picture.data[index * 4 + c] = Math.round(backdrop[index * 3 + c] + BEAM[c] * light + dither);
    }
    picture.data[index * 4 + 3] = 255;
  });
  stage.putImageData(picture, 0, 0);
  stage.drawImage(court(time), 0, 0);
  stage.globalCompositeOperation = "lighter";
  paintSparks(stage, time);
  stage.globalCompositeOperation = "source-over";
}
