// The reader against the real server: whatever is cut, it ends as the server's own transcript.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { Reader } from "../dist/index.js";
import { chance, expected, picture } from "./picture.mjs";
import { Server, until } from "./server.mjs";

let server;
const readers = [];
before(async () => (server = await Server.start()));
after(async () => {
  readers.forEach((reader) => reader.close());
  await server.stop();
});

function read(feed, options = {}) {
  const reader = new Reader({ url: server.url, feed, WebSocket, ...options });
  readers.push(reader);
  return reader;
}

const page = (feed) => server.ask("GET", `/v1/feeds/${feed}/transcript.json?interim=true`);

/** Waits until the reader is where the server is, and compares what both show. */
async function converges(reader, feed) {
  const now = await page(feed);
  await until(() => reader.transcript.cursor === now.cursor && reader.transcript.whole, `${feed} at ${now.cursor}`);
  const same = await page(feed);
  if (same.cursor !== now.cursor) return converges(reader, feed);
  assert.deepEqual(picture(reader.transcript), expected(now));
}

/** One thing that may happen on a feed. */
function happening({ below, pick }, known) {
  const speakers = ["Chair", "Ines Marlow", "Reporter", null];
  const id = known.length && below(3) === 0 ? pick(known) : String(known.length + 1);
  if (below(12) === 0 && known.length) return { type: "retract", id: pick(known) };
  if (!known.includes(id)) known.push(id);
  const start = below(10) === 0 ? below(known.length) * 700 : Number(id) * 1000;
  const status = below(3) === 0 ? "interim" : "final";
  return { id, start_ms: start, speaker: pick(speakers), text: `${id}: ${"word ".repeat(1 + below(20))}`, status };
}

test("it converges, wherever its connection is cut", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const [random, known, feed] = [chance(seed), [], `cuts-${seed}`];
    const publisher = await server.publisher(feed);
    const cut = read(feed, seed % 2 ? {} : { last: 3 });
    for (let round = 0; round < 40; round++) {
      await publisher.say(...Array.from({ length: 1 + random.below(8) }, () => happening(random, known)));
      if (random.below(4) === 0) cut.drop();
      if (random.below(2) === 0) cut.hurry();
      if (random.below(6) === 0 && cut.transcript.cursor) void cut.older(1 + random.below(5)).catch(() => {});
    }
    cut.hurry();
    while (!cut.transcript.complete) await cut.older(4);
    await converges(cut, feed);
    // One that never looked away, and one that joins late, see the same.
    const late = read(feed);
    await converges(late, feed);
    [cut, late, publisher].forEach((one) => one.close());
  }
});

test("older turns fill in while they are corrected and taken back", async () => {
  const publisher = await server.publisher("filling");
  const line = (id, text) => ({ id: String(id), start_ms: id * 500 - (id % 7 === 0 ? 500 : 0), speaker: id % 3 ? "A" : "B", text });
  for (let id = 1; id <= 600; id++) publisher.say(line(id, `line ${id}`));
  await publisher.say(line(601, "line 601"));
  const reader = read("filling", { last: 5 });
  await until(() => reader.transcript.whole);
  assert.ok(reader.transcript.size < 60 && !reader.transcript.complete, `${reader.transcript.size} lines at first`);
  const random = chance(7);
  for (let more = true; more; ) {
    const older = reader.older(20);
    await publisher.say(
      line(1 + random.below(600), "corrected"), { type: "retract", id: String(1 + random.below(600)) },
      { ...line(1 + random.below(600), "moved to another"), speaker: "C" },
    );
    more = await older;
  }
  await converges(reader, "filling");
});

test("many turns that begin at one moment are all brought", async () => {
  const publisher = await server.publisher("moment");
  for (let id = 1; id < 60; id++) publisher.say({ id: String(id), start_ms: 1000, speaker: `S${id}`, text: `line ${id}` });
  await publisher.say({ id: "60", start_ms: 2000, speaker: "S60", text: "last" });
  const reader = read("moment", { last: 4 });
  await until(() => reader.transcript.whole);
  while (await reader.older(4));
  await converges(reader, "moment");
});

test("a restart of the server in the midst of it goes unnoticed", async () => {
  const random = chance(11);
  const known = [];
  let publisher = await server.publisher("restart");
  const [reader, recent] = [read("restart"), read("restart", { last: 2 })];
  await publisher.say(...Array.from({ length: 30 }, () => happening(random, known)));
  await until(() => reader.transcript.size && recent.transcript.whole);
  await server.restart();
  await until(() => reader.state === "waiting" && recent.state === "waiting");
  // It takes back what the one before it said.
  publisher = await server.publisher("restart", "?corrects=true");
  await publisher.say(...Array.from({ length: 30 }, () => happening(random, known)));
  [reader, recent].forEach((one) => one.hurry());
  await converges(reader, "restart");
  while (await recent.older(3));
  await converges(recent, "restart");
});

test("a feed that is replaced begins anew, whichever way one began", async () => {
  const said = (text) => `Chair: (00:01)\n${text}\n\nClerk: (00:05)\nYes.\n`;
  await server.import("replaced", said("One."));
  const [whole, newest] = [read("replaced"), read("replaced", { last: 1 })];
  await until(() => whole.transcript.whole && newest.transcript.whole);
  await server.import("replaced", said("Another life."), "?replace=true");
  await until(() => newest.transcript.finals[0]?.text === "Another life.");
  await converges(whole, "replaced");
  await converges(newest, "replaced");
  assert.ok(newest.transcript.complete);
});

test("it waits for a feed, or is told that there is none", async () => {
  const refused = read("nowhere", { wait: false });
  await until(() => refused.state === "refused");
  assert.equal(refused.code, 4502);
  const byPage = read("nowhere", { wait: false, last: 3 });
  await until(() => byPage.state === "refused");
  assert.equal(byPage.code, 404);
  const waiting = read("later", { last: 3 });
  await until(() => waiting.state === "open");
  const publisher = await server.publisher("later");
  await publisher.say({ id: "1", start_ms: 0, speaker: "A", text: "at last" });
  await until(() => waiting.transcript.finals[0]?.text === "at last");
});

test("a replay is steered, and ends", async () => {
  await server.import("play", Array.from({ length: 9 }, (_, i) => `S${i}: (00:0${i + 1})\nLine ${i}.\n`).join("\n"));
  const answers = [];
  const reader = read("play", { pace: "step", onmessage: (message) => message.type === "replay" && answers.push(message) });
  await until(() => reader.state === "open");
  reader.steer({ type: "seek", media_ms: 4000 });
  await until(() => answers.length === 1 && reader.transcript.finals.length === 3);
  for (let steps = 1; reader.transcript.finals.length < 5; steps++) {
    reader.steer({ type: "step" });
    await until(() => answers.length === 1 + steps);
  }
  assert.deepEqual(reader.transcript.finals.map(({ text }) => text).slice(-2), ["Line 3.", "Line 4."]);
  reader.steer({ type: "pace", pace: "max" });
  await until(() => reader.state === "done");
  assert.equal(reader.transcript.finals.length, 9);
});

test("a token is sent, and its refusal is said", async () => {
  const hash = "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"; // "admin"
  const locked = await Server.start({
    config: `[auth]\n[[auth.tokens]]\nname = "all"\nsha256 = "${hash}"\nroles = ["publish", "create", "subscribe"]\nfeeds = ["*"]\n`,
  });
  try {
    const publisher = await locked.publisher("secret", "?token=admin");
    await publisher.say({ id: "1", start_ms: 0, text: "quietly" });
    const let_in = read("secret", { url: locked.url, token: async () => "admin", last: 2 });
    await until(() => let_in.transcript.finals.length === 1 && let_in.state === "open");
    for (const options of [{}, { token: "wrong" }, { last: 2 }, { last: 2, token: "wrong" }]) {
      const kept_out = read("secret", { url: locked.url, ...options });
      await until(() => kept_out.state === "refused");
      assert.ok([4500, 401].includes(kept_out.code) && kept_out.reason, JSON.stringify(options));
    }
  } finally {
    await locked.stop();
  }
});

test("a heartbeat that is ahead tells that something was lost", async () => {
  const sockets = [];
  const fake = new WebSocketServer({ port: 0 });
  fake.on("connection", (socket, request) => {
    sockets.push(new URL(request.url, "http://x").searchParams.get("from"));
    const say = (message) => socket.send(JSON.stringify({ feed: "f", ...message }));
    say({ type: "changes", cursor: "e:3", lines: [] });
    if (sockets.length === 1) say({ type: "heartbeat", cursor: "e:4", server_at: "" });
  });
  const reader = read("f", { url: `http://127.0.0.1:${fake.address().port}` });
  await until(() => reader.state === "waiting");
  reader.hurry();
  await until(() => sockets.length === 2);
  assert.deepEqual(sockets, ["start", "e:3"]);
  reader.close();
  fake.close();
});

test("where there is no server it waits longer each time, and stops when closed", async () => {
  const probe = createServer().listen(0);
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  const states = [];
  const reader = read("f", { url: `http://127.0.0.1:${port}`, onchange: ({ state }) => states.push(state) });
  await until(() => states.includes("waiting"));
  const count = states.length;
  reader.close();
  reader.hurry();
  assert.equal(states.length, count);
});
