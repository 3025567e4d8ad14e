// Debian's Chromium, with a profile of its own for each test file.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-features=LocalNetworkAccessChecks", "--enable-precise-memory-info", "--js-flags=--expose-gc", "--hide-scrollbars",
];

const BUILT = new URL("../../src/server/viewer/", import.meta.url);
const PAGES = [[/\/$/, "index.html"], [/\/feeds\/[^/]+(\/embed)?$/, "feed.html"], [/\/overlay$/, "overlay.html"], [/\/plain$/, "plain.html"],
  [/\/embed\.js$/, "embed.js"]];

/** With CAPTIONWIRE_PAGES=built, what `scripts/web.sh` built just now instead of what is in the binary: for who works on it. */
async function justBuilt(context) {
  if (process.env.CAPTIONWIRE_PAGES !== "built") return;
  await context.route((url) => !url.pathname.startsWith("/v1/"), async (route) => {
    const { pathname } = new URL(route.request().url());
    const name = pathname.match(/^\/viewer\/(.+)$/)?.[1] ?? PAGES.find(([is]) => is.test(pathname))?.[1];
    const response = await route.fetch().catch(() => null);
    if (!response) return route.abort("connectionrefused");
    const { "content-encoding": _, ...headers } = response.headers();
    if (name && response.ok() && headers["referrer-policy"]) return route.fulfill({ status: 200, headers, body: readFileSync(new URL(name, BUILT)) });
    return route.fulfill({ response });
  });
}

/** A browser, and pages of it that fail the test when they complain. */
export async function open(options = {}) {
  if (!PROGRAM) throw new Error("there is no Chromium: scripts/browser.sh installs it");
  const profile = mkdtempSync(join(tmpdir(), "captionwire-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: PROGRAM, headless: true, args: FLAGS, viewport: { width: 1280, height: 800 }, reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"], ...options,
  });
  await justBuilt(context);
  const complaints = [];
  return {
    context,
    complaints,
    async page(url, { size } = {}) {
      const page = await context.newPage();
      if (size) await page.setViewportSize(size);
      page.on("pageerror", (error) => complaints.push(`${error}`));
      page.on("console", (message) => {
        // What a lost connection says is no complaint of ours.
        const isExpected = /ERR_CONNECTION|ERR_INTERNET|WebSocket connection|40[134]|50[23]/.test(message.text());
        if (message.type() === "error" && !isExpected) complaints.push(message.text());
      });
      if (url) await page.goto(url);
      return page;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** What axe-core has against the page, by the rules of WCAG 2.2 AA, its best practices, and AAA contrast. */
export async function violations(page) {
  // Into a world that the page's policy does not rule.
  await page.evaluate(AXE);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { rules: { "color-contrast-enhanced": { enabled: true }, "target-size": { enabled: true } } }));
  return found.violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target} ${failureSummary}`));
}
