// How the feed stands and how the connection does, in a word, and in a sentence where a word is not enough.

import type { FeedState, Reader } from "captionwire";
import { $, show, write } from "./dom";

/** A connection that is back by then was not worth a word. */
const PATIENCE_MS = 1_500;

const WORDS: Record<FeedState, string> = { none: "Waiting", scheduled: "Not started", live: "Live", paused: "Paused", ended: "Ended" };
const ENDINGS: Partial<Record<FeedState, string>> = {
  none: "There is no such feed yet. The captions appear here as soon as it begins.",
  scheduled: "It has not begun. The captions appear here as soon as it does.",
  paused: "The captions are paused. They go on here by themselves.",
  ended: "The captions have ended.",
};

let lostAt = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function showStatus(reader: Reader, isReplay: boolean): void {
  const { transcript, state } = reader;
  const isOffline = !navigator.onLine && state !== "done";
  if (state !== "waiting" && !isOffline) lostAt = 0;
  else lostAt ||= Date.now();
  const isLost = lostAt > 0 && Date.now() - lostAt >= PATIENCE_MS;
  clearTimeout(timer);
  if (lostAt && !isLost) timer = setTimeout(() => showStatus(reader, isReplay), PATIENCE_MS);

  let [kind, word]: [string, string] = [transcript.state, WORDS[transcript.state] ?? transcript.state];
  if (state === "refused") [kind, word] = ["stopped", "Stopped"];
  else if (state === "connecting" && !transcript.whole) [kind, word] = ["waiting", "Connecting"];
  else if (isLost) [kind, word] = ["waiting", isOffline ? "Offline" : "Reconnecting"];
  else if (isReplay) [kind, word] = ["replay", "Replay"];
  const pill = $("state");
  write(pill.querySelector("span")!, word);
  pill.dataset.state = kind;

  const lost = isOffline
    ? "You are offline. What is said meanwhile appears here when you are back."
    : "The connection is lost, and being made again. Nothing will be missing.";
  write($("notice"), isLost && state !== "refused" ? lost : "");
  show($("notice"), isLost && state !== "refused");
  const ending = isReplay || state === "refused" || !transcript.whole && state !== "open" ? "" : ENDINGS[transcript.state] ?? "";
  write($("ending"), ending);
  show($("ending"), ending !== "");
}

/** Why the server does not show it, and what to do about that. */
export function showRefusal(reader: Reader, onToken: (token: string) => void): void {
  const needsToken = [401, 403, 4500, 4501].includes(reader.code);
  write($("refusal-text"), needsToken ? "This feed is not for everybody: it takes a token." : `The server does not show this feed: ${reader.reason || reader.code}.`);
  show($("token-form"), needsToken);
  show($("refusal"), reader.state === "refused");
  $<HTMLFormElement>("token-form").onsubmit = (event) => {
    event.preventDefault();
    onToken($<HTMLInputElement>("token").value.trim());
  };
}
