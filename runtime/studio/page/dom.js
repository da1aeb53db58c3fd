// What the modules of the page share about its elements.

/**
 * The element with this id, of this class. Throws where the page has none.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return element;
}

/** @param {string} id */
export const range = (id) => byId(id, HTMLInputElement);
/** @param {string} id */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id */
export const box = (id) => byId(id, HTMLElement);

/**
 * An element with attributes; children are texts or elements.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let fading;

/** Says something for a moment. @param {string} text */
export function toast(text) {
  const element = box("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => element.classList.remove("shown"), 2600);
}

/**
 * Copies a command, or marks the element that shows it where the browser does not allow that.
 * @param {string} command
 * @param {HTMLElement} [shown]
 */
export async function copy(command, shown) {
  try {
    await navigator.clipboard.writeText(command);
    toast("The command is copied");
  } catch {
    if (!shown) return toast(command);
    getSelection()?.selectAllChildren(shown);
    toast("Press Ctrl+C to copy what is marked");
  }
}
