// How fast the pages are on this machine: `sh scripts/browser.sh measure`. Figures, and no tests: machines differ.
import { Server, until } from "../../clients/js/test/server.mjs";
import { open } from "./browser.mjs";
import { manyTurns } from "./hearing.mjs";
import { isAtEnd, shows } from "./pages.mjs";

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const worst = (values) => Math.max(...values);
const ms = (values) => `${median(values).toFixed(1)} ms at the median, ${worst(values).toFixed(1)} ms at most`;

const server = await Server.start();
const browser = await open();
try {
  await reach();
  await updates();
  await eightHours();
  await manyFeeds();
} finally {
  await browser.close();
  await server.stop();
}

/** From navigation until the newest turn is painted, and until all 5,000 lines are there. */
async function reach() {
  await server.import("reach", manyTurns(2_500));
  await server.ask("POST", "/v1/feeds/reach/state", { state: "live" });
  const [newest, all] = [[], []];
  for (let round = 0; round < 12; round++) {
    const page = await browser.page();
    await page.addInitScript(() => {
      const look = () => {
        const turns = document.querySelectorAll("#turns > li");
        if (!globalThis.newest && turns.length && turns[turns.length - 1].textContent.includes("Turn 2499")) globalThis.newest = performance.now();
        if (turns[0]?.ariaSetSize === "2500") return (globalThis.all = performance.now());
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(`${server.url}/feeds/reach`);
    await page.waitForFunction(() => globalThis.all);
    newest.push(await page.evaluate(() => globalThis.newest));
    all.push(await page.evaluate(() => globalThis.all));
    await page.close();
  }
  // The first one starts the browser's processes.
  console.log(`newest turns of 5,000 lines after navigation: ${ms(newest.slice(1))}; all of them: ${ms(all.slice(1))}`);
}

/** With 10,000 turns held: how long a line takes from the socket to the document, and the script that it costs. */
async function updates() {
  await server.import("updates", manyTurns(10_000));
  await server.ask("POST", "/v1/feeds/updates/state", { state: "live" });
  const publisher = await server.publisher("updates");
  const page = await browser.page();
  await page.addInitScript(() => {
    globalThis.delays = [];
    const Native = WebSocket;
    globalThis.WebSocket = class extends Native {
      set onmessage(then) {
        super.onmessage = then && ((event) => {
          if (event.data.includes("Measured")) globalThis.since = performance.now();
          then(event);
        });
      }
    };
    document.addEventListener("DOMContentLoaded", () => new MutationObserver((changes) => {
      const isIt = changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.textContent?.includes("Measured")));
      if (isIt && globalThis.since) requestAnimationFrame(() => {
        if (globalThis.since) globalThis.delays.push(performance.now() - globalThis.since);
        globalThis.since = 0;
      });
    }).observe(document.querySelector("#turns"), { childList: true, subtree: true }));
  });
  await page.goto(`${server.url}/feeds/updates`);
  await page.waitForFunction(() => document.querySelector("#turns > li")?.ariaSetSize === "10000", null, { timeout: 60_000 });
  await until(() => isAtEnd(page));
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const spent = async () => {
    const { metrics } = await cdp.send("Performance.getMetrics");
    const of = (name) => metrics.find((metric) => metric.name === name).value * 1000;
    return { script: of("ScriptDuration"), layout: of("LayoutDuration") + of("RecalcStyleDuration") };
  };
  const [script, layout, whole] = [[], [], []];
  await new Promise((then) => setTimeout(then, 1_000));
  for (let count = 0; count < 60; count++) {
    const text = `Measured ${count}. Some words that are said at the end of a long event.`;
    const [before, began] = [await spent(), performance.now()];
    await publisher.say({ id: `m${count}`, start_ms: 60_000_000 + count * 1000, speaker: `S${count % 5}`, text });
    await shows(page, `Measured ${count}.`);
    whole.push(performance.now() - began);
    await page.waitForFunction((n) => globalThis.delays.length > n, count);
    const after = await spent();
    script.push(after.script - before.script);
    layout.push(after.layout - before.layout);
  }
  const delays = await page.evaluate(() => globalThis.delays);
  console.log(`10,000 turns, script for each line: ${ms(script)} (with what the measuring itself runs); style and layout: ${ms(layout)}`);
  console.log(`10,000 turns, a line from the socket to the frame that shows it: ${ms(delays)}; from the publisher to the test: ${ms(whole)}`);
  await page.close();
}

/** The list of very many feeds, and what its first page weighs. */
async function manyFeeds() {
  const FEEDS = 10_000;
  for (let n = 0; n < FEEDS; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => server.import(`f${n + i}`, `Chair: (00:01)\nThis is feed ${n + i}.\n`)));
  }
  const [listed, shown] = [[], []];
  let bytes = 0;
  for (let round = 0; round < 12; round++) {
    const began = performance.now();
    bytes = (await (await fetch(`${server.url}/v1/feeds?limit=50`)).arrayBuffer()).byteLength;
    listed.push(performance.now() - began);
    const page = await browser.page();
    await page.addInitScript(() => {
      const look = () => (document.querySelectorAll(".feed").length === 50 ? (globalThis.listed = performance.now()) : requestAnimationFrame(look));
      requestAnimationFrame(look);
    });
    await page.goto(`${server.url}/`);
    await page.waitForFunction(() => globalThis.listed);
    shown.push(await page.evaluate(() => globalThis.listed));
    await page.close();
  }
  console.log(`${FEEDS} feeds: the server lists the first fifty (${bytes} bytes) in ${ms(listed.slice(1))}; on screen after navigation: ${ms(shown.slice(1))}`);
}

/** What a feed of eight hours costs: 28,800 lines, one a second. */
async function eightHours() {
  const LINES = 28_800;
  const publisher = await server.publisher("hours");
  const page = await browser.page(`${server.url}/feeds/hours`);
  const cdp = await page.context().newCDPSession(page);
  const heap = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return (await cdp.send("Runtime.getHeapUsage")).usedSize;
  };
  await publisher.say({ id: "0", start_ms: 0, speaker: "S0", text: "It begins." });
  await shows(page, "It begins.");
  const before = await heap();
  let nodes = 0;
  for (let from = 1; from <= LINES; from += 480) {
    const lines = Array.from({ length: Math.min(480, LINES - from + 1) }, (_, i) => from + i);
    await publisher.say(...lines.map((id) => ({
      id: String(id), start_ms: id * 1000, end_ms: id * 1000 + 900, speaker: `S${Math.floor(id / 5) % 9}`,
      text: `Line ${id}. Some ten or twelve words that somebody has said in this second of it.`,
    })));
    nodes = Math.max(nodes, await page.evaluate(() => document.getElementsByTagName("*").length));
  }
  await shows(page, `Line ${LINES}.`);
  const after = await heap();
  console.log(`eight hours, ${LINES} lines: ${((after - before) / LINES).toFixed(0)} bytes of heap for each line, ${nodes} elements at most`);
}
