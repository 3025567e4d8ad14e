// A word that something was done, for a moment.

import { $, show, write } from "./dom";

const SHOWN_MS = 3_000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function say(text: string): void {
  const toast = $("toast");
  write(toast, text);
  show(toast, true);
  clearTimeout(timer);
  timer = setTimeout(() => {
    write(toast, "");
    show(toast, false);
  }, SHOWN_MS);
}

export async function copy(text: string, done: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say("The browser does not let this page copy.");
  }
}
