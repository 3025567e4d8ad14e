// What tests ask of a page.
import assert from "node:assert/strict";

/** All turns as the page would print them: name and paragraphs, in order. */
export async function printed(page) {
  return page.evaluate(() => {
    dispatchEvent(new Event("beforeprint"));
    const turns = [...document.querySelectorAll("#turns > li")].map((turn) => ({
      name: turn.querySelector(".name").textContent,
      lines: [...turn.querySelectorAll("p")].map((p) => p.textContent),
    }));
    dispatchEvent(new Event("afterprint"));
    return turns;
  });
}

/** The same of the server's transcript. */
export async function said(server, feed) {
  const { turns, speakers } = await server.ask("GET", `/v1/feeds/${feed}/transcript.json`);
  const known = new Map(speakers.map((speaker) => [speaker.id, speaker]));
  const name = (id) => (known.get(id)?.into ? name(known.get(id).into) : known.get(id)?.name ?? id ?? "");
  return turns.map((turn) => ({ name: name(turn.speaker), lines: turn.lines.map(({ text }) => text) }));
}

/** The paragraph that is first in the window below the bar, and where it stands. */
export const top = (page) => page.evaluate(() => {
  const below = document.querySelector("#bar").getBoundingClientRect().bottom + 30;
  const p = [...document.querySelectorAll("#turns p")].find((node) => node.getBoundingClientRect().bottom > below);
  return { text: p?.textContent, y: p?.getBoundingClientRect().top };
});

/** What was at the top stands where it stood, however little room is left above it. */
export async function isStill(page, { text, y }, when = "") {
  const now = await page.evaluate(() => [...document.querySelectorAll("#turns p")].map((node) => [node.textContent, node.getBoundingClientRect().top]));
  const found = now.filter((one) => one[0] === text).map((one) => one[1]);
  assert.ok(found.some((top) => Math.abs(top - y) < 1), `${when} "${text}" stood at ${y} and stands at ${found}`);
}

export const isAtEnd = (page) => page.evaluate(() => innerHeight + scrollY >= document.documentElement.scrollHeight - 2);

/** Goes up as a reader does, with the wheel. */
export async function scrollUp(page, pixels) {
  await page.mouse.move(600, 400);
  await page.mouse.wheel(0, -pixels);
  await page.waitForFunction(() => document.querySelector("#new").hidden === false);
}

/** The page shows this text somewhere in its turns. */
export const shows = (page, text) => page.locator("#turns p", { hasText: text }).first().waitFor();

export const announces = (page) => page.waitForFunction(() => document.querySelector("#log").getAttribute("aria-live") === "polite");
