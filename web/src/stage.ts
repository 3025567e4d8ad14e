// What is being read: the turns, what is being said now, and whether the page follows it or leaves the reader alone.

import { lowerBound, type Span, type Transcript } from "captionwire";
import { $, arrange, calm, element, once, show, write } from "./dom";
import { TurnList } from "./list";
import { fill } from "./paragraph";
import { onSettings, settings } from "./settings";
import { many } from "./time";
import { head, type Look } from "./turn";

/** Pixels from the end within which a reader is taken to be at it. */
const NEAR_END = 60;
/** After the first picture, before new text is told: the whole transcript is not to be read out. */
const TELL_AFTER_MS = 500;
/** After the last turns that scrolling brought, before new text is told again. */
const QUIET_MS = 800;
/** New text slides in from no further than this: more is a jump, and jumps are made at once. */
const SLIDE_PIXELS_MAX = 240;

export class Stage {
  readonly look: Look = { query: null, target: null, hit: null };
  readonly list: TurnList;
  /** Called when something else is at the top of the window. */
  onmove: () => void = () => {};
  /** Called after each picture. */
  ondraw: () => void = () => {};
  /** Whether the page goes along with what is new. */
  following = true;
  readonly draw: () => void;

  #transcript: Transcript;
  #only: ReadonlySet<string> | null = null;
  #drawn = -1;
  #seen = "";
  #lastY = 0;
  #lastHeight = 0;
  #begun = false;
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #isPrinting = false;

  constructor(transcript: Transcript) {
    this.#transcript = transcript;
    this.list = new TurnList($("turns"), { look: this.look, covered, onresize: () => this.#redraw() });
    this.draw = once(() => this.#draw());
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    addEventListener("resize", () => this.#redraw());
    addEventListener("beforeprint", () => this.#print(true));
    addEventListener("afterprint", () => this.#print(false));
    $("new").onclick = () => this.toEnd();
    this.#watchBar();
    onSettings(() => {
      this.list.remeasure();
      this.#redraw();
    });
  }

  get transcript(): Transcript {
    return this.#transcript;
  }

  /** Shows another transcript: that of a replay, or the live one again. */
  show(transcript: Transcript): void {
    this.#transcript = transcript;
    this.#seen = "";
    this.#tell(false);
    this.#redraw();
  }

  /** Only the turns of these speakers; none for all. */
  filter(speakers: ReadonlySet<string> | null): void {
    this.#only = speakers;
    this.#redraw();
  }

  /** Draws at once what has come, and not only in the next frame: what the list says of lines holds for those that it knows. */
  settle(): void {
    this.#draw();
  }

  /** Brings a line to the top of the window; false if it is not there. */
  goTo(key: string): boolean {
    this.settle();
    const place = this.list.placeOf(key);
    if (!place) return false;
    this.following = false;
    this.#seen ||= this.#transcript.finals.at(-1)?.sort ?? "";
    this.#tell(false);
    this.list.draw(place);
    this.#after();
    return true;
  }

  toEnd(): void {
    this.following = true;
    // At once: the end may move on faster than a smooth scroll.
    this.#drawn = -1;
    this.settle();
  }

  toBeginning(): void {
    this.settle();
    const first = this.list.spans[0];
    if (first) this.goTo(this.#keyAt(first.from));
  }

  /** The text that is looked for, or what was led to, is another. */
  looked(): void {
    this.#redraw();
  }

  #keyAt(index: number): string {
    const line = this.#transcript.finals[index]!;
    return `${line.source}/${line.id}`;
  }

  /** What the bar takes when it grows, or gives back, is not taken from what is read: a notice moves no text. */
  #watchBar(): void {
    const bar = $("bar");
    let height = bar.offsetHeight;
    new ResizeObserver(() => {
      const grown = bar.offsetHeight - height;
      height += grown;
      document.documentElement.style.setProperty("--bar-height", `${height}px`);
      if (grown === 0 || !isSticky(bar)) return;
      if (this.following) scrollTo(0, document.documentElement.scrollHeight);
      else scrollBy(0, grown);
      // It was not the reader who moved.
      this.#lastY = scrollY;
    }).observe(bar);
  }

  #redraw(): void {
    this.#drawn = -1;
    this.draw();
  }

  #draw(): void {
    const transcript = this.#transcript;
    // Until the picture is whole, the last one that was is better.
    if (!transcript.whole || transcript.version === this.#drawn) return;
    this.#drawn = transcript.version;
    const anchor = this.following ? null : this.list.anchor();
    const spans = transcript.spans();
    this.list.take(transcript, this.#only ? spans.filter((span) => this.#isWanted(span)) : spans);
    const last = spans.at(-1);
    this.#interim(last?.turn.id ?? "");
    this.list.draw(anchor ?? (this.following ? null : this.#first()));
    show($("empty"), transcript.size === 0 && transcript.complete && transcript.state === "live");
    if (this.following && this.#begun && this.#drawn > 1) this.#slide();
    this.#after();
    if (!this.#begun) setTimeout(() => this.#tell(true), TELL_AFTER_MS);
    else if (this.following) this.#tell(true);
    this.#begun = true;
    this.ondraw();
  }

  #first() {
    const first = this.list.spans[0];
    return first ? this.list.placeOf(this.#keyAt(first.from)) : null;
  }

  #isWanted({ turn }: Span): boolean {
    const speaker = this.#transcript.speaker(turn.speaker);
    return this.#only!.has(speaker?.id ?? "");
  }

  /** What may still change is shown outside the log: nobody wants to hear each version of a sentence. */
  #interim(last: string): void {
    const transcript = this.#transcript;
    const wanted = settings().interim ? transcript.interims : [];
    const root = $("interim");
    const boxes: HTMLElement[] = [];
    for (const line of wanted) {
      const turn = transcript.turnOf(line);
      if (this.#only && !this.#only.has(transcript.speaker(turn.speaker)?.id ?? "")) continue;
      let box = boxes.at(-1);
      if (box?.dataset.turn !== turn.id) {
        box = (root.children[boxes.length] as HTMLElement | undefined) ?? interimBox();
        box.dataset.turn = turn.id;
        const [name, time] = box.querySelectorAll<HTMLElement>(".head > *");
        head(transcript, turn, box, name!, time!);
        // The last word of the log was this speaker's.
        show(box.querySelector<HTMLElement>(".head")!, turn.id !== last);
        box.classList.toggle("goes-on", turn.id === last);
        box.querySelector(".text")!.replaceChildren();
        boxes.push(box);
      }
      const paragraph = element("p");
      fill(paragraph, line, transcript.language);
      box.querySelector(".text")!.append(paragraph);
    }
    arrange(root, boxes);
  }

  /** New text comes up from below, where motion is welcome. */
  #slide(): void {
    const grown = document.documentElement.scrollHeight - this.#lastHeight;
    this.#lastHeight = document.documentElement.scrollHeight;
    if (calm() || grown < 8 || grown > SLIDE_PIXELS_MAX) return;
    const frames = [{ transform: `translateY(${grown}px)` }, { transform: "none" }];
    $("captions").animate(frames, { duration: 180, easing: "cubic-bezier(.2,.7,.3,1)" });
  }

  #after(): void {
    this.#lastY = scrollY;
    this.#count();
    this.onmove();
  }

  #scrolled(): void {
    const wasFollowing = this.following;
    const isAtEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR_END;
    if (isAtEnd && !this.list.isShort) this.following = true;
    else if (scrollY < this.#lastY - 2) this.following = false;
    this.#lastY = scrollY;
    if (wasFollowing && !this.following) this.#seen = this.#transcript.finals.at(-1)?.sort ?? "";
    if (this.list.isShort) {
      const anchor = this.list.anchor();
      this.#tell(false);
      // A flick may be past all that is drawn.
      this.list.draw(anchor ?? this.list.anchorAt(scrollY));
      this.#lastY = scrollY;
    }
    this.#count();
    this.onmove();
  }

  /** How much is new below, for one who reads above. */
  #count(): void {
    const { finals } = this.#transcript;
    if (this.following) this.#seen = finals.at(-1)?.sort ?? "";
    const at = lowerBound(finals, this.#seen);
    const unseen = this.following ? 0 : finals.length - (finals[at]?.sort === this.#seen ? at + 1 : at);
    const button = $("new");
    write(button.querySelector("span")!, unseen > 0 ? `${many(unseen, "new", "new")}` : "To the end");
    show(button, !this.following && this.list.count > 0);
  }

  /** Whether the log tells screen readers of what is new. */
  #tell(is: boolean): void {
    clearTimeout(this.#quiet);
    const log = $("log");
    const live = is && settings().speak ? "polite" : "off";
    if (log.getAttribute("aria-live") !== live) log.setAttribute("aria-live", live);
    log.removeAttribute("aria-busy");
    // What scrolling brings into the document is not new.
    if (!is) this.#quiet = setTimeout(() => this.#tell(true), QUIET_MS);
  }

  #print(is: boolean): void {
    if (this.#isPrinting === is) return;
    this.#isPrinting = this.list.isWhole = is;
    const anchor = this.list.anchor() ?? this.#first();
    if (anchor) this.list.draw(anchor);
  }
}

const isSticky = (node: HTMLElement) => getComputedStyle(node).position === "sticky";

/** Pixels of the window in which nothing can be read: the bar, and below it the name of a turn that began above. */
function covered(): number {
  const bar = $("bar");
  // Where there is no room for it, the bar scrolls away.
  const height = isSticky(bar) ? bar.offsetHeight : 0;
  return height + (document.querySelector<HTMLElement>("#turns .head")?.offsetHeight ?? 0);
}

function interimBox(): HTMLElement {
  const [box, head, text] = [element("div", "turn"), element("div", "head"), element("div", "text")];
  head.append(element("bdi", "name"), element("span", "time"));
  box.append(head, text);
  return box;
}
