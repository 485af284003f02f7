// The two bumpers, a picture for each moment, and the watermark. What is drawn lies on the page's `draw`.
import { paintArena } from "./arena.js";
import {
  AMBER, BALL, HEIGHT, LOGO, NAVY, ORANGE, SLANT, STEEL, WIDTH,
  canvas, easeInOut, easeOut, exposed, fill, letterColour, logo, overshoot, paintBall, paintLogo, progress,
  slantedBar, words,
} from "./drawing.js";

/** A slow zoom towards the middle of the mark, so that nothing ever stands quite still. */
function pushIn(layer, time) {
  const scale = 0.985 + 0.016 * time;
  layer.setTransform(scale, 0, 0, scale, (WIDTH / 2) * (1 - scale), 330 * (1 - scale));
}

/** Paint inside a clip and a shift, and leave neither behind. */
function within(layer, { clip, x = 0, y = 0 }, paint) {
  layer.save();
  if (clip) layer.clip(clip);
  layer.translate(x, y);
  paint();
  layer.restore();
}

// --- what both have

/** The full name, fading in while it draws together. */
function paintAssociation(layer, time, start, baseline) {
  const shown = easeOut(progress(time, start, start + 0.5));
  layer.font = 'italic 800 28.6px "Barlow Condensed"'; // capitals of 20 pixels
  const spacing = 6.8 + 5.2 * (1 - shown);
  layer.letterSpacing = `${spacing}px`;
  layer.textAlign = "center";
  layer.globalAlpha = shown * 0.95;
  layer.fillStyle = STEEL;
  layer.fillText("ASOCIACIÓN NACIONAL DE BALONCESTO", (WIDTH + spacing) / 2, baseline);
  layer.globalAlpha = 1;
}

/** A gleam that runs over the mark, leaning like its letters. */
function sweepLight(mark, time, start, end) {
  if (time <= start || time >= end) return;
  const centre = -300 + (WIDTH + 600) * easeInOut(progress(time, start, end)), reach = 400;
  const gleam = mark.createLinearGradient(centre - reach, 0, centre + reach, 0);
  for (let step = 0; step <= 80; step++) {
    const distance = reach * (step / 40 - 1);
    const light = Math.exp(-((distance / 46) ** 2)) * 0.62 + Math.exp(-((distance / 150) ** 2)) * 0.18;
    gleam.addColorStop(step / 80, `rgb(255 255 255 / ${light})`);
  }
  mark.globalCompositeOperation = "source-atop";
  mark.setTransform(1, 0, -SLANT, 1, SLANT * 360, 0);
  fill(mark, new Path2D(`M-600 0H${WIDTH + 600}V${HEIGHT}H-600z`), gleam);
  mark.resetTransform();
  mark.globalCompositeOperation = "source-over";
}

// --- the stripes that open and close a bumper

const STRIPES = [[0, 26, "#ffffff"], [46, 250, ORANGE], [250, 300, AMBER]]; // from the edge inwards
const BEFORE = -180, BEYOND = WIDTH + 380; // an edge that is out of the picture, and one that has left it whole
const openingEdge = (time) => BEFORE + (BEYOND - BEFORE) * easeInOut(progress(time, -0.12, 0.52));
const closingEdge = (time) => BEFORE + (BEYOND - BEFORE) * easeInOut(progress(time, 2.08, 2.44));

/** The plain panel behind the stripes, itself faintly striped. */
const panel = canvas();
const sheen = panel.createLinearGradient(0, 0, WIDTH, 0);
for (let step = 0; step <= 64; step++) {
  const light = 0.35 * Math.exp(-((((WIDTH * step) / 64 - 640) / 620) ** 2));
  const colour = [5.6, 11.2, 27.2].map((dark, index) => dark + [19, 38, 87][index] * light);
  sheen.addColorStop(step / 64, `rgb(${colour.join(" ")})`);
}
fill(panel, new Path2D(`M0 0H${WIDTH}V${HEIGHT}H0z`), sheen);
panel.globalCompositeOperation = "lighter";
for (let x = -SLANT * HEIGHT; x < WIDTH; x += 90) fill(panel, slantedBar(x, 0, x + 45, HEIGHT), "rgb(1 2 4)");

/** Cover what lies behind an edge at `x`, or on its other side; `towards` is 1 to the right, -1 to the left. */
function paintStripes(layer, x, towards) {
  const band = (start, end) => {
    const [left, right] = [x + towards * start, x + towards * end].sort((a, b) => a - b);
    return slantedBar(left, 0, right, HEIGHT);
  };
  within(layer, { clip: band(300, 9000) }, () => layer.drawImage(panel.canvas, 0, 0));
  for (const [start, end, colour] of STRIPES) fill(layer, band(start, end), colour);
}

// --- the opening bumper: the ball flies in, rolls aside and pulls the letters out

const ORIGIN = { x: (WIDTH - (LOGO.right - LOGO.left)) / 2 - LOGO.left, y: 150 };
const REST = { x: ORIGIN.x + BALL.x, y: ORIGIN.y + BALL.y, radius: BALL.radius };
const LANDED = 0.56;

function openingBall(time) {
  const left = (1 - progress(time, 0, LANDED)) ** 2.6, flown = 1 - left; // of the flight
  const along = (start, top, end) => left ** 2 * start + 2 * left * flown * top + flown ** 2 * end;
  const aside = easeInOut(progress(time, LANDED - 0.1, LANDED + 0.32));
  const x = along(-260, 330, WIDTH / 2) + (REST.x - WIDTH / 2) * aside;
  const ball = { x, y: along(880, -140, REST.y), radius: REST.radius * (1 + 1.3 * left) };
  return { ...ball, roll: (x - REST.x) / REST.radius + 3 * left };
}

/** Three lines of speed behind the ball; they fade where they would be shorter than the ball is wide. */
function paintTrail(layer, time) {
  const balls = Array.from({ length: 25 }, (_, step) => openingBall(Math.max(time - (0.17 * step) / 24, 0)));
  const length = Math.hypot(balls[0].x - balls[24].x, balls[0].y - balls[24].y);
  if (length < 2) return;
  layer.globalAlpha = 0.75 * progress(length, 1.2 * balls[0].radius, 2.6 * balls[0].radius);
  for (const [offset, width, colour] of [[0, 0.42, ORANGE], [0.62, 0.13, AMBER], [-0.62, 0.13, AMBER]]) {
    const side = (sign) =>
      balls.map(({ x, y, radius }, step) => {
        const [before, after] = [balls[Math.max(step - 1, 0)], balls[Math.min(step + 1, 24)]];
        const way = Math.hypot(after.x - before.x, after.y - before.y) || 1;
        const reach = (radius * (offset + sign * width * (1 - step / 24))) / way;
        return `${x - (after.y - before.y) * reach} ${y + (after.x - before.x) * reach}`;
      });
    fill(layer, new Path2D(`M${[...side(1), ...side(-1).reverse()].join("L")}z`), colour);
  }
  layer.globalAlpha = 1;
}

function paintOpeningMark(layer, time) {
  pushIn(layer, time);
  const ball = openingBall(time);
  if (time > LANDED) {
    const uncovered = slantedBar(ball.x - SLANT * 200, -100, WIDTH * 2, HEIGHT);
    ["b", "n", "a"].forEach((letter, index) => { // the last letter leaves first
      const start = LANDED + 0.08 + 0.05 * index;
      const behind = 440 * (1 - easeOut(progress(time, start, start + 0.45)));
      within(layer, { clip: uncovered, x: ORIGIN.x - behind, y: ORIGIN.y }, () =>
        fill(layer, logo[letter], letterColour(layer)),
      );
    });
  } else {
    paintTrail(layer, time);
  }
  paintBall(layer, ball, ball.roll);
  if (time > 0.86) {
    const right = LOGO.left + (LOGO.barRight - LOGO.left) * easeOut(progress(time, 0.86, 1.24));
    const bar = slantedBar(LOGO.left, LOGO.barTop, right, LOGO.bottom);
    within(layer, { x: ORIGIN.x, y: ORIGIN.y }, () => {
      fill(layer, bar, ORANGE);
      const behind = 120 * (1 - easeOut(progress(time, 0.92, 1.34)));
      within(layer, { clip: bar, x: -behind }, () => fill(layer, logo["rising-stars"], NAVY));
    });
  }
  paintAssociation(layer, time, 1.08, 552);
}

function intro(time) {
  const stage = canvas();
  paintArena(stage, time);
  const mark = exposed(paintOpeningMark, time);
  sweepLight(mark, time, 1.25, 1.85);
  stage.drawImage(mark.canvas, 0, 0);
  const stripes = exposed((layer, moment) => {
    paintStripes(layer, openingEdge(moment), 1);
    paintStripes(layer, closingEdge(moment), -1);
  }, time);
  stage.drawImage(stripes.canvas, 0, 0);
  return stage;
}

// --- the closing bumper: the mark above, and what we ask of the viewer

const ASK = { baseline: 408, capitals: 84 };
const PLATE = { top: 440, bottom: 590, half: 344.3 };

function paintClosingMark(layer, time) {
  pushIn(layer, time);
  const above = 300 * (1 - easeOut(progress(time, 0.16, 0.62)));
  within(layer, { x: WIDTH / 2 - (LOGO.right + LOGO.left) / 4, y: 72 - above }, () => {
    layer.scale(0.5, 0.5);
    paintLogo(layer);
  });
  const line = slantedBar(-200, ASK.baseline - ASK.capitals - 6, WIDTH + 200, ASK.baseline + 2);
  ["vota", "por", "tu"].forEach((word, index) => { // they rise one by one
    const start = 0.38 + 0.09 * index;
    const below = (ASK.capitals + 12) * (1 - easeOut(progress(time, start, start + 0.42)));
    within(layer, { clip: line, x: -SLANT * below, y: below }, () => fill(layer, words[word], "#ffffff"));
  });
  if (time > 0.66) paintFavourite(layer, time);
  paintAssociation(layer, time, 1, 650);
}

/** FAVORITO on its plate, which opens from the middle. */
function paintFavourite(layer, time) {
  const reach = PLATE.half * overshoot(progress(time, 0.66, 1.06));
  const middle = WIDTH / 2 - (SLANT * (PLATE.bottom - PLATE.top)) / 2;
  const plate = slantedBar(middle - reach, PLATE.top, middle + reach, PLATE.bottom);
  fill(layer, plate, ORANGE);
  const grown = 0.7 + 0.3 * overshoot(progress(time, 0.74, 1.14));
  within(layer, { clip: plate, x: WIDTH / 2, y: (PLATE.top + PLATE.bottom) / 2 }, () => {
    layer.globalAlpha = progress(time, 0.74, 0.86);
    layer.scale(grown, grown);
    layer.translate(-WIDTH / 2, -(PLATE.top + PLATE.bottom) / 2);
    fill(layer, words.favorito, NAVY);
  });
}

function outro(time) {
  const stage = canvas();
  paintArena(stage, time + 1.2);
  const mark = exposed(paintClosingMark, time);
  sweepLight(mark, time, 1.2, 1.85);
  stage.drawImage(mark.canvas, 0, 0);
  stage.drawImage(exposed((layer, moment) => paintStripes(layer, openingEdge(moment), 1), time).canvas, 0, 0);
  return stage;
}

// --- the watermark

/** The mark on a translucent plate, for any footage behind it. */
function watermark(width) {
  const shadow = width * 0.02, margin = width * 0.062, radius = width * 0.03;
  const scale = (width * 0.845 - 2 * shadow) / (LOGO.right - LOGO.left);
  const height = Math.round(LOGO.bottom * scale + 2 * margin + 2 * shadow);
  const layer = canvas(width, height), foot = height - shadow, right = width - shadow;
  const lean = SLANT * (height - 2 * shadow);
  const plate = new Path2D();
  plate.moveTo(width / 2, foot);
  plate.arcTo(right - lean, foot, right, shadow, radius);
  plate.arcTo(right, shadow, shadow + lean, shadow, radius);
  plate.arcTo(shadow + lean, shadow, shadow, foot, radius);
  plate.arcTo(shadow, foot, width / 2, foot, radius);
  plate.closePath();
  layer.filter = `blur(${shadow * 0.6}px)`;
  fill(layer, plate, "rgb(0 0 0 / 50%)");
  layer.filter = "none";
  fill(layer, plate, "rgb(7 14 34 / 72%)");
  layer.translate((width - (LOGO.right + LOGO.left) * scale) / 2, (height - LOGO.bottom * scale) / 2);
  layer.scale(scale, scale);
  paintLogo(layer);
  return layer;
}

const drawings = { intro, outro, watermark };
/** Return a drawing as a PNG in base64; `value` is the moment of a bumper, or the watermark's width. */
window.draw = (name, value) => {
  const drawn = drawings[name](value).canvas, picture = canvas(drawn.width, drawn.height, "unorm8");
  picture.drawImage(drawn, 0, 0);
  return picture.canvas.toDataURL("image/png").split(",")[1];
};
