// What readers do with a transcript: look, find, link, filter, copy, save, play again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Server, until } from "../../clients/js/test/server.mjs";
import { open } from "./browser.mjs";
import { hearingFile, manyTurns } from "./hearing.mjs";
import { isAtEnd, printed, shows, top } from "./pages.mjs";

let server, browser;
before(async () => {
  [server, browser] = [await Server.start(), await open()];
  await server.import("hearing", hearingFile());
  await server.import("long", manyTurns(3000));
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("a link to a line leads there, also after the line was corrected, and to its place when it is taken back", async () => {
  const publisher = await server.publisher("links");
  const said = (id, text) => ({ id: String(id), start_ms: id * 60_000, speaker: `S${id % 3}`, text: `${text} ${id}. ${"Words. ".repeat(40)}` });
  for (let id = 1; id <= 300; id++) publisher.say(said(id, "Line"));
  await publisher.say(said(42, "Corrected line"));
  const led = (page) => page.locator(".led").evaluate((node) => [node.textContent.slice(0, 20), node.getBoundingClientRect().top]);
  const page = await browser.page(`${server.url}/feeds/links#l=main/42`);
  await page.locator(".led").waitFor();
  const [text, y] = await led(page);
  assert.ok(text.startsWith("Corrected line 42.") && y > 60 && y < 200, `${text} at ${y}`);
  // Another place in the same page, by its time.
  await page.evaluate(() => (location.hash = "#t=1:40:30"));
  await page.locator(".led", { hasText: "Line 100." }).waitFor();
  await publisher.say({ type: "retract", id: "42" });
  const late = await browser.page(`${server.url}/feeds/links#l=main/42&t=42:00`);
  await late.locator("#toast", { hasText: "taken back" }).waitFor();
  assert.match((await top(late)).text, /^Line 41\./);
});

test("time leads to a place, and a page that is loaded again is where it was", async () => {
  const page = await browser.page(`${server.url}/feeds/long`);
  await shows(page, "Turn 2999");
  await page.keyboard.press("t");
  await page.locator("#jump-to").fill("1:00:00");
  await page.keyboard.press("Enter");
  await shows(page, "Turn 600, part 0");
  const before = await top(page);
  await page.reload();
  await shows(page, "Turn 600, part 0");
  assert.equal((await top(page)).text, before.text);
});

test("words are found where they are not drawn, one after the other", async () => {
  const page = await browser.page(`${server.url}/feeds/long`);
  await shows(page, "Turn 2999");
  await page.waitForFunction(() => document.querySelector("#turns > li").ariaSetSize === "3000");
  await page.keyboard.press("/");
  await page.keyboard.type("turn 12, part");
  await page.locator("#find-count", { hasText: "of 2" }).waitFor();
  await page.locator(".hit mark", { hasText: "Turn 12, part" }).waitFor();
  await page.keyboard.press("Enter");
  const hit = await page.locator(".hit").textContent();
  await page.keyboard.press("Shift+Enter");
  await until(async () => (await page.locator(".hit").textContent()) !== hit);
  await page.locator("#find-text").fill("never said");
  await page.locator("#find-count", { hasText: "Not found" }).waitFor();
  await page.keyboard.press("Escape");
  assert.deepEqual([await page.locator("mark").count(), await page.locator("#find").isVisible()], [0, false]);
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-find");
});

test("only what some say", async () => {
  const page = await browser.page(`${server.url}/feeds/hearing`);
  await shows(page, "Then good night");
  await page.waitForFunction(() => document.querySelector("#turns > li").ariaSetSize === "70");
  const all = await printed(page);
  await page.locator("text=Speakers").click();
  await page.locator("#speaker-list label", { hasText: "Chair Okafor" }).click();
  const some = all.filter(({ name }) => name === "Chair Okafor");
  await until(async () => JSON.stringify(await printed(page)) === JSON.stringify(some));
  await page.keyboard.press("Escape");
  await page.locator("#filter", { hasText: "Chair Okafor" }).waitFor();
  await page.click("#filter-clear");
  await until(async () => (await printed(page)).length === all.length);
});

test("what is copied says where it is from, and a link is made of a time", async () => {
  const page = await browser.page(`${server.url}/feeds/hearing`);
  await shows(page, "Then good night");
  const last = page.locator("#turns > li").last();
  await last.hover();
  await last.locator(".copy").click();
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await until(async () => /^Chair Okafor \(1:04:48\): Then good night[^]*\n\n.*hearing, http.*#l=main\/\d+&t=1:04:48$/.test(await clipboard()), "a quotation");
  await last.locator(".time").click();
  await until(async () => /\/feeds\/hearing#l=main\/\d+&t=1:04:48$/.test(await clipboard()));
  assert.match(page.url(), /#l=main\/\d+&t=1:04:48$/);
});

test("a speaker has one colour, wherever one begins to read", async () => {
  const colours = async (address) => {
    const page = await browser.page(`${server.url}${address}`);
    await page.locator("#turns p").first().waitFor();
    await page.waitForFunction(() => document.querySelector("#turns > li").ariaSetSize === "70");
    await printed(page);
    const found = await page.evaluate(() => {
      dispatchEvent(new Event("beforeprint"));
      return [...document.querySelectorAll("#turns > li")].map((turn) => [turn.querySelector(".name").textContent, turn.dataset.hue]);
    });
    await page.close();
    return new Map(found);
  };
  const [end, beginning] = [await colours("/feeds/hearing"), await colours("/feeds/hearing#t=0:05")];
  assert.ok(end.size > 8);
  assert.deepEqual([...end].sort(), [...beginning].sort());
  // In the order in which they spoke, so that neighbours differ.
  const { speakers } = await server.ask("GET", "/v1/feeds/hearing/transcript.json");
  assert.deepEqual(speakers.slice(0, 10).map(({ name }) => end.get(name)), [..."0123456789"]);
});

test("every format can be saved", async () => {
  const page = await browser.page(`${server.url}/feeds/hearing`);
  await shows(page, "Then good night");
  await page.locator(".tools >> text=More").click();
  const formats = await page.locator("a[data-format]").evaluateAll((links) => links.map(({ href }) => href));
  assert.equal(formats.length, 10);
  for (const href of formats) assert.equal((await fetch(href)).status, 200, href);
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator("a[data-format=vtt]").click()]);
  assert.equal(file.suggestedFilename(), "hearing.vtt");
});

test("a token leaves the address at once, and is in no link and no download", async () => {
  const sha256 = createHash("sha256").update("s3cret").digest("hex");
  const locked = await Server.start({
    config: `[auth]\n[[auth.tokens]]\nname = "r"\nsha256 = "${sha256}"\nroles = ["subscribe", "admin"]\nfeeds = ["*"]\n`,
  });
  try {
    await locked.ask("PUT", "/v1/feeds/closed/transcript", hearingFile(), { "Content-Type": "text/plain", Authorization: "Bearer s3cret" });
    const out = await browser.page(`${locked.url}/feeds/closed`);
    await out.locator("#token-form").waitFor();
    await out.fill("#token", "s3cret");
    await out.keyboard.press("Enter");
    await shows(out, "Then good night");
    for (const address of [`${locked.url}/feeds/closed#token=s3cret&t=28:00`, `${locked.url}/feeds/closed?token=s3cret`]) {
      const page = await browser.page();
      const asked = [];
      page.on("request", (request) => request.resourceType() !== "document" && asked.push(request.url()));
      await page.goto(address);
      await page.locator("#turns p").first().waitFor();
      assert.ok(!page.url().includes("s3cret"), page.url());
      assert.ok(asked.length > 2 && asked.every((url) => !url.includes("s3cret")), asked.join("\n"));
      assert.ok(!(await page.content()).includes("s3cret"));
      await page.locator(".tools >> text=More").click();
      const [file] = await Promise.all([page.waitForEvent("download"), page.locator("a[data-format=txt]").click()]);
      assert.match(readFileSync(await file.path(), "utf8"), /Then good night/);
      await page.goto(`${locked.url}/`);
      await page.locator(".feed").first().waitFor();
    }
  } finally {
    await locked.stop();
  }
});

test("it is played again from any place, at any pace, and left where it was", async () => {
  const page = await browser.page(`${server.url}/feeds/hearing#t=28:00`);
  await page.locator(".led").waitFor();
  await page.click("#play");
  await page.locator("#state", { hasText: "Replay" }).waitFor();
  await page.selectOption("#pace", "step");
  await page.locator("#turns p").first().waitFor();
  const count = async () => (await printed(page)).reduce((sum, { lines }) => sum + lines.length, 0);
  const all = (await server.ask("GET", "/v1/feeds/hearing/transcript.json")).turns.flatMap(({ lines }) => lines);
  const before = await until(count);
  assert.ok(before < all.length, `${before} of ${all.length}`);
  await page.click("#step");
  await until(async () => (await count()) > before, "a step");
  // To another place: what was said until then, and no more.
  await page.waitForFunction((first) => document.querySelector("#scrub").min === String(first), all[0].start_ms);
  await page.locator("#scrub").evaluate((scrub) => {
    scrub.value = "600000";
    scrub.dispatchEvent(new Event("input"));
    scrub.dispatchEvent(new Event("change"));
  });
  const until10 = all.filter(({ start_ms }) => start_ms < 600_000).length;
  await until(async () => Math.abs((await count()) - until10) <= 1, `${until10} lines`);
  assert.match(await page.locator("#scrub").getAttribute("aria-valuetext"), /minutes/);
  await page.selectOption("#pace", "60");
  const then = await count();
  await until(async () => (await count()) > then, "it plays");
  await page.click("#play");
  await page.locator("#play", { hasText: /^Play$/ }).waitFor();
  await page.click("#leave");
  await page.locator("#state", { hasText: "Ended" }).waitFor();
  await until(async () => (await count()) === all.length);
});

test("all feeds: live ones first, what was said last, and a search that leads to the line", async () => {
  const publisher = await server.publisher("zebra");
  await publisher.say({ id: "1", start_ms: 5000, speaker: "Chair", text: "A most unusual marmalade." });
  const page = await browser.page(`${server.url}/`);
  await page.locator(".feed").first().waitFor();
  const first = await page.locator(".feed").first().textContent();
  assert.match(first, /zebra.*Live.*Chair: A most unusual marmalade/);
  await page.fill("#q", "marmalade");
  await page.keyboard.press("Enter");
  await page.locator("#hits mark", { hasText: "marmalade" }).waitFor();
  await page.locator("#hits a").first().click();
  await page.locator(".led", { hasText: "marmalade" }).waitFor();
  await page.goBack();
  await page.locator("#hits mark").first().waitFor();
});

test("whoever goes through the page with the keyboard loses no place", async () => {
  const publisher = await server.publisher("keyboard");
  const line = (id) => ({ id: String(id), start_ms: id * 1000, speaker: `S${id % 3}`, text: `Line ${id}. ${"And more. ".repeat(8)}` });
  for (let id = 1; id <= 80; id++) publisher.say(line(id));
  await publisher.say(line(81));
  const page = await browser.page(`${server.url}/feeds/keyboard`);
  await shows(page, "Line 81.");
  await until(() => isAtEnd(page));
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  for (const expected of ["To the captions", "All feeds", "open-find", "Speakers", "Display", "More"]) {
    await page.keyboard.press("Tab");
    assert.equal(await focused(), expected);
    assert.ok(await isAtEnd(page), `at ${expected}`);
    const [outline, y] = await page.evaluate(() => [getComputedStyle(document.activeElement).outlineStyle, document.activeElement.getBoundingClientRect().top]);
    assert.ok(outline === "solid" && y >= 0, `${expected} is seen to have the focus`);
  }
  for (const panel of ["speakers", "display", "more"]) {
    await page.locator(`[popovertarget=${panel}]`).click();
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate((id) => document.getElementById(id).contains(document.activeElement), panel), `into ${panel}`);
    await page.keyboard.press("Escape");
    assert.ok(await isAtEnd(page), `after ${panel}`);
  }
  await publisher.say(line(82));
  await shows(page, "Line 82.");
  assert.ok(await isAtEnd(page), "it still follows");
  // The first link leads to what is read, and moves nothing.
  await page.locator(".skip").focus();
  await page.keyboard.press("Enter");
  assert.ok(await isAtEnd(page));
  const seen = await page.evaluate(() => document.activeElement.closest("#turns > li") && document.activeElement.getBoundingClientRect().bottom > 60);
  assert.ok(seen, "a turn in the window has the focus");
  // What is reached in the transcript is not below a bar.
  for (let times = 0; times < 12; times++) {
    await page.keyboard.press("Shift+Tab");
    const [top, bar] = await page.evaluate(() => [document.activeElement.getBoundingClientRect().top, document.querySelector("#bar").offsetHeight]);
    if (await page.evaluate(() => document.activeElement.closest("#turns") === null)) break;
    assert.ok(top >= bar - 1, `${await focused()} at ${top}, below a bar of ${bar}`);
  }
});

test("what is printed is black on white, whatever is on the screen", async () => {
  const page = await browser.page(`${server.url}/feeds/hearing`);
  await shows(page, "Then good night");
  await page.evaluate(() => (document.documentElement.dataset.theme = "yellow"));
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const colours = await page.evaluate(() => {
    const of = (selector) => getComputedStyle(document.querySelector(selector));
    return [of("body").backgroundColor, of("#turns .head").backgroundColor, of("#turns .name").color, of("#turns p").color, of(".foot").display];
  });
  assert.deepEqual(colours, ["rgb(255, 255, 255)", "rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(0, 0, 0)", "none"]);
  const pdf = await page.pdf({ format: "A4" });
  assert.ok(pdf.length > 20_000, `all of it is printed: ${pdf.length} bytes`);
});

test("keys can be switched off, and never take what is typed", async () => {
  const page = await browser.page(`${server.url}/feeds/long`);
  await shows(page, "Turn 2999");
  await page.keyboard.press("/");
  await page.keyboard.type("jkeb+");
  assert.equal(await page.inputValue("#find-text"), "jkeb+");
  await page.keyboard.press("Escape");
  await page.keyboard.press("k");
  await until(async () => !(await isAtEnd(page)));
  await page.keyboard.press("e");
  await until(() => isAtEnd(page));
  await page.keyboard.press("s");
  await page.locator("text=Single-key").click();
  await page.keyboard.press("Escape");
  await page.mouse.click(5, 300);
  const before = await top(page);
  await page.keyboard.press("b");
  await page.keyboard.press("/");
  const now = await top(page);
  assert.deepEqual([now.text, await page.locator("#find").isVisible()], [before.text, false]);
  await page.evaluate(() => localStorage.clear());
});
