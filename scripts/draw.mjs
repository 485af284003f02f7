// Lays out a drawing in Graphviz's language: reads {source, images} as JSON from stdin, writes SVG to stdout.
import { readFileSync } from "node:fs";
import { instance } from "@viz-js/viz";

const { source, images } = JSON.parse(readFileSync(0, "utf8"));
const viz = await instance();
process.stdout.write(viz.renderString(source, { format: "svg", images }));
