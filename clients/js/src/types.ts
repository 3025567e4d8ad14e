// What the server says. The protocol is docs/asyncapi.yaml; unknown fields are to be ignored, so that servers may be newer.

/** Milliseconds of media time: where something stands in the event. */
export type MediaMs = number;

/** `source/id`: what a line is called for good, whatever becomes of its text, time or speaker. */
export type LineKey = string;

export type FeedState = "none" | "scheduled" | "live" | "paused" | "ended";

/** A span over a line's text, in Unicode scalar values (not UTF-16 units). */
export interface Mark {
  kind: string;
  start: number;
  /** The character after its last one. */
  end: number;
  /** The media time that it names, if it names one. */
  at_ms?: MediaMs;
}

export interface Word {
  text: string;
  start_ms: MediaMs;
  end_ms?: MediaMs;
  confidence?: number;
}

export interface Line {
  source: string;
  id: string;
  rev: number;
  /** Plain comparison of these strings is the order of lines. */
  sort: string;
  start_ms: MediaMs;
  end_ms: MediaMs | null;
  /** The id of its speaker before merges; {@link Transcript.speaker} says whom to show. */
  speaker: string | null;
  text: string;
  status: "interim" | "final";
  lang?: string;
  break?: "turn";
  time_source?: "arrival" | "order";
  marks: readonly Mark[];
  words?: readonly Word[];
  received_at: string;
}

/** Neighbouring lines of one speaker: those up to the next turn's `sort`. */
export interface Turn {
  /** The key of its first line. */
  id: LineKey;
  sort: string;
  speaker: string | null;
  start_ms: MediaMs;
  end_ms: MediaMs | null;
  state: "open" | "closed";
  rev: number;
}

export interface Speaker {
  id: string;
  name: string;
  kind?: string;
  /** The speaker that it was merged into. */
  into: string | null;
}

export interface Hello {
  type: "hello";
  feed: string;
  title?: string | null;
  state: FeedState;
  epoch: string | null;
  server_at: string;
}

export interface Changes {
  type: "changes";
  feed: string;
  cursor: string;
  lines?: Line[];
  gone?: LineKey[];
  turns?: Turn[];
  gone_turns?: LineKey[];
  speakers?: Speaker[];
  title?: string | null;
  language?: string | null;
  state?: FeedState;
  /** More parts of the same change follow. */
  more?: boolean;
  /** More is already waiting: the picture is not whole yet. */
  behind?: boolean;
}

export interface Live {
  type: "live";
  feed: string;
  cursor: string;
}

export interface Heartbeat {
  type: "heartbeat";
  feed: string;
  cursor: string | null;
  server_at: string;
}

export interface Reset {
  type: "reset";
  feed: string;
  reason: "epoch" | "cursor" | "seek" | "replaced";
}

/** How a replay stands; answers every {@link Steering}. */
export interface ReplayStatus {
  type: "replay";
  feed: string;
  paused: boolean;
  pace: Pace;
  media_ms: MediaMs;
}

export interface Refused {
  type: "error";
  feed: string;
  code: string;
  message: string;
}

export type Message = Hello | Changes | Live | Heartbeat | Reset | ReplayStatus | Refused;

/** How many times as fast as it happened, as fast as one can, or one record for each `step`. */
export type Pace = number | "max" | "step";

/** What a reader may say during a replay. */
export type Steering =
  | { type: "step" }
  | { type: "pause" }
  | { type: "resume" }
  | { type: "pace"; pace: Pace }
  | { type: "seek"; media_ms: MediaMs }
  | { type: "seek"; cursor: string };

/** A part of a transcript, as `transcript.json` has it. */
export interface Page {
  feed: string;
  title?: string | null;
  language?: string | null;
  state: FeedState;
  epoch: string | null;
  cursor: string | null;
  speakers: Speaker[];
  turns: (Turn & { lines: Line[] })[];
}
