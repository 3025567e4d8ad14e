// The page of one feed: its transcript as it comes, for everybody who reads.

import { Reader, type ReaderOptions } from "captionwire";
import { copying, downloads, link } from "./save";
import { display, resize } from "./display";
import { $, feedOf, show, write } from "./dom";
import { Filter } from "./filter";
import { Find } from "./find";
import { keys } from "./keys";
import { Places } from "./places";
import { Replay } from "./replay";
import { onSettings, override, settings } from "./settings";
import { meet } from "./speakers";
import { Stage } from "./stage";
import { showRefusal, showStatus } from "./status";
import { parse } from "./time";
import { Timeline } from "./timeline";
import { copy, say } from "./toast";
import { keep, takeToken } from "./token";

/** Turns to begin with: more than any window shows. */
const FIRST_TURNS = 40;
/** Turns that are brought at once after that, at first, and at most: each time as many again. */
const OLDER_TURNS = 200;
const OLDER_TURNS_MAX = 2_000;
/** Before older turns are asked for again, after the server could not be asked. */
const AGAIN_MS = 3_000;

const token = takeToken();
const feed = feedOf(location.pathname);
const isEmbedded = location.pathname.endsWith("/embed");
// A frame says how it wants to look in its address.
if (isEmbedded) embed();

function embed(): void {
  document.documentElement.dataset.mode = "embed";
  const asked = new URLSearchParams(location.search);
  const numbers = ["size", "leading"].filter((name) => asked.has(name)).map((name) => [name, Number(asked.get(name))]);
  const words = ["theme", "font", "width"].filter((name) => asked.has(name)).map((name) => [name, asked.get(name)]);
  override(Object.fromEntries([...numbers, ...words]) as Record<string, unknown>);
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();

function start(): void {
  const options: ReaderOptions = { url: location.origin, feed, ...(token && { token }) };
  let stage: Stage;
  let replay: Replay;
  // Its first word comes after this function is done.
  const live = new Reader({ ...options, last: FIRST_TURNS, onchange: () => changed() });
  stage = new Stage(live.transcript);
  const timeline = new Timeline();
  const places = new Places(stage, feed);
  const find = new Find(stage);
  new Filter(stage);
  replay = new Replay(live, stage, timeline, options, () => status());
  replay.onplace = (ms) => goToTime(ms);

  const title = () => live.transcript.title ?? feed;

  function status(): void {
    const shown = replay.reader ?? live;
    showStatus(shown, replay.reader !== null);
    showRefusal(live, (typed) => {
      keep(typed);
      location.reload();
    });
  }

  function changed(): void {
    const { transcript } = live;
    if (transcript.whole || live.state !== "connecting") {
      write($("title"), title());
      const name = `${title()} · live captions`;
      if (document.title !== name) document.title = name;
      document.documentElement.lang ||= "en";
    }
    status();
    if (transcript.whole) {
      meet(transcript.speakers);
      timeline.take(transcript);
      if (!replay.reader) stage.draw();
      void fillIn();
    }
  }

  // Older turns, until there are none; above what is read, which does not move.
  let isFilling = false;
  async function fillIn(): Promise<void> {
    if (isFilling || live.transcript.complete) return;
    isFilling = true;
    let count = OLDER_TURNS;
    while (!live.transcript.complete) {
      try {
        await live.older(count);
        count = Math.min(OLDER_TURNS_MAX, count * 2);
      } catch {
        await new Promise((then) => setTimeout(then, AGAIN_MS));
      }
    }
    isFilling = false;
  }

  stage.ondraw = () => {
    find.again();
    if (places.isWaiting) places.arrive();
    show($("beginning"), live.transcript.state === "ended" && stage.following && stage.list.count > 3 && !replay.reader);
  };
  stage.onmove = () => {
    if (replay.reader) return;
    const { transcript, following } = stage;
    const line = following ? transcript.finals.at(-1) : transcript.get(stage.list.reading ?? "");
    if (line) timeline.at(line.start_ms);
  };

  function goToTime(ms: number): void {
    places.go({ key: null, ms });
  }

  // To where one reads, which need not be the beginning, and without moving it.
  document.querySelector<HTMLElement>(".skip")!.onclick = (event) => {
    event.preventDefault();
    const turn = stage.list.paragraph(stage.list.reading ?? "")?.closest("li");
    if (turn) turn.tabIndex = -1;
    (turn ?? $("captions")).focus({ preventScroll: true });
  };
  display();
  downloads(feed, token);
  copying(stage, title);
  onSettings(() => {
    timeline.redraw();
    stage.draw();
  });
  $("beginning").onclick = () => {
    if (live.transcript.complete) stage.toBeginning();
    else goToTime(0);
  };
  const jump = $<HTMLFormElement>("jump");
  jump.onsubmit = (event) => {
    event.preventDefault();
    const ms = parse($<HTMLInputElement>("jump-to").value);
    if (ms === null) return say("A time is written like 28:00 or 1:02:03.");
    goToTime(ms);
    $("more").hidePopover();
  };
  $("copy-link").onclick = () => {
    const key = stage.list.reading;
    if (key) link(stage, key);
  };
  $("copy-embed").onclick = () => {
    const code = `<script src="${location.origin}/embed.js" async></script>\n<caption-wire feed="${feed}"></caption-wire>`;
    void copy(code, "Copied: two lines of HTML for another page.");
  };
  $("print").onclick = () => print();
  $<HTMLAnchorElement>("to-plain").href = `/feeds/${encodeURIComponent(feed)}/plain`;
  $<HTMLAnchorElement>("to-overlay").href = `/feeds/${encodeURIComponent(feed)}/overlay`;
  for (const name of ["online", "offline"]) addEventListener(name, () => {
    if (navigator.onLine) [live, replay.reader].forEach((reader) => reader?.hurry());
    status();
  });

  const step = (by: number) => {
    stage.settle();
    const { spans } = stage.list;
    const { transcript } = stage;
    const sort = transcript.get(stage.list.reading ?? "")?.sort ?? "";
    const now = spans.findLastIndex(({ turn }) => turn.sort <= sort);
    const span = spans[Math.min(spans.length - 1, Math.max(0, now + by))];
    const line = span && transcript.finals[span.from];
    if (line) stage.goTo(`${line.source}/${line.id}`);
  };
  keys({
    "/": () => find.open(),
    j: () => step(1),
    k: () => step(-1),
    e: () => stage.toEnd(),
    b: () => stage.toBeginning(),
    t: () => {
      $("more").showPopover();
      $("jump-to").focus();
    },
    s: () => $("display").togglePopover(),
    "?": () => $("more").togglePopover(),
    "+": () => resize(settings(), 10),
    "-": () => resize(settings(), -10),
    p: () => replay.toggle(),
    ".": () => replay.step(),
    Escape: () => find.close(),
  });
  status();
}

