// A connection that comes back by itself, and brings the transcript on from where it was.

import { Transcript, type TranscriptOptions, viewOf } from "./transcript.js";
import type { MediaMs, Message, Pace, Page, Steering } from "./types.js";

/** The server sends a heartbeat every 10 s; two of them missing is a lost connection. */
const SILENCE_MS = 25_000;
/** Before the first try to come again; doubles with each, up to `WAIT_MS_MAX`. */
const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 15_000;

/**
 * - `connecting`: for the first time;
 * - `open`: messages come;
 * - `waiting`: the connection was lost, and it will come again;
 * - `done`: the server has said all there is;
 * - `refused`: the server does not want it as it is; `reason` says why.
 */
export type ReaderState = "connecting" | "open" | "waiting" | "done" | "refused";

export interface ReaderOptions {
  /** Where the server is: `https://captions.example.org`. */
  url: string | URL;
  feed: string;
  /** Who reads. A function is asked at each connection, so that tokens that expire can be replaced. */
  token?: string | (() => string | null | Promise<string | null>);
  /** Guesses too, which may still change. Default: true. */
  interim?: boolean;
  /** Waits for a feed that does not exist yet. Default: true. */
  wait?: boolean;
  /** Begins with the last so many turns instead of all; {@link Reader.older} brings those before. */
  last?: number;
  /** Plays the archived feed again. */
  pace?: Pace;
  /** Which time a replay keeps. */
  paceBy?: "arrival" | "media";
  transcript?: TranscriptOptions;
  /** Something about `reader.transcript` or `reader.state` is different. Called for each message: draw once a frame. */
  onchange?: (reader: Reader) => void;
  /** Every message, behind its effect on the transcript. */
  onmessage?: (message: Message) => void;
  /** For Node before 22, which has none of its own. */
  WebSocket?: typeof WebSocket;
}

export class Reader {
  readonly transcript: Transcript;
  state: ReaderState = "connecting";
  /** Why it was refused, in words. */
  reason = "";
  /** The close code it was refused with, or the status of HTTP. */
  code = 0;

  readonly #options: ReaderOptions;
  #socket: WebSocket | null = null;
  #heardAt = 0;
  #tries = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setInterval> | undefined;
  #closed = false;
  #older: Promise<boolean> | null = null;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.transcript = new Transcript(options.transcript);
    this.#watchdog = setInterval(() => this.#socket && Date.now() - this.#heardAt > SILENCE_MS && this.#lost(), 5_000);
    void this.#begin();
  }

  /** Says something to a replay. Lost if there is no connection: `state` says so. */
  steer(word: Steering): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(word));
  }

  /** Comes again at once, where it would wait: the network is back. */
  hurry(): void {
    if (this.state !== "waiting") return;
    this.#tries = 0;
    void this.#begin();
  }

  /** Drops the connection as if it had been lost, and comes again. */
  drop(): void {
    if (this.#socket) this.#lost();
  }

  /** Ends it. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#watchdog);
    this.#hangUp();
  }

  /**
   * Brings turns from before those held, `last` of them; false once there are none.
   * Rejects where the server cannot be asked now.
   */
  older(last: number): Promise<boolean> {
    this.#older ??= this.#fetchOlder(last).finally(() => (this.#older = null));
    return this.#older;
  }

  async #begin(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    const { last, pace } = this.#options;
    try {
      if (last !== undefined && pace === undefined && this.transcript.cursor === null) {
        const page = await this.#page({ last });
        if (this.#closed) return;
        if (page) {
          this.transcript.add(page);
          this.#tell();
        }
      }
      const token = await this.#token();
      if (!this.#closed) this.#connect(token);
    } catch (error) {
      if (this.#closed) return;
      if (error instanceof Refusal) this.#stop("refused", error.message, error.status);
      else this.#lost();
    }
  }

  #connect(token: string | null): void {
    const { interim, wait, pace, paceBy } = this.#options;
    const url = this.#address("subscribe", {
      from: this.transcript.cursor ?? "start",
      interim: String(interim ?? true),
      wait: String(wait ?? true),
      ...(pace !== undefined && { pace: String(pace) }),
      ...(paceBy !== undefined && { pace_by: paceBy }),
      ...(token && { token }),
    });
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new (this.#options.WebSocket ?? WebSocket)(url);
    this.#socket = socket;
    this.#heardAt = Date.now();
    // `close` follows, and says more; but in Node an error that nobody hears of ends the program.
    socket.onerror = () => {};
    socket.onopen = () => {
      this.state = "open";
      this.#tell();
    };
    socket.onmessage = ({ data }) => {
      this.#heardAt = Date.now();
      this.#receive(JSON.parse(String(data)) as Message);
    };
    socket.onclose = ({ code, reason }) => {
      if (code === 1000) this.#stop("done", reason, code);
      // Numbers from 4500 on do not come again as they are; nor does what was no text.
      else if (code >= 4500 || code === 1007) this.#stop("refused", reason, code);
      else this.#lost();
    };
  }

  #receive(message: Message): void {
    if (message.type === "heartbeat") {
      // It names where we should be by now.
      if (this.transcript.misses(message.cursor)) return this.#lost();
      this.#tries = 0;
    }
    if (message.type === "live") this.#tries = 0;
    const changed = this.transcript.apply(message);
    this.#options.onmessage?.(message);
    if (changed) this.#tell();
  }

  #lost(): void {
    this.#hangUp();
    if (this.#closed) return;
    this.state = "waiting";
    // With chance, or a thousand readers would come back in the same instant.
    const wait = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** this.#tries++) * (0.5 + Math.random() / 2);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#begin(), wait);
    this.#tell();
  }

  #stop(state: "done" | "refused", reason: string, code: number): void {
    this.#hangUp();
    clearInterval(this.#watchdog);
    Object.assign(this, { state, reason, code });
    this.#tell();
  }

  #hangUp(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.transcript.cut();
    if (!socket) return;
    // A dead socket may take a minute to say that it is closed.
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  async #fetchOlder(last: number): Promise<boolean> {
    const { transcript } = this;
    if (transcript.complete || transcript.cursor === null) return false;
    const [life, touched] = [transcript.life, transcript.watch()];
    try {
      // Those that start with the oldest held come again: lines of one moment may be parted.
      const page = await this.#page({ to_ms: transcript.since + 1, last });
      // What is of another life of the feed is worth nothing; a reset is on its way.
      const isSame = () =>
        transcript.life === life && transcript.cursor !== null && viewOf(page!.cursor!) === viewOf(transcript.cursor);
      if (!page?.cursor || !isSame() || !(await transcript.reached(page.cursor)) || !isSame()) return !transcript.complete;
      const before = transcript.since;
      const grew = page.turns.length >= last && page.turns[0]!.lines[0]!.start_ms < before;
      transcript.add(page, touched);
      // A moment in which more turns begin than were asked for is asked for again, with more.
      if (page.turns.length < last) transcript.reachesBack();
      this.#tell();
      if (!grew && !transcript.complete) return await this.#fetchOlder(last * 2);
      return !transcript.complete;
    } finally {
      transcript.unwatch(touched);
    }
  }

  async #page(range: { last: number; to_ms?: MediaMs }): Promise<Page | null> {
    const query = { interim: String(this.#options.interim ?? true), last: String(range.last) };
    const url = this.#address("transcript.json", range.to_ms === undefined ? query : { ...query, to_ms: String(range.to_ms) });
    const token = await this.#token();
    const answer = await fetch(url, { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
    if (answer.ok) return (await answer.json()) as Page;
    // Waits for it, as the socket does.
    if (answer.status === 404 && (this.#options.wait ?? true)) return null;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    if (answer.status < 500 && answer.status !== 429) throw new Refusal(answer.status, problem.detail ?? answer.statusText);
    throw new Error(problem.detail ?? answer.statusText);
  }

  #address(what: string, query: Record<string, string>): URL {
    const url = new URL(this.#options.url);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/feeds/${encodeURIComponent(this.#options.feed)}/${what}`;
    url.search = String(new URLSearchParams(query));
    return url;
  }

  async #token(): Promise<string | null> {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token ?? null;
  }

  #tell(): void {
    this.#options.onchange?.(this);
  }
}

/** The server will answer the same again. */
class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}
