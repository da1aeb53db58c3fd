// The engine of this page. What puts the page elsewhere puts another file here.

import { ServerEngine } from "./server_engine.js";

/** @returns {Promise<import("./engine.js").Engine>} */
export const chosen = async () => new ServerEngine();
