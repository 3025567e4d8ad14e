// The turns on the page. However many there are, only those near the window are in the document; the rest is empty space of
// the height that they have, or are thought to have. What is being read never moves: it is an anchor, and whatever comes,
// goes or grows above it is made good in the same frame.

import { keyOf, lowerBound, type Span, type Transcript } from "captionwire";
import { arrange } from "./dom";
import { type Look, TurnView } from "./turn";

/** Pixels beyond the window in which turns are drawn: a fast flick of a finger. */
const BEYOND = 1200;

interface Item {
  id: string;
  span: Span;
  /** Characters, for turns that were never drawn. */
  length: number;
  /** Pixels; guessed until it was drawn. */
  height: number;
  isMeasured: boolean;
  view: TurnView | null;
}

/** A paragraph, and where in the window it stands. */
interface Anchor {
  id: string;
  key: string;
  top: number;
}

export interface ListOptions {
  /** Pixels of the window that a bar covers. */
  covered: () => number;
  /** All has to be drawn again, in another width. */
  onresize: () => void;
  look: Look;
}

export class TurnList {
  #items: Item[] = [];
  #known = new Map<string, Item>();
  #drawn: Item[] = [];
  /** Pixels above each item. */
  #above = new Float64Array(1);
  #isStale = true;
  /** What was kept still last, and how far down the window was then. */
  #kept: { anchor: Anchor; y: number } | null = null;
  #transcript: Transcript | null = null;
  /** Of the guesses. */
  #perCharacter = 0.6;
  #perTurn = 60;
  /** Everything is drawn: for paper. */
  isWhole = false;

  constructor(readonly root: HTMLElement, readonly options: ListOptions) {
    let width = root.clientWidth;
    new ResizeObserver(() => {
      if (root.clientWidth === width) return;
      width = root.clientWidth;
      this.remeasure();
      this.options.onresize();
    }).observe(root);
  }

  get count(): number {
    return this.#items.length;
  }

  /** The turns that are there now. Nothing is drawn before {@link draw}. */
  take(transcript: Transcript, spans: readonly Span[]): void {
    if (transcript !== this.#transcript) {
      this.#transcript = transcript;
      this.#known.clear();
    }
    const known = new Map<string, Item>();
    const items: Item[] = new Array<Item>(spans.length);
    for (let index = 0; index < spans.length; index++) {
      const span = spans[index]!;
      const id = span.turn.id;
      let item = this.#known.get(id);
      if (item) item.span = span;
      else item = { id, span, length: 0, height: 0, isMeasured: false, view: null };
      if (!item.isMeasured) this.#guess(item, transcript);
      known.set(id, item);
      items[index] = item;
    }
    this.#known = known;
    this.#items = items;
    this.#isStale = true;
  }

  /** Draws what the window shows, and keeps `anchor` where it stands; without one it shows the end of all. */
  draw(anchor: Anchor | null): void {
    const { root } = this;
    this.#sum();
    let [from, to] = this.#window(anchor);
    // What is drawn may turn out to be smaller than was thought: then there is room for more.
    for (let tries = 0; tries < 4; tries++) {
      this.#put(from, to);
      this.#measure();
      this.#sum();
      root.style.paddingTop = `${this.#above[from]}px`;
      root.style.paddingBottom = `${this.#above[this.#items.length]! - this.#above[to]!}px`;
      if (anchor === null) scrollTo(0, document.documentElement.scrollHeight);
      else this.#restore(anchor);
      const [wantedFrom, wantedTo] = this.#window(anchor);
      if (this.isWhole || (wantedFrom >= from && wantedTo <= to)) break;
      [from, to] = [wantedFrom, wantedTo];
    }
  }

  /** The window shows something that is not drawn. */
  get isShort(): boolean {
    if (this.#drawn.length === 0) return this.#items.length > 0;
    const [first, last] = [this.#drawn[0]!, this.#drawn.at(-1)!];
    const hasAbove = first !== this.#items[0];
    const hasBelow = last !== this.#items.at(-1);
    const top = first.view!.root.getBoundingClientRect().top;
    const bottom = last.view!.root.getBoundingClientRect().bottom;
    return (hasAbove && top > -BEYOND / 2) || (hasBelow && bottom < innerHeight + BEYOND / 2);
  }

  /** The first paragraph that can be read, and where it stands. */
  anchor(): Anchor | null {
    const covered = this.options.covered();
    for (const { id, view } of this.#drawn) {
      if (!view || view.root.getBoundingClientRect().bottom <= covered) continue;
      for (const [key, { node }] of view.paragraphs()) {
        const { top, bottom } = node.getBoundingClientRect();
        if (bottom <= covered) continue;
        // Where it should stand, and not where a pixel's fraction left it: fractions would add up.
        const kept = this.#kept;
        const isKept = kept?.y === scrollY && kept.anchor.key === key && Math.abs(kept.anchor.top - top) < 1;
        return isKept ? { ...kept.anchor, id } : { id, key, top };
      }
    }
    return null;
  }

  /** What should be at the top when the window is so many pixels down: nothing that is drawn is in it. */
  anchorAt(pixels: number): Anchor | null {
    const top = this.root.getBoundingClientRect().top + scrollY;
    const index = this.#at(pixels - top);
    const item = this.#items[index];
    const line = item && this.#transcript?.finals[item.span.from];
    return line ? { id: item.id, key: keyOf(line), top: this.#above[index]! + top - pixels } : null;
  }

  /** What to keep still to have this line at the top. */
  placeOf(key: string): Anchor | null {
    const line = this.#transcript?.get(key);
    const index = line ? this.#indexOf(line.sort) : -1;
    const item = this.#items[index];
    return item ? { id: item.id, key, top: this.options.covered() + 8 } : null;
  }

  /** The line that is at the top of the window. */
  get reading(): string | null {
    return this.anchor()?.key ?? null;
  }

  paragraph(key: string): HTMLElement | undefined {
    for (const { view } of this.#drawn) {
      const found = view?.paragraph(key);
      if (found) return found;
    }
    return undefined;
  }

  spanOf(root: Element): Span | undefined {
    return this.#drawn.find(({ view }) => view?.root === root)?.span;
  }

  get spans(): Span[] {
    return this.#items.map(({ span }) => span);
  }

  /** Widths, fonts or sizes are others now. */
  remeasure(): void {
    for (const item of this.#items) item.isMeasured = false;
    this.#isStale = true;
  }

  #indexOf(sort: string): number {
    const starts = this.#items.map(({ span }) => span.turn);
    const at = lowerBound(starts, sort);
    return starts[at]?.sort === sort ? at : at - 1;
  }

  #guess(item: Item, transcript: Transcript): void {
    let length = 0;
    for (let at = item.span.from; at < item.span.to; at++) length += transcript.finals[at]!.text.length;
    item.length = length;
    item.height = this.#perTurn + length * this.#perCharacter;
  }

  #sum(): void {
    if (!this.#isStale) return;
    const { length } = this.#items;
    if (this.#above.length < length + 1) this.#above = new Float64Array((length + 1) * 2);
    let sum = 0;
    for (let index = 0; index < length; index++) {
      this.#above[index] = sum;
      sum += this.#items[index]!.height;
    }
    this.#above[length] = sum;
    this.#isStale = false;
  }

  /** Which items the window shows, and a little more. */
  #window(anchor: Anchor | null): [number, number] {
    const { length } = this.#items;
    if (this.isWhole) return [0, length];
    const room = innerHeight + 2 * BEYOND;
    if (anchor === null) {
      const from = this.#at(this.#above[length]! - room + BEYOND);
      return [from, length];
    }
    const item = this.#known.get(anchor.id);
    const index = item ? this.#items.indexOf(item) : this.#nearest(anchor);
    const top = this.#above[index] ?? 0;
    return [this.#at(top - anchor.top - BEYOND), Math.min(length, this.#at(top - anchor.top - BEYOND + room) + 1)];
  }

  /** Where the anchor's turn was, if it is no more: at the line, or what stands before it. */
  #nearest({ key }: Anchor): number {
    const line = this.#transcript?.get(key);
    return Math.max(0, line ? this.#indexOf(line.sort) : this.#at(scrollY));
  }

  /** The item at this many pixels from the top of the list. */
  #at(pixels: number): number {
    let [low, high] = [0, Math.max(0, this.#items.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#above[middle]! <= pixels) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #put(from: number, to: number): void {
    const transcript = this.#transcript;
    if (!transcript) return;
    const drawn = this.#items.slice(from, to);
    const kept = new Set(drawn);
    for (const item of this.#drawn) if (!kept.has(item)) item.view = null;
    for (const [index, item] of drawn.entries()) {
      item.view ??= new TurnView();
      item.view.update(item.span, transcript, this.options.look);
      const { root } = item.view;
      root.ariaSetSize = transcript.complete ? String(this.#items.length) : "-1";
      if (transcript.complete) root.ariaPosInSet = String(from + index + 1);
      else root.removeAttribute("aria-posinset");
    }
    this.#drawn = drawn;
    arrange(this.root, drawn.map(({ view }) => view!.root));
  }

  #measure(): void {
    let [characters, height] = [0, 0];
    for (const item of this.#drawn) {
      const measured = item.view!.root.getBoundingClientRect().height;
      if (!item.isMeasured || item.height !== measured) {
        [item.height, item.isMeasured] = [measured, true];
        this.#isStale = true;
      }
      characters += item.length;
      height += measured;
    }
    // The first turns that are drawn say how high the others will be.
    if (characters > 500) this.#perCharacter = Math.max(0.05, (height - this.#drawn.length * this.#perTurn) / characters);
  }

  /** Scrolls so that the anchor is where it was. */
  #restore(anchor: Anchor): void {
    const node = this.paragraph(anchor.key) ?? this.#known.get(anchor.id)?.view?.root;
    if (!node) return;
    const moved = node.getBoundingClientRect().top - anchor.top;
    // Windows are scrolled by whole pixels of the screen.
    const by = Math.round(moved * devicePixelRatio) / devicePixelRatio;
    if (by !== 0) scrollBy(0, by);
    this.#kept = { anchor, y: scrollY };
  }
}
