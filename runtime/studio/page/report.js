// Errors of layers and modules, from the JSON of `python -m ncnn_builder doctor --json` or of its certificates. The file is
// read on the page, and goes nowhere.

const MOST_BYTES = 1 << 28;

/**
 * Of names of layers, and of paths of modules: how large the difference is, relative to the largest number; Infinity where
 * it is not finite. first: the name of what is wrong first.
 * @typedef {{errors: Map<string, number>, first: string | null}} Report
 */

/** Throws an Error with words for the user. @param {Blob} file @returns {Promise<Report>} */
export async function readReport(file) {
  if (file.size > MOST_BYTES) throw new Error("The file is too large for a report.");
  let said;
  try {
    said = JSON.parse(await file.text());
  } catch {
    throw new Error("This is no JSON, as doctor --json writes it.");
  }
  /** @type {Report} */
  const report = { errors: new Map(), first: null };
  for (const one of Array.isArray(said) ? said : [said]) collect(one, report);
  if (!report.errors.size) throw new Error("The file says nothing of layers: it is not what doctor --json writes.");
  return report;
}

/** @param {any} said @param {Report} report */
function collect(said, report) {
  if (typeof said !== "object" || !said) return;
  report.first ??= typeof said.culprit === "string" ? said.culprit : null;
  for (const list of [said.layers, said.modules]) {
    for (const one of Array.isArray(list) ? list : []) {
      const name = one?.name ?? one?.path ?? one?.layer;
      const found = one?.in_net ?? one?.in_the_net ?? one?.error ?? one?.errors ?? one;
      const error = typeof found === "number" ? found : errorOf(found);
      if (typeof name === "string" && error !== undefined) report.errors.set(name, error);
    }
  }
}

/** @param {any} found @returns {number | undefined} */
export function errorOf(found) {
  if (typeof found !== "object" || !found) return undefined;
  const error = "relative" in found ? found.relative : found.required;
  if (error === null || found.finite === false) return Infinity; // more than any number
  return typeof error === "number" ? error : undefined;
}

/** @param {number | undefined} error */
export function errorText(error) {
  if (error === undefined) return "";
  if (error === 0) return "0";
  return Number.isFinite(error) ? error.toExponential(1) : "not finite";
}
