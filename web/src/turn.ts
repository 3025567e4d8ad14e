// One turn on the page: who, from when, and what, a paragraph for each line.

import { keyOf, type Line, type Span, type Transcript, type Turn } from "captionwire";
import { arrange, element, write } from "./dom";
import { direction, fill } from "./paragraph";
import { colourOf } from "./speakers";
import { clock } from "./time";

/** What readers look for or were led to. */
export interface Look {
  query: RegExp | null;
  /** The line whose permalink was followed. */
  target: string | null;
  /** Of all hits, the line with the current one. */
  hit: string | null;
}

interface Paragraph {
  node: HTMLParagraphElement;
  line: Line;
  query: RegExp | null;
}

export class TurnView {
  readonly root = element("li", "turn");
  readonly #head = element("div", "head");
  readonly #name = element("bdi", "name");
  readonly #time = element("a", "time");
  readonly #text = element("div", "text");
  #paragraphs = new Map<string, Paragraph>();

  constructor() {
    const copy = element("button", "copy", "Copy");
    copy.type = "button";
    this.#time.title = "Copy a link to this";
    this.#head.append(this.#name, " ", this.#time, " ", copy);
    this.root.append(this.#head, this.#text);
  }

  /** Draws what differs. */
  update(span: Span, transcript: Transcript, look: Look): void {
    const lines = transcript.finals.slice(span.from, span.to);
    head(transcript, span.turn, this.root, this.#name, this.#time);
    this.root.dir = direction(lines[0]!.text);
    const first = keyOf(lines[0]!);
    this.root.dataset.key = first;
    this.#time.href = `#l=${first}`;
    const paragraphs = new Map<string, Paragraph>();
    for (const line of lines) {
      const key = keyOf(line);
      paragraphs.set(key, this.#paragraph(key, line, transcript.language, look));
    }
    this.#paragraphs = paragraphs;
    arrange(this.#text, [...paragraphs.values()].map(({ node }) => node));
    this.root.classList.toggle("target", look.target !== null && paragraphs.has(look.target));
  }

  paragraph(key: string): HTMLElement | undefined {
    return this.#paragraphs.get(key)?.node;
  }

  paragraphs(): IterableIterator<[string, { node: HTMLElement }]> {
    return this.#paragraphs.entries();
  }

  #paragraph(key: string, line: Line, language: string | null, look: Look): Paragraph {
    const held = this.#paragraphs.get(key);
    const node = held?.node ?? element("p");
    if (held?.line !== line || held.query !== look.query) fill(node, line, language, look.query);
    node.dataset.key = key;
    node.classList.toggle("led", look.target === key);
    node.classList.toggle("hit", look.hit === key);
    return { node, line, query: look.query };
  }
}

/** Who speaks, and from when. */
export function head(transcript: Transcript, turn: Turn, root: HTMLElement, name: HTMLElement, time: HTMLElement): void {
  const speaker = transcript.speaker(turn.speaker);
  write(name, speaker?.name ?? "");
  write(time, clock(turn.start_ms));
  root.dataset.hue = colourOf(speaker?.id ?? null);
}
