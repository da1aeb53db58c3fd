// What was settled on: thumbnails that bring it back.

import { box, button, byId, make } from "./dom.js";

/** @typedef {import("./state.js").State} State */

const MOST = 60;
const SIZE = 72;

/**
 * @param {(state: State) => void} restore
 * @param {(state: State) => void} compare
 */
export function setUpHistory(restore, compare) {
  const list = byId("history", HTMLOListElement);
  button("forget").addEventListener("click", () => {
    if (!box("box-history").hidden) list.replaceChildren();
  });
  for (const name of ["history", "timeline"]) {
    button(`tab-${name}`).addEventListener("click", () => {
      for (const other of ["history", "timeline"]) {
        button(`tab-${other}`).setAttribute("aria-selected", String(other === name));
        box(`box-${other}`).hidden = other !== name;
      }
      box("timeline-tools").hidden = name !== "timeline";
    });
  }

  /**
   * The picture that is shown, in front of the others; what was there already comes to the front.
   * @param {State} state
   * @param {string} command
   */
  return function remember(state, command) {
    for (const item of list.children) if (item instanceof HTMLElement && item.dataset.command === command) item.remove();
    const picture = byId("picture", HTMLCanvasElement);
    const thumbnail = make("canvas", { width: String(SIZE), height: String(SIZE), "aria-hidden": "true" });
    thumbnail.getContext("2d")?.drawImage(picture, 0, 0, SIZE, SIZE);
    const said = command.replace(/^.*?mode=/, "mode=");
    const back = make("button", { type: "button", class: "back", "aria-label": `Back to ${said}`, title: said }, thumbnail);
    back.addEventListener("click", () => restore(state));
    const versus = make("button", { type: "button", class: "versus", "aria-label": `Compare with ${said}`, title: "Compare with what is shown" }, "A|B");
    versus.addEventListener("click", () => compare(state));
    const item = make("li", {}, back, versus);
    item.dataset.command = command;
    list.prepend(item);
    while (list.children.length > MOST) list.lastElementChild?.remove();
    box("history").scrollTo({ left: 0 });
  };
}
