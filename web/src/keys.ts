// Single keys, for readers who want them: they can be switched off (WCAG 2.1.4), and never take what is typed.

import { settings } from "./settings";

export function keys(actions: Record<string, () => void>): void {
  addEventListener("keydown", (event) => {
    if (!settings().keys || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (target.closest("input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]")) return;
    const action = actions[event.key];
    if (!action) return;
    // Escape closes panels too, which is the browser's to do.
    if (event.key !== "Escape") event.preventDefault();
    action();
  });
}
