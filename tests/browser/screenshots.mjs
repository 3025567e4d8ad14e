// Makes docs/screenshots anew: `sh scripts/browser.sh screenshots`. One picture for each main state, of the hearing in examples/.
import { Server, until } from "../../clients/js/test/server.mjs";
import { open } from "./browser.mjs";
import { hearing, hearingFile } from "./hearing.mjs";
import { isAtEnd, scrollUp, shows } from "./pages.mjs";

const INTO = new URL("../../docs/screenshots/", import.meta.url).pathname;
const server = await Server.start();
const browser = await open();
const shot = (page, name, options = {}) => page.screenshot({ path: `${INTO}${name}.png`, ...options });
try {
  await server.import("harbour-2025", hearingFile());
  await server.ask("PATCH", "/v1/feeds/harbour-2025", { title: "Harbour committee, public hearing", language: "en" });
  await server.ask("PUT", "/v1/feeds/council", { title: "Town council, 7 pm", language: "en" });
  await server.ask("PUT", "/v1/feeds/hearing", { title: "Public hearing in Port Averill", language: "en" });
  const publisher = await server.publisher("hearing");
  const lines = hearing();
  for (const line of lines.slice(0, 62)) await publisher.say(line);
  const next = lines[62];
  await publisher.say({ ...next, text: next.text.split(" ").slice(0, 14).join(" "), status: "interim" });

  const page = await browser.page(`${server.url}/feeds/hearing`);
  await page.locator("#interim p").waitFor();
  await until(() => isAtEnd(page));
  await page.waitForTimeout(800);
  await shot(page, "live");
  await page.locator(".tools >> text=Display").click();
  await page.waitForTimeout(200);
  await shot(page, "display");
  await page.keyboard.press("Escape");
  await scrollUp(page, 900);
  await publisher.say(next, ...lines.slice(63, 66));
  await page.locator("#new", { hasText: "new" }).waitFor();
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(300);
  await shot(page, "reading-dark");
  await page.emulateMedia({ colorScheme: "light" });

  const find = await browser.page(`${server.url}/feeds/harbour-2025`);
  await shows(find, "Then good night");
  await find.keyboard.press("/");
  await find.keyboard.type("harbour");
  await find.locator("#find-count", { hasText: "of" }).waitFor();
  await find.waitForTimeout(600);
  await shot(find, "find");

  const replay = await browser.page(`${server.url}/feeds/harbour-2025#t=10:00`);
  await replay.locator(".led").waitFor();
  await replay.click("#play");
  await replay.locator("#state", { hasText: "Replay" }).waitFor();
  await replay.waitForTimeout(1_200);
  await shot(replay, "replay");

  const phone = await browser.page(`${server.url}/feeds/hearing`, { size: { width: 390, height: 780 } });
  await phone.locator("#turns p").first().waitFor();
  await phone.waitForTimeout(800);
  await shot(phone, "phone");

  const overlay = await browser.page(`${server.url}/feeds/hearing/overlay?clear=0`, { size: { width: 1280, height: 720 } });
  await overlay.locator("#rows p").first().waitFor();
  // A picture behind it, as a mixer would have.
  await overlay.evaluate(() => document.documentElement.style.setProperty("background", "linear-gradient(#7d93a8, #41505c 60%, #2c3a33)"));
  await shot(overlay, "overlay");

  const list = await browser.page(`${server.url}/`);
  await list.locator(".feed").nth(2).waitFor();
  await shot(list, "feeds");

  const mixed = await server.publisher("mixed");
  await mixed.say(
    { id: "1", start_ms: 0, speaker: "יושבת הראש", text: "ערב טוב לכולם, הישיבה נפתחת. נתחיל בסעיף הראשון, סקר הנמל לשנת 2025.", lang: "he" },
    { id: "2", start_ms: 9_000, speaker: "Reporter", text: "Thank you. May I ask about the harbour dues, and who is to pay them?", lang: "en" },
    { id: "3", start_ms: 16_000, speaker: "المتحدث", text: "شكرا جزيلا على هذا السؤال، سأجيب عنه بعد قليل.", lang: "ar" },
  );
  const both = await browser.page(`${server.url}/feeds/mixed`, { size: { width: 820, height: 480 } });
  await shows(both, "شكرا");
  await shot(both, "right-to-left");

  // Last of all: the server is gone.
  await page.bringToFront();
  await page.click("#new");
  await until(() => isAtEnd(page));
  await server.kill();
  await page.locator("#notice", { hasText: "Nothing will be missing" }).waitFor();
  await page.waitForTimeout(300);
  await shot(page, "reconnecting");
} finally {
  await browser.close();
  await server.stop();
}
