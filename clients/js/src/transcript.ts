// What has been said, as far as the server has told. It converges: whatever was cut, repeated or merged on the way, it ends
// as the server's own transcript. It knows no socket, no clock and no page.

import { drop, lowerBound, put, putAll } from "./sorted.js";
import type { Changes, FeedState, Line, LineKey, MediaMs, Message, Page, Speaker, Turn } from "./types.js";

export const keyOf = (line: { source: string; id: string }): LineKey => `${line.source}/${line.id}`;

/** The half of a cursor that counts. The rest means nothing to a client. */
export const countOf = (cursor: string): number => Number(cursor.slice(cursor.lastIndexOf(":") + 1));
/** The part of a cursor that names the view. What stands behind a "-" names a start of the server, and may differ. */
export const viewOf = (cursor: string): string => cursor.split(":")[0]!.split("-")[0]!;

const NO_MARKS: Line["marks"] = Object.freeze([]);

/** A turn with its final lines, `lines.slice(from, to)` of {@link Transcript.finals}. */
export interface Span {
  turn: Turn;
  from: number;
  to: number;
}

export interface TranscriptOptions {
  /** Keeps the times of words, which take more memory than all else. */
  words?: boolean;
}

export class Transcript {
  title: string | null = null;
  language: string | null = null;
  state: FeedState = "none";
  /** From here reading goes on; none before anything is known. */
  cursor: string | null = null;
  /** False while more waits behind what is held: it is not a picture to draw then. */
  whole = false;
  /** Whether it reaches back to the beginning. If not, {@link add} brings older parts. */
  complete = true;
  /** Rises with everything that changes what is to be shown. */
  version = 0;

  /** Final lines in order. Also what cannot be shown yet: {@link spans} knows. */
  readonly finals: Line[] = [];
  /** Lines that may still change, in order. */
  readonly interims: Line[] = [];
  /** Turns in order; some may have no final line yet. */
  readonly turns: Turn[] = [];
  readonly speakers = new Map<string, Speaker>();

  readonly #lines = new Map<LineKey, Line>();
  readonly #turns = new Map<LineKey, Turn>();
  readonly #strings = new Map<string, string>();
  readonly #words: boolean;
  /** Of changes too large for one message: applied together when the last has come. */
  #parts: Changes[] = [];
  /** What is before this is not all there yet. */
  #horizon = "";
  /** The lives of what is held: a reset begins a new one. */
  #life = 0;
  #watches = new Set<Set<string>>();
  #waiting: { cursor: string; then: (reached: boolean) => void }[] = [];

  constructor(options: TranscriptOptions = {}) {
    this.#words = options.words ?? false;
  }

  get(key: LineKey): Line | undefined {
    return this.#lines.get(key);
  }

  get size(): number {
    return this.#lines.size;
  }

  /** Whom to show for a speaker's id: the one that it was merged into, if it was. */
  speaker(id: string | null): Speaker | null {
    let found = id === null ? undefined : this.speakers.get(id);
    // The server closes no cycle of merges; one that did would end here all the same.
    for (let hops = 0; found?.into && hops < 100; hops++) found = this.speakers.get(found.into) ?? found;
    return found ?? (id === null ? null : { id, name: id, into: null });
  }

  /** Takes what the server says. Returns whether it changes what is to be shown. */
  apply(message: Message): boolean {
    const before = this.version;
    switch (message.type) {
      case "hello":
        if (message.title) this.title = message.title;
        this.state = message.state;
        this.version++;
        break;
      case "changes":
        this.#take(message);
        break;
      case "live":
        this.cursor = message.cursor;
        this.whole = true;
        this.version++;
        break;
      case "reset":
        this.#clear();
        break;
      default:
    }
    return this.version !== before;
  }

  /** The connection was cut: parts are worth nothing without the last of them. */
  cut(): void {
    this.#parts = [];
  }

  /** Whether `cursor` lies above what is held: something was lost on the way. */
  misses(cursor: string | null): boolean {
    return cursor !== null && this.cursor !== null && countOf(cursor) > countOf(this.cursor);
  }

  /**
   * Takes a part of the transcript: the newest one to begin with, or an older one.
   * `watch` comes from {@link watch}, called before the part was asked for, where messages may have come meanwhile.
   */
  add(page: Page, watch?: Set<string>): void {
    const isFirst = this.cursor === null;
    if (isFirst) {
      this.cursor = page.cursor;
      this.whole = true;
      this.state = page.state;
      this.title = page.title ?? null;
      this.language = page.language ?? null;
      for (const speaker of page.speakers) this.speakers.set(speaker.id, speaker);
    }
    const [finals, interims, turns]: [Line[], Line[], Turn[]] = [[], [], []];
    for (const { lines, ...turn } of page.turns) {
      if (!this.#turns.has(turn.id) && !watch?.has(`turn ${turn.id}`)) {
        turn.speaker = this.#same(turn.speaker);
        this.#turns.set(turn.id, turn);
        turns.push(turn);
      }
      for (const line of lines) {
        const key = keyOf(line);
        if (this.#lines.has(key) || watch?.has(key)) continue;
        this.#lines.set(key, this.#compact(line));
        (line.status === "final" ? finals : interims).push(line);
      }
    }
    putAll(this.finals, finals);
    putAll(this.interims, interims);
    putAll(this.turns, turns);
    const first = page.turns[0];
    if (isFirst) [this.complete, this.#horizon] = [first === undefined, first?.sort ?? ""];
    // The first turn of an older part may be one that began before it.
    else if (first !== undefined && first.lines[0]!.sort < this.#horizon) this.#horizon = first.lines[0]!.sort;
    this.version++;
  }

  /** Nothing is older than what is held. */
  reachesBack(): void {
    [this.complete, this.#horizon] = [true, ""];
    this.version++;
  }

  /** Notes what changes from now on, so that an older part that is on its way does not undo it. */
  watch(): Set<string> {
    const touched = new Set<string>();
    this.#watches.add(touched);
    return touched;
  }

  unwatch(touched: Set<string>): void {
    this.#watches.delete(touched);
  }

  /** Ready when what is held is as new as `cursor`: true; false if what was held was dropped meanwhile. */
  reached(cursor: string): Promise<boolean> {
    if (!this.misses(cursor)) return Promise.resolve(true);
    return new Promise((then) => this.#waiting.push({ cursor, then }));
  }

  /** Changes when everything held was dropped. */
  get life(): number {
    return this.#life;
  }

  /** Before this media time the transcript is not all there yet. */
  get since(): MediaMs {
    return this.complete ? 0 : (this.finals[this.#begin()] ?? this.interims[0])?.start_ms ?? 0;
  }

  /** One walk over turns and final lines: a line belongs to the last turn whose `sort` is not greater than its own. */
  spans(): Span[] {
    const spans: Span[] = [];
    let from = this.#begin();
    // The turn of the first line may have begun before all that is held.
    let next = from < this.finals.length ? this.#turnsUpTo(this.finals[from]!.sort) : 0;
    while (from < this.finals.length) {
      const line = this.finals[from]!;
      while (next < this.turns.length && this.turns[next]!.sort <= line.sort) next++;
      const end = this.turns[next]?.sort;
      let to = from + 1;
      while (to < this.finals.length && (end === undefined || this.finals[to]!.sort < end)) to++;
      spans.push({ turn: this.turns[next - 1] ?? standIn(line), from, to });
      from = to;
    }
    return spans;
  }

  /** The turn of a line, held or not. */
  turnOf(line: Line): Turn {
    return this.turns[this.#turnsUpTo(line.sort) - 1] ?? standIn(line);
  }

  #turnsUpTo(sort: string): number {
    const at = lowerBound(this.turns, sort);
    return this.turns[at]?.sort === sort ? at + 1 : at;
  }

  #begin(): number {
    return this.complete ? 0 : lowerBound(this.finals, this.#horizon);
  }

  #take(message: Changes): void {
    // Older than what is held: a client may be told a thing twice.
    if (this.cursor !== null && countOf(message.cursor) < countOf(this.cursor)) return;
    this.#parts.push(message);
    if (message.more) return;
    for (const part of this.#parts.splice(0)) this.#change(part);
    this.cursor = message.cursor;
    this.whole = !message.behind;
    this.version++;
    this.#wake();
  }

  #change(changes: Changes): void {
    for (const key of changes.gone ?? []) this.#drop(key);
    for (const id of changes.gone_turns ?? []) this.#dropTurn(id);
    for (const line of changes.lines ?? []) this.#put(line);
    for (const turn of changes.turns ?? []) this.#putTurn(turn);
    for (const speaker of changes.speakers ?? []) this.speakers.set(speaker.id, speaker);
    if (changes.title) this.title = changes.title;
    if (changes.language) this.language = changes.language;
    if (changes.state) this.state = changes.state;
  }

  #put(line: Line): void {
    const key = keyOf(line);
    this.#touch(key);
    const [old, list] = [this.#lines.get(key), this.#listOf(line)];
    if (old && (old.sort !== line.sort || old.status !== line.status)) drop(this.#listOf(old), old);
    this.#lines.set(key, this.#compact(line));
    put(list, line);
  }

  #drop(key: LineKey): void {
    this.#touch(key);
    const line = this.#lines.get(key);
    if (line === undefined) return;
    this.#lines.delete(key);
    drop(this.#listOf(line), line);
  }

  #putTurn(turn: Turn): void {
    this.#touch(`turn ${turn.id}`);
    const old = this.#turns.get(turn.id);
    if (old && old.sort !== turn.sort) drop(this.turns, old);
    turn.speaker = this.#same(turn.speaker);
    this.#turns.set(turn.id, turn);
    put(this.turns, turn);
  }

  #dropTurn(id: LineKey): void {
    this.#touch(`turn ${id}`);
    const turn = this.#turns.get(id);
    if (turn === undefined) return;
    this.#turns.delete(id);
    drop(this.turns, turn);
  }

  #touch(key: string): void {
    for (const touched of this.#watches) touched.add(key);
  }

  #listOf(line: Line): Line[] {
    return line.status === "final" ? this.finals : this.interims;
  }

  #clear(): void {
    for (const list of [this.finals, this.interims, this.turns]) list.length = 0;
    for (const map of [this.speakers, this.#lines, this.#turns]) map.clear();
    // All of it will be sent again, from the start.
    [this.cursor, this.#parts, this.whole, this.complete, this.#horizon] = [null, [], false, true, ""];
    this.#life++;
    this.version++;
    for (const { then } of this.#waiting.splice(0)) then(false);
  }

  #wake(): void {
    const waiting = this.#waiting.splice(0);
    for (const one of waiting) {
      if (this.misses(one.cursor)) this.#waiting.push(one);
      else one.then(true);
    }
  }

  /** A line in little memory: a feed of eight hours has tens of thousands. */
  #compact(line: Line): Line {
    if (!this.#words) delete line.words;
    if (line.marks.length === 0) line.marks = NO_MARKS;
    line.speaker = this.#same(line.speaker);
    line.source = this.#same(line.source);
    return line;
  }

  /** Equal strings become one. */
  #same<T extends string | null>(text: T): T {
    if (text === null) return text;
    const known = this.#strings.get(text);
    if (known !== undefined) return known as T;
    this.#strings.set(text, text);
    return text;
  }
}

/** A line before all turns that are known stands for itself. */
function standIn(line: Line): Turn {
  const { sort, speaker, start_ms, end_ms } = line;
  return { id: `line ${keyOf(line)}`, sort, speaker, start_ms, end_ms, state: "closed", rev: 0 };
}
