// What needs no page: times as people write them, rows of captions, settings that make no sense.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";

async function load(name) {
  const { outputFiles } = await build({
    entryPoints: [new URL(`../src/${name}.ts`, import.meta.url).pathname], bundle: true, format: "esm", write: false,
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

test("times are read as people write them", async () => {
  const { parse, clock, spoken } = await load("time");
  for (const [text, expected] of [
    ["28:00", 1_680_000], ["1:02:03", 3_723_000], ["95", 95_000], ["28m", 1_680_000], ["1h 2m", 3_720_000], ["45 s", 45_000],
    ["", null], ["soon", null], ["1:2:3:4", null], ["28:000", null], ["-5", null],
  ]) assert.equal(parse(text), expected, text);
  for (const ms of [0, 59_000, 60_000, 3_599_000, 3_600_000, 36_061_000]) assert.equal(parse(clock(ms)), ms);
  assert.deepEqual([spoken(3_661_000), spoken(0), spoken(120_000)], ["1 hour 1 minute 1 second", "0 seconds", "2 minutes"]);
});

test("text is cut into rows between words, by characters as people count them", async () => {
  const { cut, lastRows } = await load("rows");
  assert.deepEqual(cut("one two three four", 9), ["one two", "three", "four"]);
  assert.deepEqual(cut("  one   two ", 7), ["one two"]);
  assert.deepEqual(cut("a incomprehensible b", 6), ["a", "incomp", "rehens", "ible b"]);
  assert.deepEqual(cut("👩‍👩‍👧 e\u0301e\u0301", 4), ["👩‍👩‍👧 e\u0301e\u0301"]);
  assert.deepEqual(cut("", 5), []);
  const turns = [{ prefix: "A: ", text: "one two" }, { prefix: ">> ", text: "three" }];
  assert.deepEqual(lastRows(turns, 2, 8), ["two", ">> three"]);
  assert.deepEqual(lastRows(turns, 1, 8), [">> three"]);
});

test("what is shown over a picture has no times in its notes", async () => {
  const { withoutTimes } = await load("rows");
  for (const [text, expected] of [
    ["and [crosstalk 00:59:46] easy", "and [crosstalk] easy"], ["[Penhalt 1:52], you", "[Penhalt], you"],
    ["(applause 00:10:00) Thank you.", "(applause) Thank you."], ["at 10:30 [sic] it was (10:30)", "at 10:30 [sic] it was (10:30)"],
  ]) assert.equal(withoutTimes(text), expected);
});

test("settings that make no sense are as usual, and extremes are held", async () => {
  Object.assign(globalThis, {
    document: { documentElement: { dataset: {}, style: { setProperty() {} } } }, addEventListener() {},
    localStorage: { getItem: () => "{ no JSON", setItem() {} },
  });
  const { sane, settings, USUAL } = await load("settings");
  assert.deepEqual(settings(), USUAL);
  assert.deepEqual(sane({ theme: "pink", size: 9999, leading: "tall", keys: false }), { ...USUAL, size: 400, keys: false });
});
