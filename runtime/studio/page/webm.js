// WebM out of this browser: VP9 or VP8 by its own encoder (WebCodecs), in a Matroska file (RFC 9559, RFC 8794).

/**
 * @typedef {{width: number, height: number, channels: number, pixels: Uint8Array}} Frame
 * @typedef {{data: Uint8Array<ArrayBuffer>, time: number, key: boolean}} Chunk
 */

const QUEUE = 4; // frames that wait in the encoder
const LONGEST = 30_000; // milliseconds of a cluster: blocks count from its begin in 16 bits
const KEY_EVERY = 5; // seconds
const CODECS = /** @type {const} */ ([["vp09.00.51.08", "V_VP9"], ["vp8", "V_VP8"]]);

/** Whether this browser encodes at all; it does not where the page came neither by HTTPS nor from this machine. */
export const encodes = () => "VideoEncoder" in globalThis;

export class WebmWriter {
  /** @type {Chunk[]} */
  #chunks = [];
  #count = 0;
  /** @type {unknown} */
  #failed;

  /**
   * @param {VideoEncoder | undefined} encoder
   * @param {{width: number, height: number, fps: number, codec: string}} about
   */
  constructor(encoder, about) {
    this.encoder = encoder;
    this.about = about;
  }

  /**
   * Throws an Error where the browser has no encoder for such pictures.
   * @param {number} width
   * @param {number} height
   * @param {number} fps
   */
  static async open(width, height, fps) {
    for (const [codec, name] of CODECS) {
      const bitrate = Math.round(Math.max(1e6, width * height * fps * 0.3));
      const config = /** @type {const} */ ({ codec, width, height, bitrate, framerate: fps, latencyMode: "quality" });
      if (!(await VideoEncoder.isConfigSupported(config).catch(() => undefined))?.supported) continue;
      const writer = new WebmWriter(undefined, { width, height, fps, codec: name });
      writer.encoder = new VideoEncoder({
        output: (chunk) => {
          const data = new Uint8Array(chunk.byteLength);
          chunk.copyTo(data);
          writer.#chunks.push({ data, time: chunk.timestamp, key: chunk.type === "key" });
        },
        error: (error) => (writer.#failed = error),
      });
      writer.encoder.configure(config);
      return writer;
    }
    throw new Error(`This browser encodes no video of ${width} x ${height} pixels: take GIF.`);
  }

  /** @param {Frame} frame */
  async add(frame) {
    const { encoder } = this;
    const { fps } = this.about;
    const timestamp = Math.round((this.#count * 1e6) / fps);
    const given = new VideoFrame(planes(frame), {
      format: "I420", codedWidth: frame.width, codedHeight: frame.height, timestamp, duration: Math.round(1e6 / fps),
      colorSpace: { primaries: "bt709", transfer: "bt709", matrix: "bt709", fullRange: false },
    }); // prettier-ignore
    try {
      if (this.#failed) throw this.#failed;
      encoder?.encode(given, { keyFrame: this.#count % Math.ceil(KEY_EVERY * fps) === 0 });
    } finally {
      given.close();
    }
    this.#count++;
    while (encoder && encoder.encodeQueueSize > QUEUE && !this.#failed) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** The whole file. */
  async finish() {
    await this.encoder?.flush();
    this.close();
    if (this.#failed) throw this.#failed;
    return new Blob(file(this.#chunks, { ...this.about, seconds: this.#count / this.about.fps }), { type: "video/webm" });
  }

  close() {
    if (this.encoder?.state !== "closed") this.encoder?.close();
  }
}

/**
 * Y, U and V of ITU-R BT.709 in 16 to 235, with half the columns and rows of colour.
 * @param {Frame} frame
 */
function planes({ width, height, channels, pixels }) {
  const [w, h] = [(width + 1) >> 1, (height + 1) >> 1];
  const out = new Uint8Array(width * height + 2 * w * h);
  const at = (/** @type {number} */ x, /** @type {number} */ y) => (Math.min(y, height - 1) * width + Math.min(x, width - 1)) * channels;
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let i = 0, from = 0; i < width * height; i++, from += channels) {
    out[i] = Math.round(16 + 0.18259 * (pixels[from] ?? 0) + 0.61423 * (pixels[from + green] ?? 0) + 0.06201 * (pixels[from + blue] ?? 0));
  }
  for (let y = 0, to = width * height; y < h; y++) {
    for (let x = 0; x < w; x++, to++) {
      let [r, g, b] = [0, 0, 0];
      for (const from of [at(2 * x, 2 * y), at(2 * x + 1, 2 * y), at(2 * x, 2 * y + 1), at(2 * x + 1, 2 * y + 1)]) {
        r += (pixels[from] ?? 0) / 4;
        g += (pixels[from + green] ?? 0) / 4;
        b += (pixels[from + blue] ?? 0) / 4;
      }
      out[to] = Math.round(128 - 0.10064 * r - 0.33857 * g + 0.43922 * b);
      out[to + w * h] = Math.round(128 + 0.43922 * r - 0.39894 * g - 0.04027 * b);
    }
  }
  return out;
}

/**
 * @param {Chunk[]} chunks
 * @param {{width: number, height: number, fps: number, codec: string, seconds: number}} about
 * @returns {BlobPart[]}
 */
function file(chunks, { width, height, fps, codec, seconds }) {
  const head = element(0x1a45dfa3, number(0x4286, 1), number(0x42f7, 1), number(0x42f2, 4), number(0x42f3, 8), text(0x4282, "webm"), number(0x4287, 4), number(0x4285, 2));
  const info = element(0x1549a966, number(0x2ad7b1, 1e6), float(0x4489, seconds * 1000), text(0x4d80, "ncnn-builder"), text(0x5741, "ncnn-builder"));
  const colour = element(0x55b0, number(0x55b1, 1), number(0x55ba, 1), number(0x55bb, 1), number(0x55b9, 1)); // BT.709
  const video = element(0xe0, number(0xb0, width), number(0xba, height), colour);
  const track = element(0xae, number(0xd7, 1), number(0x73c5, 1), number(0x83, 1), text(0x86, codec), number(0x23e383, Math.round(1e9 / fps)), video);
  const tracks = element(0x1654ae6b, track);
  let place = info.length + tracks.length;
  const cues = [], clusters = [];
  for (let i = 0; i < chunks.length; ) {
    const begin = Math.round((chunks[i]?.time ?? 0) / 1000);
    const blocks = [];
    for (const first = i; i < chunks.length; i++) {
      const { data, time, key } = /** @type {Chunk} */ (chunks[i]);
      const since = Math.round(time / 1000) - begin;
      if (i > first && (key || since > LONGEST)) break;
      blocks.push(element(0xa3, Uint8Array.of(0x81, since >> 8, since & 255, key ? 0x80 : 0), data));
    }
    const cluster = element(0x1f43b675, number(0xe7, begin), ...blocks);
    cues.push(element(0xbb, number(0xb3, begin), element(0xb7, number(0xf7, 1), number(0xf1, place))));
    clusters.push(cluster);
    place += cluster.length;
  }
  return [head, element(0x18538067, info, tracks, ...clusters, element(0x1c53bb6b, ...cues))];
}

/** @param {number} id @param {...Uint8Array} bodies @returns {Uint8Array<ArrayBuffer>} */
function element(id, ...bodies) {
  const length = bodies.reduce((sum, body) => sum + body.length, 0);
  const name = bytesOf(id);
  const all = new Uint8Array(name.length + 8 + length);
  all.set(name);
  new DataView(all.buffer).setBigUint64(name.length, (1n << 56n) | BigInt(length)); // a length of eight bytes
  let at = name.length + 8;
  for (const body of bodies) {
    all.set(body, at);
    at += body.length;
  }
  return all;
}

/** Big-endian, without zeros in front. @param {number} value */
function bytesOf(value) {
  const bytes = [];
  for (let left = value; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return Uint8Array.from(bytes.length ? bytes : [0]);
}

/** @param {number} id @param {number} value */
const number = (id, value) => element(id, bytesOf(value));

/** @param {number} id @param {string} value */
const text = (id, value) => element(id, new TextEncoder().encode(value));

/** @param {number} id @param {number} value */
function float(id, value) {
  const body = new DataView(new ArrayBuffer(8));
  body.setFloat64(0, value);
  return element(id, new Uint8Array(body.buffer));
}
