// Writes PNG files, with what the picture says of itself.

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
const COLOURS = [0, 0, 4, 2, 6]; // of so many channels

/**
 * @param {{width: number, height: number, channels: number, pixels: Uint8Array}} picture  of 1 to 4 channels
 * @param {Record<string, string>} texts
 */
export async function encode({ width, height, channels, pixels }, texts) {
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8); // bits
  head.setUint8(9, COLOURS[channels] ?? 2);
  const parts = [SIGNATURE, chunk("IHDR", new Uint8Array(head.buffer))];
  for (const [key, text] of Object.entries(texts)) parts.push(textChunk(key, text));
  parts.push(chunk("IDAT", await deflated(filtered(pixels, width * channels, height, channels))), chunk("IEND", new Uint8Array()));
  return new Blob(parts, { type: "image/png" });
}

/**
 * Each row by the filter that leaves the smallest numbers: none, or what stands on the left, or above.
 * @param {Uint8Array} pixels
 * @param {number} length
 * @param {number} height
 * @param {number} channels
 */
function filtered(pixels, length, height, channels) {
  const out = new Uint8Array((length + 1) * height);
  let above = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    const row = pixels.slice(y * length, (y + 1) * length);
    const up = above;
    const forms = [row, row.map((value, i) => value - (i < channels ? 0 : (row[i - channels] ?? 0))), row.map((value, i) => value - (up[i] ?? 0))];
    const costs = forms.map((form) => form.reduce((sum, value) => sum + Math.min(value, 256 - value), 0));
    const best = costs.indexOf(Math.min(...costs));
    out[y * (length + 1)] = best;
    out.set(forms[best] ?? row, y * (length + 1) + 1);
    above = row;
  }
  return out;
}

/** tEXt where Latin-1 holds it, else iTXt. @param {string} key @param {string} text */
function textChunk(key, text) {
  const latin = (/** @type {string} */ all) => Uint8Array.from(all, (c) => c.charCodeAt(0));
  if (/^[\x00-\xff]*$/.test(text)) return chunk("tEXt", latin(`${key}\0${text}`));
  return chunk("iTXt", joined([latin(`${key}\0\0\0\0\0`), new TextEncoder().encode(text)]));
}

/** @param {string} type @param {Uint8Array<ArrayBuffer>} body */
function chunk(type, body) {
  const named = joined([Uint8Array.from(type, (c) => c.charCodeAt(0)), body]);
  const ends = new DataView(new ArrayBuffer(8));
  ends.setUint32(0, body.length);
  ends.setUint32(4, checksum(named));
  return joined([new Uint8Array(ends.buffer, 0, 4), named, new Uint8Array(ends.buffer, 4, 4)]);
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** CRC-32 of ISO 3309. @param {Uint8Array} bytes */
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}

/** zlib's format. @param {Uint8Array<ArrayBuffer>} bytes */
async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
