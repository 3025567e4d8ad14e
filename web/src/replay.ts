// The event again, from any point and at any pace, over the same protocol. The live transcript goes on meanwhile, unseen.

import { type Message, type Pace, Reader, type ReaderOptions } from "captionwire";
import { $, show, write } from "./dom";
import type { Stage } from "./stage";
import type { Timeline } from "./timeline";

export class Replay {
  /** None while the page is live. */
  reader: Reader | null = null;
  #isPaused = false;
  #begun = false;
  #from = 0;
  readonly #pace = $<HTMLSelectElement>("pace");

  constructor(
    readonly live: Reader,
    readonly stage: Stage,
    readonly timeline: Timeline,
    readonly options: ReaderOptions,
    readonly onchange: () => void,
  ) {
    $("play").onclick = () => this.toggle();
    $("step").onclick = () => this.step();
    $("leave").onclick = () => this.leave();
    this.#pace.onchange = () => this.reader?.steer({ type: "pace", pace: this.#wanted });
    timeline.onseek = (ms) => this.seek(ms);
    this.#draw();
  }

  /** Plays, rests, or begins. */
  toggle(): void {
    if (!this.reader) return this.#begin(this.#place());
    if (this.#wanted === "step") return this.step();
    this.reader.steer({ type: this.#isPaused ? "resume" : "pause" });
  }

  /** One record on. */
  step(): void {
    if (!this.reader) return;
    if (this.#wanted !== "step") {
      this.#pace.value = "step";
      this.reader.steer({ type: "pace", pace: "step" });
      if (this.#isPaused) this.reader.steer({ type: "resume" });
    }
    this.reader.steer({ type: "step" });
  }

  /** To a place: in the replay, or in what is on the page. */
  seek(ms: number): void {
    if (this.reader) {
      this.#from = ms;
      this.reader.steer({ type: "seek", media_ms: Math.round(ms) });
    } else this.onplace(ms);
  }

  /** Where to go on the page when nothing is played. */
  onplace: (ms: number) => void = () => {};

  /** Back to what is live. */
  leave(): void {
    if (!this.reader) return;
    this.reader.close();
    this.reader = null;
    this.stage.following = this.live.transcript.state !== "ended";
    this.stage.show(this.live.transcript);
    this.#draw();
    this.onchange();
  }

  get #wanted(): Pace {
    const { value } = this.#pace;
    return value === "max" || value === "step" ? value : Number(value);
  }

  /** From where one reads; from the beginning, for one who has read to the end. */
  #place(): number {
    const { list, transcript, following } = this.stage;
    const line = following ? undefined : transcript.get(list.reading ?? "");
    return line?.start_ms ?? this.timeline.begin;
  }

  #begin(from: number): void {
    [this.#begun, this.#from, this.#isPaused] = [false, from, false];
    this.reader = new Reader({
      ...this.options,
      pace: this.#wanted,
      onchange: () => this.#changed(),
      onmessage: (message) => this.#heard(message),
    });
    this.#draw();
  }

  #heard(message: Message): void {
    // It begins to play at the beginning; what is shown first is the place that was asked for.
    if (message.type === "hello" && !this.#begun) this.reader?.steer({ type: "seek", media_ms: Math.round(this.#from) });
    if (message.type !== "replay") return;
    this.#isPaused = message.paused;
    if (!this.#begun && this.reader) {
      this.#begun = true;
      this.stage.following = true;
      this.stage.show(this.reader.transcript);
    }
    this.timeline.at(message.media_ms);
    this.#draw();
    this.onchange();
  }

  #changed(): void {
    const { reader } = this;
    if (!reader) return;
    if (!this.#begun && reader.state !== "refused") return;
    const last = reader.transcript.interims.at(-1) ?? reader.transcript.finals.at(-1);
    if (last) this.timeline.at(last.start_ms);
    if (reader.state === "refused" || reader.state === "done") this.#isPaused = true;
    this.stage.draw();
    this.#draw();
    this.onchange();
  }

  #draw(): void {
    const { reader } = this;
    const isPlaying = reader !== null && !this.#isPaused && this.#wanted !== "step";
    const isOver = reader?.state === "done";
    write($("play"), reader === null ? "Play again" : isPlaying ? "Pause" : "Play");
    show($("play"), !isOver);
    for (const id of ["step", "leave"]) show($(id), reader !== null);
    show($("step"), reader !== null && !isOver);
    write($("leave"), this.live.transcript.state === "live" ? "Back to live" : "Leave replay");
    show($("pace-label"), reader !== null && !isOver);
  }
}
