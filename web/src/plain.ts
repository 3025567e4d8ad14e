// Text and nothing else, for braille displays and whoever wants it so: finished lines one below the other, each where it
// stays. Nothing is announced, nothing scrolls by itself, and no word is shown that may still change.

import { keyOf, Reader } from "captionwire";
import { $, arrange, element, feedOf, once, show, write } from "./dom";
import { clock } from "./time";
import { takeToken } from "./token";

/** Lines in the document; older ones come when they are asked for. */
const LINES = 300;
const FIRST_TURNS = 40;
const OLDER_TURNS = 100;

const token = takeToken();

document.addEventListener("DOMContentLoaded", () => {
  const feed = feedOf(location.pathname);
  const paragraphs = new Map<string, HTMLElement>();
  let shown = LINES;
  const draw = once(() => {
    const { transcript } = reader;
    write($("state"), reader.state === "refused" ? reader.reason : reader.state === "waiting" ? "Reconnecting." : says[transcript.state] ?? "");
    if (!transcript.whole) return;
    write($("title"), transcript.title ?? feed);
    document.title = `${transcript.title ?? feed} · plain text`;
    const spans = transcript.spans();
    const first = spans[0]?.from ?? 0;
    const from = Math.max(first, transcript.finals.length - shown);
    const wanted: HTMLElement[] = [];
    for (const span of spans) {
      for (let at = Math.max(from, span.from); at < span.to; at++) {
        const line = transcript.finals[at]!;
        const key = keyOf(line);
        const node = paragraphs.get(key) ?? element("p");
        paragraphs.set(key, node);
        const name = at === Math.max(from, span.from) ? transcript.speaker(span.turn.speaker)?.name : undefined;
        write(node, name ? `${name} (${clock(line.start_ms)}): ${line.text}` : line.text);
        node.dir = "auto";
        node.lang = line.lang ?? transcript.language ?? "";
        wanted.push(node);
      }
    }
    const kept = new Set(wanted);
    for (const [key, node] of paragraphs) if (!kept.has(node)) paragraphs.delete(key);
    arrange($("text"), wanted);
    show($("older"), !transcript.complete || from > first);
  });
  const reader = new Reader({ url: location.origin, feed, last: FIRST_TURNS, interim: false, ...(token && { token }), onchange: draw });
  $("older").onclick = async () => {
    shown += LINES;
    await reader.older(OLDER_TURNS).catch(() => false);
    draw();
  };
  $<HTMLAnchorElement>("back").href = `/feeds/${encodeURIComponent(feed)}`;
  addEventListener("online", () => reader.hurry());
});

const says: Record<string, string> = {
  none: "There is no such feed yet.", scheduled: "Not started.", live: "Live.", paused: "Paused.", ended: "Ended.",
};
