// Places in a transcript: permalinks to a time (`#t=28:00`) or a line (`#l=main/42`), which survive corrections because a
// line keeps its key; and the place where a reader was, for a page that is loaded again.

import { keyOf, type Transcript } from "captionwire";
import { say } from "./toast";
import type { Stage } from "./stage";
import { clock, parse } from "./time";

interface Place {
  key: string | null;
  ms: number | null;
}

export function fromHash(hash: string): Place | null {
  const params = new URLSearchParams(hash.replace(/^#/, "").replaceAll("+", "%2B"));
  const [key, time] = [params.get("l"), params.get("t")];
  const ms = time === null ? null : parse(time);
  return key === null && ms === null ? null : { key, ms };
}

/** The address of a line: its key, and its time for a reader to see, and for when the line is taken back. */
export function linkTo(transcript: Transcript, key: string): string {
  const line = transcript.get(key);
  const at = line ? `&t=${clock(line.start_ms)}` : "";
  const path = location.pathname.replace(/\/(embed|plain|overlay)$/, "");
  return `${location.origin}${path}#l=${key}${at}`;
}

/** The last line that starts at or before `ms`; the first of all for a time before it. */
export function lineAt(transcript: Transcript, ms: number): string | null {
  const { finals } = transcript;
  // Sort strings begin with the time, but only the server knows how.
  let [low, high] = [0, finals.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (finals[middle]!.start_ms <= ms) low = middle + 1;
    else high = middle;
  }
  const line = finals[Math.max(0, low - 1)];
  return line ? keyOf(line) : null;
}

export class Places {
  /** Where to go as soon as it is there. */
  #wanted: Place | null;
  readonly #stage: Stage;
  readonly #key: string;

  constructor(stage: Stage, feed: string) {
    this.#stage = stage;
    this.#key = `captionwire.place.${feed}`;
    this.#wanted = fromHash(location.hash);
    if (this.#wanted === null && reloaded()) {
      const key = read(this.#key);
      if (key) this.#wanted = { key, ms: null };
    } else stage.look.target = this.#wanted?.key ?? null;
    if (this.#wanted) stage.following = false;
    addEventListener("hashchange", () => this.go(fromHash(location.hash)));
    addEventListener("pagehide", () => this.#remember());
  }

  get isWaiting(): boolean {
    return this.#wanted !== null;
  }

  go(place: Place | null): void {
    if (!place) return;
    this.#wanted = place;
    this.#stage.look.target = place.key;
    this.#stage.looked();
    this.arrive();
  }

  /** Goes where it should, if that is there already. */
  arrive(): void {
    const [place, { transcript }] = [this.#wanted, this.#stage];
    if (!place || !transcript.whole) return;
    const line = place.key === null ? undefined : transcript.get(place.key);
    const isThere = line !== undefined && (transcript.complete || line.start_ms > transcript.since);
    if (isThere && this.#stage.goTo(place.key!)) return this.#arrived();
    const [ms, first] = [place.ms, transcript.since];
    if (!transcript.complete && (line !== undefined || place.key !== null && ms === null || (ms ?? 0) <= first)) return;
    if (ms === null) {
      say("The line that this link leads to was taken back.");
      this.#stage.following = true;
      this.#stage.looked();
      return this.#arrived();
    }
    const key = lineAt(transcript, ms);
    if (key === null) return;
    if (place.key !== null) say("The line that this link leads to was taken back. This is where it was.");
    else this.#stage.look.target = key;
    this.#stage.goTo(key);
    this.#arrived();
  }

  #arrived(): void {
    this.#wanted = null;
  }

  #remember(): void {
    const key = this.#stage.following ? null : this.#stage.list.reading;
    try {
      if (key) sessionStorage.setItem(this.#key, key);
      else sessionStorage.removeItem(this.#key);
    } catch {
      // Then it begins at the end again.
    }
  }
}

function reloaded(): boolean {
  const [entry] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  return entry?.type === "reload" || entry?.type === "back_forward";
}

function read(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}
