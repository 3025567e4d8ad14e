// Captions of a live feed as hls.js shows them over a live video: each where it belongs, once, and as it was said last.
// hls-parser (strict) and webvtt-parser read along, and find nothing to complain of.

import assert from "node:assert/strict";
import HLS from "hls-parser";
import webvtt from "webvtt-parser";
import { SEGMENTS, SEGMENT_MS, Stage, TOKEN, until } from "./stage.mjs";

HLS.setOptions({ strictMode: true });

/// All that a feed has published, by readers that are neither ours nor a player's: cues by their ids, in media time.
async function read(url) {
  const answer = await fetch(url);
  const playlist = HLS.parse(await answer.text());
  const cues = new Map();
  for (const { uri, duration } of playlist.segments) {
    assert.ok(duration <= playlist.targetDuration);
    const text = await (await fetch(new URL(uri, url))).text();
    // The parser is older than the header that RFC 8216 adds.
    const parsed = new webvtt.WebVTTParser().parse(text.replace(/^X-TIMESTAMP-MAP=.*\n/m, ""), "metadata");
    assert.deepEqual(parsed.errors, [], text);
    for (const { id, startTime, endTime, text: said } of parsed.cues) {
      const cue = { start: startTime, end: endTime, text: said };
      if (cues.has(id)) assert.deepEqual(cues.get(id), cue, "a cue is the same in each of its segments");
      cues.set(id, cue);
    }
  }
  return { playlist, cues };
}

/// Opens the player, and notes whatever it shows.
async function watch(stage, name) {
  const page = await stage.browser.newPage();
  page.on("pageerror", (error) => assert.fail(error));
  await page.addInitScript(() => {
    globalThis.shown = [];
    globalThis.errors = [];
    addEventListener("DOMContentLoaded", () => {
      video.textTracks.addEventListener("addtrack", ({ track }) => {
        track.addEventListener("cuechange", () => shown.push([...track.activeCues].map(({ id }) => id)));
      });
      hls.on(Hls.Events.ERROR, (_, { fatal, type, details }) => errors.push({ fatal, type, details }));
    });
  });
  await page.goto(stage.page(name));
  return page;
}

/// What stands on the text track, in media time by what the video's own playlist says of it.
function track(page) {
  return page.evaluate((segmentMs) => {
    const [{ start, sn }] = hls.levels[0].details.fragments;
    const media = (time) => time - start + (sn * segmentMs) / 1000;
    const cues = [...(video.textTracks[0]?.cues ?? [])];
    return {
      at: media(video.currentTime),
      isOver: video.ended,
      mode: video.textTracks[0]?.mode,
      cues: cues.map(({ id, startTime, endTime, text }) => ({ id, start: media(startTime), end: media(endTime), text })),
    };
  }, SEGMENT_MS);
}

function assertSame(cues, published) {
  assert.deepEqual(cues.map(({ id }) => id).sort(), [...published.keys()].sort(), "each cue once");
  for (const { id, start, end, text } of cues) {
    const cue = published.get(id);
    assert.equal(text, cue.text);
    // A frame is 100 ms.
    for (const [is, should] of [[start, cue.start], [end, cue.end]]) {
      assert.ok(Math.abs(is - should) < 0.1, `${id} stands at ${is} and was published at ${should}`);
    }
  }
}

async function assertNoErrors(page) {
  const errors = await page.evaluate(() => errors);
  // It waits for what is not there yet, and gives up what it loads when somebody goes elsewhere.
  const usual = ["aborted", "bufferStalledError", "bufferNudgeOnStall", "bufferSeekOverHole"];
  const others = errors.filter(({ fatal, details }) => fatal || !usual.includes(details));
  assert.deepEqual(others, []);
}

const line = (id, start_ms, end_ms, text) => ({ type: "line", id, start_ms, end_ms, speaker: "Clerk", text });

/// A live video with captions, from before the first word to the end.
async function live(stage, { name, kind, offset_ms, query, feed }) {
  const publisher = await stage.publisher(feed);
  const startAt = Date.now();
  const captions = (more) => stage.captions(feed, { ...query, start_at: new Date(startAt).toISOString(), offset_ms, ...more });
  const video = Object.assign(stage.video(name, kind, captions()), { startAt });
  HLS.parse(await (await fetch(stage.master(name))).text());
  // Before the first word: the playlist is not empty, and the player does not give up.
  const page = await watch(stage, name);
  await until("the player has the captions' playlist", () => page.evaluate(() => Boolean(hls.subtitleTracks[0]?.details)));

  const spoken = [
    [0, line("spans", 500, 3500, "over three segments")],
    [0, line("once", 4000, 4800, "a frist word"), line("once", 4000, 4800, "a first word")],
    [7_000, line("second", 6000, 7200, "a second")],
    [10_000, line("late", 2000, 3000, "what was written late")],
    [13_000, line("third", 12_200, 14_000, "the third"), line("gone", 12_500, 13_500, "taken back"), { type: "retract", id: "gone" }],
  ];
  let clock = 0;
  let first = 0;
  await until("the video was played so far", async () => {
    const { at } = await track(page).catch(() => ({ at: 0 }));
    video.edge = Math.min(SEGMENTS, Math.max(video.edge, Math.floor(at) + 4));
    // The captions are ahead of the player by what players stay behind.
    const now = Math.floor(at * 1000) + 6000;
    while (spoken.length > 0 && spoken[0][0] <= now) await publisher.say(...spoken.shift().slice(1));
    if (now >= clock + SEGMENT_MS / 2) await publisher.say({ type: "clock", media_ms: (clock = now) });
    const { playlist } = await read(captions());
    assert.ok(playlist.mediaSequenceBase >= first, "the playlist slides forward");
    first = playlist.mediaSequenceBase;
    return spoken.length === 0 && at >= 12;
  });
  if (query.type !== "event") assert.ok(first > 1, "the window slid away from the beginning");
  await publisher.say({ type: "end" });
  publisher.close();
  Object.assign(video, { edge: SEGMENTS, isOver: true });
  const { playlist, cues: published } = await read(captions({ type: "event" }));
  assert.ok(playlist.endlist);
  await until("the video is over", async () => (await track(page)).isOver);

  const expected = { spans: [0.5, 3.5], once: [4, 4.8], second: [6, 7.2], third: [12.2, 14] };
  for (const [id, [start, end]] of Object.entries(expected)) {
    const cue = published.get(`main/${id}`);
    assert.deepEqual([cue.start, cue.end], [start, end], id);
  }
  assert.equal(published.get("main/once").text, "<v Clerk>a first word", "as it was corrected");
  // What came after its time is in the first segment that was not published.
  const late = published.get("main/late");
  assert.ok(late.start > 3 && (late.start * 1000) % SEGMENT_MS === 0 && late.end === late.start + 1, `${late.start}`);
  assert.equal(published.size, 5);

  const { cues, mode } = await track(page);
  assert.equal(mode, "showing");
  assertSame(cues, published);
  const shown = await page.evaluate(() => shown);
  for (const id of published.keys()) {
    assert.ok(shown.some((active) => active.includes(id)), `${id} was on the screen: ${JSON.stringify(shown)}`);
    assert.ok(shown.every((active) => active.filter((other) => other === id).length < 2), `${id} was there twice`);
  }
  await assertNoErrors(page);
  await page.close();
  return { published, captions };
}

/// The same event when it is over, from the beginning, and whatever place somebody goes to.
async function afterwards(stage, { name, kind }, { published, captions }) {
  const whole = `${name}-whole`;
  Object.assign(stage.video(whole, kind, captions({ type: "event" })), { edge: SEGMENTS, isOver: true, isWhole: true });
  const page = await watch(stage, whole);
  await until("all cues are there", async () => (await track(page).catch(() => ({ cues: [] }))).cues.length === published.size);
  assertSame((await track(page)).cues, published);
  for (const [id, { start, end }] of published) {
    const place = (start + end) / 2;
    const active = await page.evaluate(async (place) => {
      video.pause();
      const there = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
      video.currentTime = place;
      await there;
      return [...video.textTracks[0].activeCues].map(({ id }) => id);
    }, place);
    const there = [...published].filter(([, cue]) => cue.start <= place && place < cue.end).map(([id]) => id);
    assert.deepEqual(active.sort(), there.sort(), `at ${place}, in the midst of ${id}`);
  }
  await assertNoErrors(page);
  await page.close();
}

const stories = [
  // What ffmpeg and others write as MPEG-2 streams begins 1.4 seconds after 0, and the captions' 0 is 10 seconds after it.
  { name: "ts", kind: "ts", offset_ms: -8600, query: {}, feed: "open-1" },
  // Fragmented MP4 begins at 0.
  { name: "fmp4", kind: "fmp4", offset_ms: -10_000, query: { type: "event", token: TOKEN }, feed: "closed-1" },
];

const stage = await Stage.set();
try {
  for (const story of stories) {
    const event = await live(stage, story);
    console.log(`ok: live, ${story.name}, ${Object.keys(story.query).join(" and ") || "sliding"}`);
    await afterwards(stage, story, event);
    console.log(`ok: afterwards, ${story.name}`);
  }
} finally {
  await stage.strike();
}
