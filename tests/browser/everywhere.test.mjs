// Every page, for everybody: by the rules of axe-core, on the smallest screen, from right to left, over a picture and in a frame.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Server, until } from "../../clients/js/test/server.mjs";
import { open, violations } from "./browser.mjs";
import { hearingFile, manyTurns } from "./hearing.mjs";
import { shows } from "./pages.mjs";

let server, browser, publisher, host, elsewhere;
before(async () => {
  // A page of another origin, which may or may not show ours.
  host = createServer((request, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<!doctype html><title>Elsewhere</title><script src="${server.url}/embed.js"></script>
      <caption-wire feed="geneva" theme="dark" size="150"></caption-wire>`);
  });
  await new Promise((done) => host.listen(0, "127.0.0.1", done));
  elsewhere = `http://127.0.0.1:${host.address().port}`;
  server = await Server.start({ config: `embedding_origins = ["${elsewhere}"]\n` });
  browser = await open();
  await server.import("hearing", hearingFile());
  await server.ask("PUT", "/v1/feeds/geneva", { title: "Press conference in Geneva", language: "en" });
  publisher = await server.publisher("geneva");
  const texts = ["Good evening, everybody.", "Please ask your questions [crosstalk] one after the other, and (silence) wait.", "Thank you."];
  for (const [at, text] of texts.entries()) await publisher.say({ id: String(at + 1), start_ms: at * 4000, speaker: `Speaker ${at}`, text });
  await publisher.say({ id: "9", start_ms: 20_000, speaker: "Speaker 2", text: "And now I am in the midst of", status: "interim" });
});
after(async () => {
  host?.close();
  await browser?.close();
  await server?.stop();
});

const PANELS = [null, "Speakers", "Display", "More", "Find"];

async function pages(visit) {
  const page = await browser.page(`${server.url}/feeds/geneva`);
  await shows(page, "Thank you.");
  for (const theme of ["light", "dark", "white", "black", "caption", "yellow"]) {
    await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
    await visit(page, `/feeds/geneva in ${theme}`);
  }
  await page.evaluate(() => (document.documentElement.dataset.theme = "auto"));
  for (const panel of PANELS) {
    if (panel) await page.locator(`.tools >> text=${panel}`).click();
    await visit(page, `/feeds/geneva with ${panel}`);
    await page.keyboard.press("Escape");
  }
  for (const path of ["/feeds/hearing", "/feeds/geneva/embed", "/feeds/geneva/overlay", "/feeds/geneva/plain", "/", "/?q=harbour", "/feeds/none-yet"]) {
    await page.goto(server.url + path);
    await page.locator(path === "/feeds/none-yet" ? "#ending" : "#turns p, #rows p, #text p, .feed, .hit-line").first().waitFor();
    await visit(page, path);
  }
  await page.close();
}

test("axe-core has nothing against any page", async () => {
  await pages(async (page, where) => assert.deepEqual(await violations(page), [], where));
  assert.deepEqual(browser.complaints, []);
});

test("nothing is lost at a width of 320 pixels, nor at 200 % on a phone", async () => {
  const context = await open({ viewport: { width: 320, height: 640 } });
  try {
    const own = browser;
    browser = context;
    await pages(async (page, where) => {
      for (const zoom of [1, 2]) {
        // Text of twice the size, as browsers on phones make it.
        await page.evaluate((zoom) => document.documentElement.style.setProperty("font-size", `${zoom * 100}%`), zoom);
        const wide = await page.evaluate(() => [...document.querySelectorAll("body *")]
          .filter((node) => !node.closest(".unseen, .track") && node.checkVisibility({ visibilityProperty: true }) && node.getBoundingClientRect().right > innerWidth + 1)
          .map((node) => `${node.tagName}#${node.id}.${node.className} ${node.textContent.slice(0, 30)}`));
        assert.deepEqual(wide, [], `${where} at ${zoom}`);
      }
      await page.evaluate(() => document.documentElement.style.removeProperty("font-size"));
    });
    browser = own;
  } finally {
    await context.close();
  }
});

test("from right to left where the text is, line by line", async () => {
  const hebrew = await server.publisher("hebrew");
  await hebrew.say(
    { id: "1", start_ms: 0, speaker: "יושב הראש", text: "הישיבה נפתחת.", lang: "he" },
    { id: "2", start_ms: 3000, speaker: "Reporter", text: "A question in English.", lang: "en" },
    { id: "3", start_ms: 6000, speaker: "متحدث", text: "شكرا 2026.", lang: "ar" },
    // In one turn, each line as it is.
    { id: "4", start_ms: 7000, speaker: "متحدث", text: "Thank you.", lang: "en" },
  );
  const page = await browser.page(`${server.url}/feeds/hebrew`);
  await shows(page, "شكرا");
  const is = await page.locator("#turns > li").evaluateAll((turns) => turns.map((turn) => {
    const [p, name] = [turn.querySelector("p"), turn.querySelector(".name")];
    return [turn.dir, getComputedStyle(p).direction, p.lang, name.tagName];
  }));
  assert.deepEqual(is, [["rtl", "rtl", "he", "BDI"], ["ltr", "ltr", "en", "BDI"], ["rtl", "rtl", "ar", "BDI"]]);
  await shows(page, "Thank you.");
  const each = page.locator("#turns > li").last().locator("p");
  assert.deepEqual(await each.evaluateAll((lines) => lines.map((line) => getComputedStyle(line).direction)), ["rtl", "ltr"]);
});

test("two thousand feeds: the first of them are there at once, and the others when they are asked for", async () => {
  const many = await Server.start();
  try {
    for (let n = 0; n < 2_000; n += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => many.import(`f${String(n + i).padStart(4, "0")}`, `Chair: (00:01)\nThis is feed ${n + i}.\n`)));
    }
    const live = await many.publisher("zzz");
    await live.say({ id: "1", start_ms: 0, speaker: "يوسف", text: "شكرا لكم.", lang: "ar" });
    const page = await browser.page();
    const loaded = [];
    page.on("response", async (answer) => {
      if (new URL(answer.url()).pathname === "/v1/feeds") loaded.push((await answer.body()).length);
    });
    await page.goto(`${many.url}/`);
    await page.locator(".feed").nth(49).waitFor();
    assert.deepEqual([await page.locator(".feed").count(), await page.locator(".feed").first().locator("a").textContent()], [50, "zzz"]);
    assert.ok(loaded[0] < 20_000, `${loaded[0]} bytes`);
    // A name stands before its words, whichever way these run.
    const [name, text] = await page.locator(".feed").first().locator(".last").evaluate((last) => [...last.children].map((node) => node.getBoundingClientRect().left));
    assert.ok(name > text, `${name}, ${text}`);
    const more = page.locator("#more-feeds");
    assert.match(await more.textContent(), /^More of 2.?001$/);
    await more.focus();
    await page.keyboard.press("Enter");
    await page.locator(".feed").nth(99).waitFor();
    assert.equal(await page.evaluate(() => [...document.querySelectorAll(".feed a")].indexOf(document.activeElement)), 50);
    // Each once, also when one that was in the second page begins to speak.
    const again = await page.locator(".feed a").nth(70).textContent();
    const publisher = await many.publisher(again);
    await many.ask("POST", `/v1/feeds/${again}/state`, { state: "live" });
    await publisher.say({ id: "99", start_ms: 90_000, speaker: "Chair", text: "And it goes on." });
    await page.locator("section", { has: page.locator("#group-live") }).locator("a", { hasText: again }).waitFor({ timeout: 20_000 });
    const names = await page.locator(".feed a").allTextContents();
    assert.deepEqual([names.length, new Set(names).size], [100, 100]);
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(browser.complaints, []);
  } finally {
    await many.stop();
  }
});

/** What assistive technology is given of a page: role, name and properties of all that it does not pass over. */
async function tree(page) {
  const cdp = await page.context().newCDPSession(page);
  const { nodes } = await cdp.send("Accessibility.getFullAXTree");
  await cdp.detach();
  return nodes.filter(({ ignored }) => !ignored).map(({ role, name, properties = [], value }) => ({
    role: role?.value, name: name?.value ?? "", value: value?.value,
    ...Object.fromEntries(properties.map((property) => [property.name, property.value.value])),
  }));
}

test("assistive technology is given roles, names and states", async () => {
  const page = await browser.page(`${server.url}/feeds/geneva`);
  await shows(page, "Thank you.");
  await page.locator("#interim p").waitFor();
  await page.waitForFunction(() => document.querySelector("#log").getAttribute("aria-live") === "polite");
  const nodes = await tree(page);
  const one = (role, name) => {
    const found = nodes.filter((node) => node.role === role && (typeof name === "string" ? node.name === name : name.test(node.name)));
    assert.equal(found.length, 1, `${role} ${name}: ${JSON.stringify(found)}`);
    return found[0];
  };
  one("heading", "Press conference in Geneva");
  assert.equal(one("log", "Captions").live, "polite");
  assert.equal(one("log", "Captions").relevant ?? "additions", "additions");
  assert.notEqual(one("region", "Being said now, may still change").live, "polite");
  one("region", "Timeline and replay");
  one("group", "Reading");
  one("main", "");
  assert.match(String(one("slider", "Place in the event").valuetext ?? one("slider", "Place in the event").value), /second|minute|\d/);
  for (const name of ["Find", "Speakers", "Display", "More", "Play again"]) one("button", name);
  assert.ok(nodes.filter(({ role }) => role === "listitem").length >= 3);
  // How it stands is told, but not the whole bar.
  assert.ok(nodes.some(({ role, live }) => role === "status" && live === "polite"));
  // Nothing that can be reached is without a name, on any page and in any panel.
  const nameless = async (where) => {
    const without = (await tree(page)).filter(({ role, name, focusable }) => focusable && name === "" && !["RootWebArea", "main", "dialog", "listitem"].includes(role));
    assert.deepEqual(without, [], where);
  };
  for (const panel of PANELS) {
    if (panel) await page.locator(`.tools >> text=${panel}`).click();
    await nameless(panel ?? "the page");
    if (panel && panel !== "Find") assert.equal((await tree(page)).filter(({ role }) => role === "dialog").length, 1, panel);
    await page.keyboard.press("Escape");
  }
  for (const [path, ready] of [["/", ".feed"], ["/?q=harbour", ".hit-line"], ["/feeds/geneva/plain", "#text p"], ["/feeds/geneva/overlay", "#rows p"], ["/feeds/geneva/embed", "#turns p"]]) {
    await page.goto(server.url + path);
    await page.locator(ready).first().waitFor();
    await nameless(path);
    assert.equal((await tree(page)).filter(({ role }) => role === "main").length, 1, path);
  }
  // Plain text tells nothing by itself: whoever reads it says when.
  await page.goto(`${server.url}/feeds/geneva/plain`);
  await page.locator("#text p").first().waitFor();
  assert.deepEqual((await tree(page)).filter(({ live }) => live && live !== "off"), []);
  await page.close();
});

test("pages ask nobody but their own server", async () => {
  const page = await browser.page();
  const asked = new Set();
  page.on("request", (request) => asked.add(new URL(request.url()).origin));
  for (const path of ["/", "/feeds/geneva", "/feeds/geneva/overlay", "/feeds/geneva/plain"]) {
    await page.goto(server.url + path);
    await page.locator("#turns p, #rows p, #text p, .feed").first().waitFor();
  }
  assert.deepEqual([...asked], [new URL(server.url).origin]);
});

test("what is said is text, whatever it says", async () => {
  const evil = await server.publisher("evil");
  const text = "<img src=x onerror=alert(1)><script>alert(1)</script>";
  await evil.say({ id: "1", start_ms: 0, speaker: text, text });
  for (const [path, where] of [["", "#turns p"], ["/overlay?chars=80", "#rows p"], ["/plain", "#text p"]]) {
    const page = await browser.page(`${server.url}/feeds/evil${path}`);
    await page.locator(where).first().waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.ok((await page.locator("main").textContent()).includes("onerror=alert(1)"));
  }
});

test("the overlay shows the last rows, no longer than they may be, on nothing", async () => {
  const over = await server.publisher("over");
  const text = "Ladies and gentlemen, this is a longer sentence that has to be cut into rows, and an un-cut-able-word-of-more-than-thirty-letters.";
  await over.say({ id: "1", start_ms: 0, speaker: "Chair", text });
  const rows = async (query) => {
    const page = await browser.page(`${server.url}/feeds/over/overlay${query}`);
    await page.locator("#rows p").first().waitFor();
    return [page, await page.locator("#rows p").allTextContents()];
  };
  for (const [query, lines, chars] of [["", 2, 37], ["?lines=3&chars=20&speaker=arrows", 3, 20], ["?chars=42&lines=1", 1, 42]]) {
    const [, shown] = await rows(query);
    assert.equal(shown.length, lines, query);
    assert.ok(shown.every((row) => row.length <= chars), shown.join("|"));
    assert.ok(`>> Chair: ${text}`.includes(shown[0].split(" ")[0]));
  }
  const [page] = await rows("?clear=0.2&color=red&background=transparent&case=upper&position=top&size=notasize");
  assert.deepEqual(await page.evaluate(() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector("#rows")).color]), ["rgba(0, 0, 0, 0)", "rgb(255, 0, 0)"]);
  // Without anything behind them the letters have an edge.
  assert.notEqual(await page.locator("#rows span").first().evaluate((node) => getComputedStyle(node).webkitTextStrokeWidth), "0px");
  await page.locator("#rows").waitFor({ state: "hidden" });
  await over.say({ id: "2", start_ms: 9000, speaker: "Clerk", text: "Item one." });
  await page.locator("#rows p", { hasText: "CLERK: ITEM ONE." }).waitFor();
});

test("a word that comes moves no word that is there", async () => {
  const roll = await server.publisher("roll");
  const words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split(" ");
  await roll.say({ id: "1", start_ms: 0, text: words[0], status: "interim" });
  const page = await browser.page(`${server.url}/feeds/roll/overlay?chars=24&speaker=none`);
  await page.locator("#rows p").first().waitFor();
  let before = [];
  for (let count = 2; count <= words.length; count++) {
    await roll.say({ id: "1", start_ms: 0, text: words.slice(0, count).join(" "), status: "interim" });
    await until(async () => (await page.locator("#rows").textContent()).endsWith(words[count - 1]));
    const now = await page.locator("#rows p").allTextContents();
    // The last row goes on, or stands one higher.
    const last = before.at(-1) ?? "";
    assert.ok(now.at(-1).startsWith(last) || now.at(-2) === last, `${before.join("|")} became ${now.join("|")}`);
    before = now;
  }
});

test("another page shows it in a frame, if the configuration says so", async () => {
  const page = await browser.page(elsewhere);
  const frame = page.frameLocator("iframe");
  await frame.locator("#turns p", { hasText: "Thank you." }).waitFor();
  const is = await frame.locator("html").evaluate(({ dataset }) => [dataset.theme, dataset.mode]);
  assert.deepEqual(is, ["dark", "embed"]);
  assert.equal(await page.locator("caption-wire").evaluate((node) => node.shadowRoot.querySelector("iframe").title), "Live captions: geneva");
  await publisher.say({ id: "10", start_ms: 30_000, speaker: "Speaker 1", text: "Said in a frame." });
  await frame.locator("#turns p", { hasText: "Said in a frame." }).waitFor();
  const refused = await Server.start();
  try {
    await page.evaluate((url) => document.querySelector("caption-wire").setAttribute("server", url), refused.url);
    await until(() => page.frames().some((frame) => frame.url().startsWith("chrome-error")), "the browser to refuse the frame");
  } finally {
    await refused.stop();
  }
});

test("ten thousand turns: few of them are in the document, and all of them can be reached", async () => {
  await server.import("many", manyTurns(10_000));
  const page = await browser.page(`${server.url}/feeds/many`);
  await shows(page, "Turn 9999");
  await page.waitForFunction(() => document.querySelector("#turns > li").ariaSetSize === "10000", null, { timeout: 60_000 });
  const nodes = () => page.evaluate(() => document.getElementsByTagName("*").length);
  assert.ok((await nodes()) < 1000, `${await nodes()} elements`);
  await page.keyboard.press("b");
  await shows(page, "Turn 0, part 0");
  await page.mouse.move(600, 400);
  for (let flick = 0; flick < 30; flick++) await page.mouse.wheel(0, 4000);
  const isFilled = () => page.evaluate(() => {
    const at = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
    return at?.closest("#turns > li") !== null;
  });
  await until(isFilled, "turns in the middle of the window");
  assert.ok((await nodes()) < 1000, `${await nodes()} elements`);
});
