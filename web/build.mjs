// Builds the pages into src/server/viewer, where the server takes them from. With --check it builds nothing, and fails where
// what lies there is not what the sources make, or is more than a phone on a bad line should have to load.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const INTO = new URL("../src/server/viewer/", import.meta.url);
const HERE = new URL("./", import.meta.url);
/** What a reader of a feed loads, compressed. */
const BYTES_MAX = 60 * 1024;

const options = {
  absWorkingDir: HERE.pathname, bundle: true, minify: true, target: "es2022", write: false, charset: "utf8", legalComments: "none",
};
const built = new Map();
for (const name of ["index", "feed", "overlay", "plain", "embed"]) {
  const { outputFiles } = await build({ ...options, entryPoints: [`src/${name}.ts`], format: "iife" });
  built.set(`${name}.js`, outputFiles[0].text);
}
for (const name of ["page", "overlay", "plain"]) {
  const { outputFiles } = await build({ ...options, entryPoints: [`css/${name}.css`] });
  built.set(`${name}.css`, outputFiles[0].text);
}

const isCheck = process.argv.includes("--check");
let wrong = 0;
for (const [name, text] of built) {
  const path = new URL(name, INTO);
  if (!isCheck) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`src/server/viewer/${name} is not what web/ makes: run scripts/web.sh, and commit what it builds`);
    wrong++;
  }
}
// The HTML is written where the server takes it from: nothing is made of it.
const text = (name) => built.get(name) ?? readFileSync(new URL(name, INTO), "utf8");
const size = (...names) => names.reduce((sum, name) => sum + gzipSync(text(name), { level: 9 }).length, 0);
const pages = {
  "/": size("index.html", "index.js", "page.css"),
  "/feeds/{feed}": size("feed.html", "feed.js", "page.css"),
  "/feeds/{feed}/overlay": size("overlay.html", "overlay.js", "overlay.css"),
  "/feeds/{feed}/plain": size("plain.html", "plain.js", "plain.css"),
  "/embed.js": size("embed.js"),
};
for (const [page, bytes] of Object.entries(pages)) {
  console.log(`${page}: ${bytes} bytes gzipped`);
  if (bytes > BYTES_MAX) {
    console.error(`${page} is more than ${BYTES_MAX} bytes`);
    wrong++;
  }
}
if (wrong) process.exit(1);
