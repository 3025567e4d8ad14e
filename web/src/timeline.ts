// Who spoke when, along the whole event, and where in it the reader is. One slider, so that keyboards and screen readers have
// it as everybody else; the colours are drawn behind it, and names say what they mean.

import type { Span, Transcript } from "captionwire";
import { $, show, write } from "./dom";
import { lineAt } from "./places";
import { colourOf } from "./speakers";
import { clock, spoken } from "./time";

/** Redrawn at most this often: it changes by less than a pixel with most lines. */
const REDRAW_MS = 500;
/** Height of the strip, in CSS pixels. */
const HEIGHT = 28;

interface Stretch {
  from: number;
  to: number;
  speaker: string | null;
}

export class Timeline {
  /** Called when the reader has chosen a place. */
  onseek: (ms: number) => void = () => {};
  #transcript: Transcript | null = null;
  #stretches: Stretch[] = [];
  #begin = 0;
  #end = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #version = -1;
  #scrubbing = false;
  readonly #scrub = $<HTMLInputElement>("scrub");
  readonly #strip = $<HTMLCanvasElement>("strip");

  constructor() {
    this.#scrub.oninput = () => {
      this.#scrubbing = true;
      this.#say(Number(this.#scrub.value));
    };
    this.#scrub.onchange = () => {
      this.#scrubbing = false;
      this.onseek(Number(this.#scrub.value));
    };
    this.#scrub.onpointermove = (event) => this.#tip(event);
    this.#scrub.onpointerleave = () => show($("tip"), false);
    new ResizeObserver(() => this.#draw()).observe(this.#strip.parentElement!);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** What there is to show, in a while. */
  take(transcript: Transcript): void {
    this.#transcript = transcript;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (transcript.version !== this.#version) this.#read(transcript);
    }, this.#version < 0 ? 0 : REDRAW_MS);
  }

  /** Where the reader is. */
  at(ms: number): void {
    if (this.#scrubbing) return;
    const value = String(Math.min(this.#end, Math.max(this.#begin, ms)));
    if (this.#scrub.value !== value) this.#scrub.value = value;
    this.#say(ms);
  }

  redraw(): void {
    this.#draw();
  }

  get begin(): number {
    return this.#begin;
  }

  get end(): number {
    return this.#end;
  }

  #read(transcript: Transcript): void {
    this.#version = transcript.version;
    const spans = transcript.spans();
    this.#stretches = spans.map((span, index) => stretch(transcript, span, spans[index + 1]));
    this.#begin = this.#stretches[0]?.from ?? 0;
    this.#end = Math.max(this.#begin, transcript.finals.at(-1)?.start_ms ?? 0, this.#stretches.at(-1)?.to ?? 0);
    const { min, max } = this.#scrub;
    if (min !== String(this.#begin)) this.#scrub.min = String(this.#begin);
    if (max !== String(this.#end)) this.#scrub.max = String(this.#end);
    show($("player"), this.#end > this.#begin);
    this.#draw();
    this.#say(Number(this.#scrub.value));
  }

  #draw(): void {
    const strip = this.#strip;
    const [width, height] = [strip.parentElement!.clientWidth, HEIGHT];
    if (width === 0) return;
    const scale = devicePixelRatio;
    [strip.width, strip.height] = [Math.round(width * scale), Math.round(height * scale)];
    const context = strip.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(document.documentElement);
    const colours = new Map<string, string>();
    const colour = (hue: string) => {
      if (!colours.has(hue)) colours.set(hue, style.getPropertyValue(`--hue-${hue}`) || "gray");
      return colours.get(hue)!;
    };
    const x = (ms: number) => Math.round(((ms - this.#begin) / Math.max(1, this.#end - this.#begin)) * strip.width);
    for (const { from, to, speaker } of this.#stretches) {
      context.fillStyle = colour(colourOf(speaker));
      context.fillRect(x(from), 0, Math.max(1, x(to) - x(from) - (x(to) - x(from) > 4 * scale ? scale : 0)), strip.height);
    }
  }

  #nameAt(ms: number): string {
    const transcript = this.#transcript;
    const key = transcript && lineAt(transcript, ms);
    const line = key ? transcript.get(key) : undefined;
    return line ? transcript!.speaker(transcript!.turnOf(line).speaker)?.name ?? "" : "";
  }

  #say(ms: number): void {
    const name = this.#nameAt(ms);
    this.#scrub.setAttribute("aria-valuetext", `${spoken(ms)}${name ? `, ${name}` : ""}`);
    write($("at"), `${clock(ms)} / ${clock(this.#end)}`);
  }

  #tip({ offsetX }: PointerEvent): void {
    const width = this.#scrub.clientWidth;
    const ms = this.#begin + (Math.min(width, Math.max(0, offsetX)) / width) * (this.#end - this.#begin);
    const tip = $("tip");
    write(tip, [clock(ms), this.#nameAt(ms)].filter(Boolean).join("  "));
    tip.style.setProperty("left", `${Math.min(width - 20, Math.max(20, offsetX))}px`);
    show(tip, true);
  }
}

function stretch(transcript: Transcript, { turn, to }: Span, next: Span | undefined): Stretch {
  const last = transcript.finals[to - 1]!;
  const known = turn.end_ms ?? last.end_ms;
  // Without an end it lasts until the next one begins.
  const end = known ?? next?.turn.start_ms ?? last.start_ms + 1_000;
  return { from: turn.start_ms, to: Math.max(turn.start_ms + 500, end), speaker: transcript.speaker(turn.speaker)?.id ?? null };
}
