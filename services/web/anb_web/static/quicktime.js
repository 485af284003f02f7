// What iPhones record lies in a QuickTime file. The API takes MP4, into which it fits as it is: nothing is encoded again.
import { Refused } from "./api.js";

const UNREADABLE = "No pudimos leer este archivo de QuickTime. Expórtalo como MP4 e inténtalo de nuevo.";
const UNFIT = {
  av1: "Este video está en AV1, que no podemos procesar. Expórtalo en H.264 o HEVC.",
  other:
    "Este video está en ProRes o en otro formato de edición, que no podemos procesar. En el iPhone, elige " +
    "«Alta eficiencia» o «Más compatible» en Ajustes, Cámara, Formatos; o expórtalo como MP4.",
};
const TAKEN = new Set(["avc", "hevc"]);

/** Whether the file is one of QuickTime's, by what it says of itself rather than by its name alone. */
export async function isQuickTime(file) {
  const head = new TextDecoder("latin1").decode(await file.slice(4, 12).arrayBuffer());
  return head === "ftypqt  " || (!head.startsWith("ftyp") && /\.(mov|qt)$/i.test(file.name));
}

/** Return the file's pictures as an MP4; Refused, with a sentence, when that cannot be done. The sound stays behind. */
export async function asMp4(file) {
  // Only whoever has such a file pays for what reads it
  const bunny = await import("./vendor/mediabunny/mediabunny.js");
  const input = new bunny.Input({ source: new bunny.BlobSource(file), formats: [bunny.QTFF, bunny.MP4] });
  try {
    const track = await input.getPrimaryVideoTrack();
    if (!track) throw unfit("El archivo no contiene video.");
    const codec = await track.getCodec();
    if (!TAKEN.has(codec)) throw unfit(UNFIT[codec] ?? UNFIT.other);
    return new File([await repacked(bunny, track, codec)], file.name.replace(/\.\w+$/, ".mp4"), { type: "video/mp4" });
  } catch (error) {
    throw error instanceof Refused ? error : unfit(UNREADABLE);
  } finally {
    input.dispose?.();
  }
}

async function repacked(bunny, track, codec) {
  const target = new bunny.BufferTarget();
  const output = new bunny.Output({ format: new bunny.Mp4OutputFormat({ fastStart: "in-memory" }), target });
  const source = new bunny.EncodedVideoPacketSource(codec);
  output.addVideoTrack(source, { rotation: await track.getRotation() });
  await output.start();
  const meta = { decoderConfig: await track.getDecoderConfig() };
  for await (const packet of new bunny.EncodedPacketSink(track).packets()) await source.add(packet, meta);
  await output.finalize();
  return target.buffer;
}

function unfit(text) {
  return new Refused(400, { message: text, fields: { video_file: text } });
}
