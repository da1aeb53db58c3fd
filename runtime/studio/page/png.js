// The texts that a PNG carries: the recipe is read on the page, the file goes nowhere.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const PREFIX = "ncnn-builder ";
const MOST_BYTES = 1 << 28;

/**
 * What the picture says of itself: field -> text. Throws an Error with words for the user where it says nothing.
 * @param {Blob} file
 * @returns {Promise<Record<string, string>>}
 */
export async function readRecipe(file) {
  if (file.size > MOST_BYTES) throw new Error("The file is too large for a picture.");
  const data = new Uint8Array(await file.arrayBuffer());
  if (!SIGNATURE.every((byte, i) => data[i] === byte)) throw new Error("This is no PNG.");
  /** @type {Record<string, string>} */
  const found = {};
  const view = new DataView(data.buffer);
  for (let at = 8; at + 12 <= data.length; ) {
    const length = view.getUint32(at);
    const body = data.subarray(at + 8, at + 8 + length);
    if (body.length < length) break;
    const [key, text] = await textOf(latin1(data.subarray(at + 4, at + 8)), body);
    if (key.startsWith(PREFIX)) found[key.slice(PREFIX.length)] = text;
    at += length + 12;
  }
  if (!found.command) throw new Error("The picture does not say how it was made.");
  return found;
}

/**
 * @param {string} type
 * @param {Uint8Array<ArrayBuffer>} body
 * @returns {Promise<[string, string]>}
 */
async function textOf(type, body) {
  const end = body.indexOf(0);
  if (end < 1 || !["tEXt", "zTXt", "iTXt"].includes(type)) return ["", ""];
  const key = latin1(body.subarray(0, end));
  if (!key.startsWith(PREFIX)) return ["", ""];
  if (type === "tEXt") return [key, latin1(body.subarray(end + 1))];
  if (type === "zTXt") return [key, latin1(await inflated(body.subarray(end + 2)))];
  const language = body.indexOf(0, end + 3);
  const translated = body.indexOf(0, language + 1);
  const rest = body.subarray(translated + 1);
  return [key, new TextDecoder().decode(body[end + 1] ? await inflated(rest) : rest)];
}

/** @param {Uint8Array} bytes */
const latin1 = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
