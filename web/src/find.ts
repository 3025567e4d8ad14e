// Looks for words in the transcript, also where it is not drawn, which the browser's own search would not find.

import { keyOf } from "captionwire";
import { $, show, write } from "./dom";
import type { Stage } from "./stage";

/** Between two keys of one who types. */
const PAUSE_MS = 120;

export class Find {
  #hits: string[] = [];
  #at = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #version = -1;
  readonly #stage: Stage;
  readonly #input = $<HTMLInputElement>("find-text");

  constructor(stage: Stage) {
    this.#stage = stage;
    $("open-find").onclick = () => ($("find").hidden ? this.open() : this.close());
    $("find-close").onclick = () => this.close();
    $("find-next").onclick = () => this.step(1);
    $("find-back").onclick = () => this.step(-1);
    this.#input.oninput = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#look(true), PAUSE_MS);
    };
    this.#input.onkeydown = (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.close();
      else return;
      event.preventDefault();
    };
  }

  open(): void {
    show($("find"), true);
    $("open-find").setAttribute("aria-expanded", "true");
    this.#input.focus();
    this.#input.select();
    this.#look(false);
  }

  close(): void {
    if ($("find").hidden) return;
    const hadFocus = $("find").contains(document.activeElement);
    show($("find"), false);
    $("open-find").setAttribute("aria-expanded", "false");
    Object.assign(this.#stage.look, { query: null, hit: null });
    this.#stage.looked();
    if (hadFocus) $("open-find").focus();
  }

  /** What is said meanwhile is looked through too. */
  again(): void {
    const { transcript, look } = this.#stage;
    if (look.query && transcript.version !== this.#version) this.#look(false);
  }

  step(by: number): void {
    clearTimeout(this.#timer);
    this.#look(false);
    if (this.#hits.length === 0) return;
    this.#at = (this.#at + by + this.#hits.length) % this.#hits.length;
    this.#go();
  }

  #look(andGo: boolean): void {
    const text = this.#input.value.trim();
    const { transcript, look } = this.#stage;
    this.#version = transcript.version;
    const query = text ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+"), "giu") : null;
    if (query?.source !== look.query?.source) look.query = query;
    const current = this.#hits[this.#at];
    this.#hits = query ? transcript.finals.filter((line) => line.text.search(query) >= 0).map(keyOf) : [];
    this.#at = this.#hits.indexOf(current ?? "");
    if (andGo && this.#hits.length > 0) {
      // From where one reads on, as in a book.
      if (this.#at < 0) this.#at = this.#fromHere();
      this.#go();
    } else {
      look.hit = this.#hits[this.#at] ?? null;
      if (andGo) this.#stage.looked();
      this.#say();
    }
  }

  #fromHere(): number {
    const { transcript, list } = this.#stage;
    const here = transcript.get(list.reading ?? "")?.sort ?? "";
    const next = this.#hits.findIndex((key) => (transcript.get(key)?.sort ?? "") >= here);
    return next < 0 ? this.#hits.length - 1 : next;
  }

  #go(): void {
    const key = this.#hits[this.#at]!;
    this.#stage.look.hit = key;
    this.#stage.goTo(key);
    this.#stage.looked();
    this.#say();
  }

  #say(): void {
    const { length } = this.#hits;
    const asked = this.#input.value.trim() !== "";
    write($("find-count"), !asked ? "" : length === 0 ? "Not found" : this.#at < 0 ? `${length} lines` : `${this.#at + 1} of ${length}`);
  }
}
