// chosen.js of the page that `python -m runtime.studio --export` writes.

import { WasmEngine } from "./wasm.js";

/** @returns {Promise<import("./engine.js").Engine>} */
export const chosen = async () => new WasmEngine();
