// Dark, light, or what the system says; kept by the browser.

import { button } from "./dom.js";

const THEMES = ["system", "dark", "light"];

export function setUpTheme() {
  const set = (/** @type {string} */ theme) => {
    document.documentElement.dataset.theme = theme;
    button("theme").textContent = `Theme: ${theme}`;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // a browser that keeps nothing
    }
  };
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    // likewise
  }
  set(THEMES.includes(kept ?? "") ? String(kept) : "system");
  button("theme").addEventListener("click", () => set(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3] ?? "system"));
}
