// The reducer alone, with messages of our own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Transcript } from "../dist/index.js";
import { picture } from "./picture.mjs";

const line = (id, speaker, text, more = {}) => ({
  source: "main", id, rev: 1, sort: `${String(id).padStart(4, "0")}`, start_ms: id * 1000, end_ms: null, speaker, text,
  status: "final", marks: [], received_at: "2026-11-23T18:31:06.250Z", ...more,
});
const turn = (id, speaker) => ({
  id: `main/${id}`, sort: String(id).padStart(4, "0"), speaker, start_ms: id * 1000, end_ms: null, state: "closed", rev: 0,
});
const changes = (count, more) => ({ type: "changes", feed: "geneva", cursor: `e:${count}`, ...more });
const texts = (transcript) => transcript.spans().map(({ from, to }) => transcript.finals.slice(from, to).map(({ text }) => text));

test("lines belong to the last turn that is not behind them", () => {
  const transcript = new Transcript();
  transcript.apply(changes(1, { turns: [turn(1, "A"), turn(3, "B")], lines: [line(4, "B", "d"), line(1, "A", "a"), line(2, "A", "b"), line(3, "B", "c")] }));
  assert.deepEqual(texts(transcript), [["a", "b"], ["c", "d"]]);
  transcript.apply(changes(2, { gone: ["main/3"], gone_turns: ["main/3"], turns: [turn(4, "B")] }));
  assert.deepEqual(texts(transcript), [["a", "b"], ["d"]]);
  transcript.apply(changes(3, { lines: [line(2, "A", "b, corrected")] }));
  assert.deepEqual(texts(transcript), [["a", "b, corrected"], ["d"]]);
});

test("a line that becomes final leaves the guesses, and one that moves leaves its place", () => {
  const transcript = new Transcript();
  transcript.apply(changes(1, { turns: [turn(1, "A")], lines: [line(1, "A", "one"), line(2, "A", "tw", { status: "interim" })] }));
  assert.deepEqual(transcript.interims.map(({ text }) => text), ["tw"]);
  transcript.apply(changes(2, { lines: [line(2, "A", "two")] }));
  assert.deepEqual([transcript.interims.length, texts(transcript)], [0, [["one", "two"]]]);
  transcript.apply(changes(3, { lines: [line(1, "A", "one", { sort: "0009" })], turns: [turn(2, "A")], gone_turns: ["main/1"] }));
  assert.deepEqual(texts(transcript), [["two", "one"]]);
});

test("what is older than what is held changes nothing, and a thing said twice is said once", () => {
  const transcript = new Transcript();
  const second = changes(2, { turns: [turn(1, "A")], lines: [line(1, "A", "new")] });
  transcript.apply(second);
  assert.equal(transcript.apply(changes(1, { lines: [line(1, "A", "old")] })), false);
  transcript.apply(second);
  assert.deepEqual(texts(transcript), [["new"]]);
});

test("parts are shown together, and are worth nothing after a cut", () => {
  const transcript = new Transcript();
  transcript.apply(changes(1, { turns: [turn(1, "A")], lines: [line(1, "A", "one")] }));
  transcript.apply(changes(1, { gone: ["main/1"], more: true }));
  assert.deepEqual(texts(transcript), [["one"]]);
  transcript.cut();
  transcript.apply(changes(2, { lines: [line(2, "A", "two")] }));
  assert.deepEqual(texts(transcript), [["one", "two"]]);
  transcript.apply(changes(2, { gone: ["main/1"], more: true }));
  transcript.apply(changes(3, { gone: ["main/2"], gone_turns: ["main/1"] }));
  assert.deepEqual([texts(transcript), transcript.cursor], [[], "e:3"]);
});

test("a reset drops everything, kept parts too, and the picture is whole again only then", () => {
  const transcript = new Transcript();
  transcript.apply(changes(7, { turns: [turn(1, "A")], lines: [line(1, "A", "one")] }));
  transcript.apply(changes(7, { lines: [line(5, "A", "five")], more: true }));
  transcript.apply({ type: "reset", feed: "geneva", reason: "epoch" });
  assert.deepEqual([transcript.size, transcript.cursor, transcript.whole], [0, null, false]);
  transcript.apply(changes(1, { turns: [turn(1, "A")], lines: [line(1, "A", "first")], behind: true }));
  assert.equal(transcript.whole, false);
  transcript.apply(changes(2, { lines: [line(2, "A", "second")] }));
  assert.deepEqual([transcript.whole, texts(transcript)], [true, [["first", "second"]]]);
});

test("speakers are shown by the name of the one they were merged into", () => {
  const transcript = new Transcript();
  const speaker = (id, name, into = null) => ({ id, name, into });
  transcript.apply(changes(1, { speakers: [speaker("S1", "Speaker 1", "G"), speaker("G", "Galina")] }));
  assert.deepEqual(["S1", "G", "nobody", null].map((id) => transcript.speaker(id)?.name), ["Galina", "Galina", "nobody", undefined]);
  transcript.apply(changes(2, { speakers: [speaker("G", "Galina", "S1")] }));
  assert.ok(transcript.speaker("S1"), "a circle ends");
});

const page = (count, ...turns) => ({
  feed: "geneva", state: "live", epoch: "e", cursor: `e:${count}`, speakers: [], title: "Geneva",
  turns: turns.map(([head, ...lines]) => ({ ...head, lines })),
});

test("older parts come before, and what changed meanwhile stays as it is", () => {
  const transcript = new Transcript();
  transcript.add(page(3, [turn(5, "B"), line(5, "B", "e"), line(6, "B", "f")]));
  assert.deepEqual([transcript.complete, transcript.cursor, transcript.since], [false, "e:3", 5000]);
  const watch = transcript.watch();
  // A correction of something that is not there yet is not shown without its neighbours.
  transcript.apply(changes(4, { lines: [line(2, "A", "b, corrected")], gone: ["main/1"] }));
  assert.deepEqual(texts(transcript), [["e", "f"]]);
  transcript.add(page(3, [turn(1, "A"), line(1, "A", "a"), line(2, "A", "b"), line(3, "A", "c")], [turn(5, "B"), line(5, "B", "e")]), watch);
  transcript.reachesBack();
  assert.deepEqual(texts(transcript), [["b, corrected", "c"], ["e", "f"]]);
});

test("one that waits to be up to date is told, also that it waits in vain", async () => {
  const transcript = new Transcript();
  transcript.add(page(3));
  const reached = transcript.reached("e:5");
  transcript.apply(changes(4, {}));
  assert.equal(await Promise.race([reached, "not yet"]), "not yet");
  transcript.apply(changes(5, {}));
  assert.equal(await reached, true);
  const vain = transcript.reached("e:9");
  transcript.apply({ type: "reset", feed: "geneva", reason: "epoch" });
  assert.equal(await vain, false);
});

test("it begins from nothing as from a page", () => {
  const whole = page(3, [turn(1, "A"), line(1, "A", "a")], [turn(2, "B"), line(2, "B", "b"), line(3, "B", "c", { status: "interim" })]);
  const [added, told] = [new Transcript(), new Transcript()];
  added.add(structuredClone(whole));
  added.reachesBack();
  told.apply({ type: "hello", feed: "geneva", state: "live", epoch: "e", server_at: "", title: "Geneva" });
  told.apply(changes(3, { turns: [turn(1, "A"), turn(2, "B")], lines: whole.turns.flatMap(({ lines }) => lines) }));
  assert.deepEqual(picture(added), picture(told));
});
