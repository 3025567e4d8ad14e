// A hearing arrives live, with guesses, corrections and a server that dies in the midst of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, until } from "../../clients/js/test/server.mjs";
import { open } from "./browser.mjs";
import { hearing } from "./hearing.mjs";
import { announces, isAtEnd, printed, said, scrollUp, shows, top } from "./pages.mjs";

let server, browser;
before(async () => [server, browser] = [await Server.start(), await open()]);
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("every reader ends with the server's transcript, through corrections and a restart", async () => {
  const lines = hearing();
  let publisher = await server.publisher("hearing");
  const page = await browser.page(`${server.url}/feeds/hearing`);
  const sayAll = async (some) => {
    for (const [at, line] of some.entries()) {
      const half = line.text.slice(0, Math.ceil(line.text.length / 2));
      await publisher.say({ ...line, text: half, status: "interim" });
      await publisher.say(line);
      // Something said before is corrected, moves to another speaker, or is taken back.
      const before = some[Math.max(0, at - 5)];
      if (at % 7 === 3) await publisher.say({ ...before, text: `${before.text} (corrected)` });
      if (at % 11 === 5) await publisher.say({ ...before, speaker: "Somebody else" });
      if (at % 13 === 8) await publisher.say({ type: "retract", id: before.id });
    }
  };
  await sayAll(lines.slice(0, 60));
  await server.restart();
  publisher = await server.publisher("hearing");
  await sayAll(lines.slice(60));
  await publisher.say({ type: "end" });
  await page.locator("#state", { hasText: "Ended" }).waitFor();
  await page.locator("#ending", { hasText: "ended" }).waitFor();
  const expected = await said(server, "hearing");
  await until(async () => JSON.stringify(await printed(page)) === JSON.stringify(expected), "the page to be the transcript");
  const late = await browser.page(`${server.url}/feeds/hearing`);
  await until(async () => JSON.stringify(await printed(late)) === JSON.stringify(expected), "a late reader to have it");
  assert.deepEqual(await printed(late), expected);
  assert.deepEqual(browser.complaints, []);
});

test("a guess is provisional, outside the log, and becomes final where it stands", async () => {
  const publisher = await server.publisher("guess");
  await publisher.say({ id: "1", start_ms: 0, speaker: "Chair", text: "The meeting is open." });
  const page = await browser.page(`${server.url}/feeds/guess`);
  await shows(page, "The meeting is open.");
  const guess = { id: "2", start_ms: 3000, speaker: "Clerk", text: "Item one is the har" };
  await publisher.say({ ...guess, status: "interim" });
  const shown = page.locator("#interim p");
  await shown.waitFor();
  const is = await page.evaluate(() => ({
    isInLog: document.querySelector("#log").contains(document.querySelector("#interim p")),
    live: document.querySelector("#interim").getAttribute("aria-live"),
    decoration: getComputedStyle(document.querySelector("#interim p")).textDecorationLine,
    y: document.querySelector("#interim p").getBoundingClientRect().top,
  }));
  assert.deepEqual([is.isInLog, is.live, is.decoration], [false, "off", "underline"]);
  await publisher.say({ ...guess, text: "Item one is the harbour." });
  await shows(page, "Item one is the harbour.");
  const settled = await page.locator("#turns p", { hasText: "harbour" }).evaluate((node) => node.getBoundingClientRect().top);
  assert.ok(Math.abs(settled - is.y) < 1, `it stood at ${is.y} and stands at ${settled}`);
  assert.equal(await page.locator("#interim p").count(), 0);
});

test("the page lets go of one who scrolls up, says how much is new, and nothing moves meanwhile", async () => {
  const publisher = await server.publisher("follow");
  const line = (id, text) => ({ id: String(id), start_ms: id * 1000, speaker: `S${id % 3}`, text: `${text} ${id}. ${"And more. ".repeat(8)}` });
  for (let id = 1; id <= 120; id++) publisher.say(line(id, "Line"));
  await publisher.say(line(121, "Line"));
  const page = await browser.page(`${server.url}/feeds/follow`);
  await shows(page, "Line 121.");
  await until(() => isAtEnd(page));
  await publisher.say(line(122, "Line"));
  await shows(page, "Line 122.");
  assert.ok(await isAtEnd(page), "it follows");
  await scrollUp(page, 2500);
  const before = await top(page);
  for (let id = 123; id <= 134; id++) await publisher.say(line(id, "Line"));
  await page.locator("#new", { hasText: "12 new" }).waitFor();
  const still = await top(page);
  assert.deepEqual([still.text, Math.abs(still.y - before.y) < 1], [before.text, true], `${before.y} became ${still.y}`);
  // What is corrected above grows, and what is read stays.
  const above = Number(before.text.match(/\d+/)[0]) - 4;
  await publisher.say({ ...line(above, "Line"), text: `Line ${above}. ${"Much longer than it was. ".repeat(60)}` });
  await publisher.say({ type: "retract", id: String(above - 1) });
  await publisher.say(line(135, "Line"));
  await page.locator("#new", { hasText: "13 new" }).waitFor();
  const now = await top(page);
  assert.deepEqual([now.text, Math.abs(now.y - before.y) < 1], [before.text, true], `${before.y} became ${now.y}`);
  await page.click("#new");
  await shows(page, "Line 135.");
  await until(() => isAtEnd(page));
  assert.equal(await page.locator("#new").isVisible(), false);
});

test("older turns fill in above the newest without moving them", async () => {
  const publisher = await server.publisher("filling");
  for (let id = 1; id < 1500; id++) publisher.say({ id: String(id), start_ms: id * 1000, speaker: `S${id % 4}`, text: `Line ${id}, with some words.` });
  await publisher.say({ id: "1500", start_ms: 1_500_000, speaker: "S1", text: "The newest line." });
  const page = await browser.page();
  // Older turns are held back until the newest have been seen.
  let release;
  const held = new Promise((then) => (release = then));
  await page.route(/transcript\.json\?.*to_ms/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${server.url}/feeds/filling`);
  await shows(page, "The newest line.");
  await scrollUp(page, 600);
  const before = await top(page);
  release();
  await page.waitForFunction(() => document.querySelector("#turns > li").ariaSetSize === "1500");
  const now = await top(page);
  assert.deepEqual([now.text, Math.abs(now.y - before.y) < 1], [before.text, true], `${before.y} became ${now.y}`);
  await page.keyboard.press("b");
  await shows(page, "Line 1, with");
});

test("screen readers are told of what is new and final, and of nothing else, unless silenced", async () => {
  const publisher = await server.publisher("told");
  await publisher.say({ id: "1", start_ms: 0, speaker: "Chair", text: "The first." });
  const page = await browser.page();
  await page.addInitScript(() => {
    globalThis.told = [];
    document.addEventListener("DOMContentLoaded", () => {
      const log = document.querySelector("#log");
      new MutationObserver((changes) => {
        if (log.getAttribute("aria-live") !== "polite") return;
        for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) globalThis.told.push(node.textContent);
      }).observe(log, { childList: true, subtree: true });
    });
  });
  await page.goto(`${server.url}/feeds/told`);
  await announces(page);
  assert.deepEqual(await page.evaluate(() => [document.querySelector("#log").role, globalThis.told]), ["log", []]);
  await publisher.say({ id: "2", start_ms: 1000, speaker: "Chair", text: "The sec", status: "interim" });
  await publisher.say({ id: "2", start_ms: 1000, speaker: "Chair", text: "The second." });
  await shows(page, "The second.");
  await publisher.say({ id: "1", start_ms: 0, speaker: "Chair", text: "The first, corrected." });
  await shows(page, "corrected");
  assert.deepEqual(await page.evaluate(() => globalThis.told), ["The second."]);
  await page.keyboard.press("s");
  await page.locator("text=Tell screen readers").click();
  await page.waitForFunction(() => document.querySelector("#log").getAttribute("aria-live") === "off");
});

test("two tabs, and the settings of one in the other", async () => {
  const publisher = await server.publisher("tabs");
  await publisher.say({ id: "1", start_ms: 0, text: "One." });
  const [one, two] = [await browser.page(`${server.url}/feeds/tabs`), await browser.page(`${server.url}/feeds/tabs`)];
  await one.bringToFront();
  await one.keyboard.press("s");
  await one.locator("text=White on black").click();
  await one.keyboard.press("Escape");
  await one.keyboard.press("+");
  await two.bringToFront();
  await two.waitForFunction(() => document.documentElement.dataset.theme === "black");
  const style = () => two.evaluate(() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.documentElement).getPropertyValue("--size")]);
  assert.deepEqual(await style(), ["rgb(0, 0, 0)", "1.1"]);
  await two.reload();
  await shows(two, "One.");
  assert.deepEqual(await style(), ["rgb(0, 0, 0)", "1.1"]);
  await publisher.say({ id: "2", start_ms: 1000, text: "Two." });
  await shows(two, "Two.");
  await one.bringToFront();
  await shows(one, "Two.");
  await one.evaluate(() => localStorage.clear());
});

test("offline and back: it is said calmly, and nothing is missing", async () => {
  const publisher = await server.publisher("offline");
  await publisher.say({ id: "1", start_ms: 0, speaker: "Chair", text: "Before." });
  const page = await browser.page(`${server.url}/feeds/offline`);
  await shows(page, "Before.");
  await browser.context.setOffline(true);
  await page.locator("#state", { hasText: "Offline" }).waitFor();
  assert.ok(await page.locator("#turns p", { hasText: "Before." }).isVisible(), "what was read stays");
  await publisher.say({ id: "2", start_ms: 1000, speaker: "Chair", text: "Meanwhile." });
  await browser.context.setOffline(false);
  await page.locator("#state", { hasText: "Live" }).waitFor();
  await shows(page, "Meanwhile.");
});

test("a server that is gone is waited for, and the picture stays", async () => {
  const publisher = await server.publisher("gone");
  await publisher.say({ id: "1", start_ms: 0, speaker: "Chair", text: "Before." });
  const page = await browser.page(`${server.url}/feeds/gone`);
  await shows(page, "Before.");
  const port = Number(new URL(server.url).port);
  await server.kill();
  await page.locator("#state", { hasText: "Reconnecting" }).waitFor();
  assert.match(await page.locator("#notice").textContent(), /Nothing will be missing/);
  assert.ok(await page.locator("#turns p", { hasText: "Before." }).isVisible());
  await server.run(port);
  await page.locator("#state", { hasText: "Live" }).waitFor({ timeout: 40_000 });
  assert.equal(await page.locator("#notice").isVisible(), false);
});

test("paused, not begun, ended, not there, and back again", async () => {
  const page = await browser.page(`${server.url}/feeds/states`);
  const state = (text) => page.locator("#state", { hasText: text }).waitFor();
  await state("Waiting");
  await server.ask("PUT", "/v1/feeds/states", { title: "The states" });
  await state("Not started");
  const publisher = await server.publisher("states");
  await publisher.say({ id: "1", start_ms: 0, text: "One." });
  await state("Live");
  assert.equal(await page.locator("h1").textContent(), "The states");
  for (const [wanted, word, ending] of [["paused", "Paused", /go on here/], ["ended", "Ended", /have ended/], ["live", "Live", /^$/]]) {
    await server.ask("POST", "/v1/feeds/states/state", { state: wanted });
    await state(word);
    await until(async () => ending.test((await page.locator("#ending").textContent()) ?? ""));
  }
});
