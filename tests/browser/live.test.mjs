// A hearing arrives live, with guesses, corrections and a server that dies in the midst of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, until } from "../../clients/js/test/server.mjs";
import { open } from "./browser.mjs";
import { Cable } from "./cable.mjs";
import { event } from "./hearing.mjs";
import { announces, isAtEnd, isStill, printed, said, scrollUp, shows, top } from "./pages.mjs";

let server, browser;
before(async () => [server, browser] = [await Server.start(), await open()]);
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("an event arrives live, with guesses, corrections and a restart, and every reader ends with the server's transcript", async () => {
  const lines = event();
  let publisher = await server.publisher("event");
  const page = await browser.page(`${server.url}/feeds/event`);
  const sayAll = async (some) => {
    for (const [at, line] of some.entries()) {
      // Guesses grow word by word, and the last word of each turns out to be another.
      const words = line.text.split(" ");
      for (const part of [1 / 3, 2 / 3]) {
        const said = words.slice(0, Math.ceil(words.length * part));
        await publisher.say({ ...line, speaker: part < 0.5 ? "Unknown" : line.speaker, text: `${said.join(" ")}ing`, status: "interim" });
      }
      await publisher.say(line);
      // Something said before is corrected, moves to another speaker, or is taken back.
      const before = some[Math.max(0, at - 5)];
      if (at % 7 === 3) await publisher.say({ ...before, text: `${before.text} (corrected)` });
      if (at % 11 === 5) await publisher.say({ ...before, speaker: "Somebody else" });
      if (at % 13 === 8) await publisher.say({ type: "retract", id: before.id });
    }
  };
  const [first, middle] = [Math.floor(lines.length / 3), Math.floor(lines.length / 2)];
  await sayAll(lines.slice(0, first));
  // One who reads above, where nothing is corrected any more.
  const above = await browser.page(`${server.url}/feeds/event`);
  await above.locator("#turns p").first().waitFor();
  await scrollUp(above, 3_000);
  const place = await top(above);
  await sayAll(lines.slice(first, middle));
  await publisher.say({ ...lines[middle], text: lines[middle].text.slice(0, 20), status: "interim" });
  await server.restart();
  publisher = await server.publisher("event");
  await sayAll(lines.slice(middle));
  await publisher.say({ type: "end" });
  await page.locator("#state", { hasText: "Ended" }).waitFor();
  await page.locator("#ending", { hasText: "ended" }).waitFor();
  const expected = await said(server, "event");
  await until(async () => JSON.stringify(await printed(page)) === JSON.stringify(expected), "the page to be the transcript");
  // Nobody lost their place.
  await above.bringToFront();
  await until(async () => JSON.stringify(await printed(above)) === JSON.stringify(expected), "the other page to be the transcript");
  await isStill(above, place);
  // What the server writes for people says the same words in the same order.
  const text = (await server.ask("GET", "/v1/feeds/event/transcript.txt")).replace(/\s+/g, " ");
  let from = 0;
  for (const line of (await printed(page)).flatMap(({ lines }) => lines)) {
    from = text.indexOf(line.replace(/\s+/g, " ").trim(), from);
    assert.ok(from >= 0, line);
  }
  const twice = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const keys = [...document.querySelectorAll("#turns p")].map(({ dataset }) => dataset.key);
    return [ids, keys].flatMap((some) => some.filter((one, at) => some.indexOf(one) !== at));
  });
  assert.deepEqual(twice, []);
  const late = await browser.page(`${server.url}/feeds/event`);
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

test("a guess that grows moves no word that is there, nor does it when it is settled", async () => {
  const publisher = await server.publisher("grows");
  const page = await browser.page(`${server.url}/feeds/grows`);
  const words = "The gates need piers and the piers need a road for the maintenance lorry which for another eleven per cent of the cost becomes a bridge you can walk and cycle over".split(" ");
  const line = { id: "1", start_ms: 0, speaker: "Chair" };
  const placed = (selector) => page.locator(selector).evaluate((node) => {
    // One that was replaced since it was found has no place.
    if (node.getClientRects().length === 0) return null;
    // Where each word begins.
    const found = [];
    const text = node.firstChild;
    for (const { index } of text.data.matchAll(/\S+/g)) {
      const range = new Range();
      range.setStart(text, index);
      range.setEnd(text, index + 1);
      const { left, top } = range.getBoundingClientRect();
      found.push(`${left.toFixed(1)} ${(top - node.getBoundingClientRect().top).toFixed(1)}`);
    }
    return found;
  });
  const rows = (selector) => until(() => placed(selector), `${selector} to have a place`);
  let before = [];
  for (let count = 1; count <= words.length; count++) {
    await publisher.say({ ...line, text: words.slice(0, count).join(" "), status: "interim" });
    await page.locator("#interim p", { hasText: new RegExp(`${words[count - 1]}$`) }).waitFor();
    const now = await rows("#interim p");
    assert.deepEqual(now.slice(0, before.length), before, words.slice(0, count).join(" "));
    before = now;
  }
  await publisher.say({ ...line, text: words.join(" ") });
  await shows(page, words.at(-1));
  assert.deepEqual(await rows("#turns p"), before);
});

test("new text comes up smoothly, and stands at once for who wants no motion", async () => {
  const publisher = await server.publisher("smooth");
  const say = (id) => publisher.say({ id: String(id), start_ms: id * 1000, speaker: `S${id % 2}`, text: `Line ${id}, of some length.` });
  for (let id = 1; id <= 40; id++) await say(id);
  for (const [reducedMotion, moves] of [["no-preference", true], ["reduce", false]]) {
    const page = await browser.page();
    await page.emulateMedia({ reducedMotion });
    await page.addInitScript(() => {
      globalThis.moved = [];
      const animate = Element.prototype.animate;
      Element.prototype.animate = function (frames, options) {
        globalThis.moved.push([frames[0].transform, options.duration]);
        return animate.call(this, frames, options);
      };
    });
    await page.goto(`${server.url}/feeds/smooth`);
    await shows(page, "of some length.");
    await until(() => isAtEnd(page));
    const id = moves ? 41 : 51;
    for (let more = 0; more < 3; more++) {
      await say(id + more);
      await shows(page, `Line ${id + more},`);
    }
    const moved = await page.evaluate(() => globalThis.moved);
    assert.equal(moved.length > 0, moves, JSON.stringify(moved));
    // From no further than it is high, and briefly.
    for (const [from, duration] of moved) assert.ok(/^translateY\((\d|\d\d|1\d\d)(\.\d+)?px\)$/.test(from) && duration <= 200, `${from} ${duration}`);
    await until(() => page.evaluate(() => document.getAnimations().length === 0));
    assert.ok(await isAtEnd(page));
    await page.close();
  }
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
  await isStill(page, before);
  // What is corrected above grows, and what is read stays.
  const above = Number(before.text.match(/\d+/)[0]) - 4;
  await publisher.say({ ...line(above, "Line"), text: `Line ${above}. ${"Much longer than it was. ".repeat(60)}` });
  await publisher.say({ type: "retract", id: String(above - 1) });
  await publisher.say(line(135, "Line"));
  await page.locator("#new", { hasText: "13 new" }).waitFor();
  await isStill(page, before);
  // Nor do fractions of pixels add up.
  for (let times = 1; times <= 40; times++) await publisher.say({ ...line(above, "Line"), text: `Line ${above}. ${"Longer. ".repeat(times * 5)}` });
  await shows(page, `Line ${above}. ${"Longer. ".repeat(200)}`.trim());
  await isStill(page, before);
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
  await isStill(page, before);
  await page.keyboard.press("b");
  await shows(page, "Line 1, with");
});

test("a key leads to another turn also in the moment in which older ones come in", async () => {
  const publisher = await server.publisher("moment");
  for (let id = 1; id < 300; id++) publisher.say({ id: String(id), start_ms: id * 1000, speaker: `S${id % 4}`, text: `Line ${id}. ${"And more. ".repeat(8)}` });
  await publisher.say({ id: "300", start_ms: 300_000, speaker: "S1", text: "The newest line." });
  const page = await browser.page();
  let release;
  const held = new Promise((then) => (release = then));
  await page.route(/transcript\.json\?.*to_ms/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${server.url}/feeds/moment`);
  await shows(page, "The newest line.");
  await until(() => isAtEnd(page));
  // They are there, and no frame has drawn them.
  await page.evaluate(() => {
    globalThis.frames_ = [];
    globalThis.requestAnimationFrame = (draw) => globalThis.frames_.push(draw);
  });
  release();
  await until(() => page.evaluate(() => globalThis.frames_.length > 0));
  const before = await page.evaluate(() => document.querySelector("#turns > li:last-child").getBoundingClientRect().top);
  await page.keyboard.press("k");
  const after = await page.evaluate(() => document.querySelector("#turns > li:last-child").getBoundingClientRect().top);
  assert.ok(after > before + 50 && after < before + 1_000, `${before} became ${after}`);
});

test("who goes to the end gets there, whatever the bar does in that moment", async () => {
  const publisher = await server.publisher("bar");
  for (let id = 1; id < 90; id++) publisher.say({ id: String(id), start_ms: id * 1000, speaker: `S${id % 4}`, text: `Line ${id}. ${"And more. ".repeat(8)}` });
  await publisher.say({ id: "90", start_ms: 90_000, speaker: "S1", text: "The newest line." });
  const page = await browser.page(`${server.url}/feeds/bar`);
  await shows(page, "The newest line.");
  await until(() => isAtEnd(page));
  await page.keyboard.press("/");
  await scrollUp(page, 1_500);
  // The bar gives back what it took, which moves the page; before anybody heard of that, the reader is on the way.
  await page.evaluate(() => new Promise((done) => {
    let height = document.querySelector("#bar").offsetHeight;
    new ResizeObserver(() => {
      if (document.querySelector("#bar").offsetHeight === height) return;
      height = document.querySelector("#bar").offsetHeight;
      document.querySelector("#new").click();
      done();
    }).observe(document.querySelector("#bar"));
    requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector("#find-close").click()));
  }));
  await until(() => isAtEnd(page), "the end");
  await page.locator("#new").waitFor({ state: "hidden" });
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

test("a cable that is cut, or lets nothing through, moves no text, and nothing is missing", async () => {
  const cable = await Cable.to(server);
  try {
    const publisher = await server.publisher("cable");
    const line = (id, text) => ({ id: String(id), start_ms: id * 1000, speaker: `S${id % 3}`, text: `${text} ${id}. ${"And more. ".repeat(8)}` });
    for (let id = 1; id <= 60; id++) publisher.say(line(id, "Line"));
    await publisher.say(line(61, "Line"));
    const [above, below] = [await browser.page(`${cable.url}/feeds/cable`), await browser.page(`${cable.url}/feeds/cable`)];
    await shows(below, "Line 61.");
    await above.bringToFront();
    await shows(above, "Line 61.");
    await scrollUp(above, 1_500);
    const before = await top(above);
    cable.cut();
    await above.locator("#notice", { hasText: "Nothing will be missing" }).waitFor();
    await isStill(above, before, "with the notice");
    await below.bringToFront();
    await below.locator("#notice", { hasText: "Nothing will be missing" }).waitFor();
    await until(() => isAtEnd(below), "the last words to be seen, for all the notice");
    await publisher.say(line(62, "Line"));
    cable.mend();
    await shows(below, "Line 62.");
    await until(() => isAtEnd(below));
    await above.bringToFront();
    await above.locator("#new", { hasText: "1 new" }).waitFor();
    await above.locator("#notice").waitFor({ state: "hidden" });
    await isStill(above, before, "without the notice");
    // Nothing comes, and nothing breaks: what is silent for too long is taken for lost.
    await below.bringToFront();
    cable.silence();
    await publisher.say(line(63, "Line"));
    await below.evaluate(() => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + 30_000;
    });
    await below.locator("#state", { hasText: "Reconnecting" }).waitFor({ timeout: 15_000 });
    cable.mend();
    await shows(below, "Line 63.");
    await below.locator("#state", { hasText: "Live" }).waitFor();
    assert.deepEqual(browser.complaints, []);
  } finally {
    cable.close();
  }
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
