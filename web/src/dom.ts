// What all pages need of the browser. Text is only ever set as text.

export function $<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

export function element<K extends keyof HTMLElementTagNameMap>(name: K, className = "", text = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Writes where it differs: the same text again would be read out again. */
export function write(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node: HTMLElement, is: boolean): void {
  if (node.hidden === is) node.hidden = !is;
}

/** Makes `wanted` the children of `parent`, moving none that stands in its place: focus and selection stay. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

/** Calls `draw` once before the next frame, however often it is asked. In a tab that is not seen, a little later. */
export function once(draw: () => void): () => void {
  let asked = false;
  const run = () => {
    asked = false;
    draw();
  };
  return () => {
    if (asked) return;
    asked = true;
    // A hidden page has no frames; what it would draw is drawn when it is seen.
    requestAnimationFrame(run);
  };
}

export const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The feed that the address names. */
export const feedOf = (path: string): string => decodeURIComponent(path.match(/\/feeds\/([^/]+)/)?.[1] ?? "");

/** The address of a feed in the API. */
export const api = (feed: string): string => `/v1/feeds/${encodeURIComponent(feed)}`;
