// How a reader wants to read. Remembered on this device, for all feeds, and taken over by other tabs at once.

export interface Settings {
  theme: "auto" | "light" | "dark" | "black" | "white" | "caption" | "yellow";
  font: "sans" | "serif" | "mono" | "wide";
  /** Times the usual size, in percent. */
  size: number;
  /** Line height, in percent of the size. */
  leading: number;
  width: "narrow" | "usual" | "full";
  /** Text that may still change. */
  interim: boolean;
  /** Screen readers are told of new text. */
  speak: boolean;
  /** Single keys do things. */
  keys: boolean;
}

export const USUAL: Settings = {
  theme: "auto", font: "sans", size: 100, leading: 160, width: "usual", interim: true, speak: true, keys: true,
};

const KEY = "captionwire.settings";
const CHOICES: { [K in keyof Settings]?: readonly Settings[K][] } = {
  theme: ["auto", "light", "dark", "black", "white", "caption", "yellow"],
  font: ["sans", "serif", "mono", "wide"],
  width: ["narrow", "usual", "full"],
};
const RANGES: { [K in keyof Settings]?: readonly [number, number] } = { size: [70, 400], leading: [110, 260] };

/** What can be used of what is stored, or asked for in an address: the rest is as usual. */
export function sane(given: Record<string, unknown>): Settings {
  const settings: Record<string, unknown> = { ...USUAL };
  for (const [name, usual] of Object.entries(USUAL)) {
    const value = given[name];
    if (typeof value !== typeof usual) continue;
    const [choices, range] = [CHOICES[name as keyof Settings], RANGES[name as keyof Settings]];
    if (choices && !(choices as readonly unknown[]).includes(value)) continue;
    settings[name] = range ? Math.min(range[1], Math.max(range[0], value as number)) : value;
  }
  return settings as unknown as Settings;
}

function load(): Settings {
  try {
    return sane(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Record<string, unknown>);
  } catch {
    return USUAL;
  }
}

let now = load();
const listeners: ((settings: Settings) => void)[] = [];

export const settings = (): Settings => now;

export function change(some: Partial<Settings>): void {
  now = sane({ ...now, ...some });
  try {
    localStorage.setItem(KEY, JSON.stringify(now));
  } catch {
    // They hold for this page at least.
  }
  tell();
}

/** An embedding page may say how it wants it, without changing what the reader is used to. */
export function override(some: Record<string, unknown>): void {
  now = sane({ ...now, ...some });
  tell();
}

export function onSettings(listener: (settings: Settings) => void): void {
  listeners.push(listener);
  listener(now);
}

function tell(): void {
  apply();
  for (const listener of listeners) listener(now);
}

/** As soon as the script runs, before anything is drawn. */
function apply(): void {
  const { style, dataset } = document.documentElement;
  Object.assign(dataset, { theme: now.theme, font: now.font, width: now.width });
  style.setProperty("--size", String(now.size / 100));
  style.setProperty("--leading", String(now.leading / 100));
}

apply();
addEventListener("storage", ({ key }) => {
  if (key !== KEY) return;
  now = load();
  tell();
});
