// Fails when the library has grown beyond what a page should have to load for it.
import { build } from "esbuild";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 6 * 1024;
const { outputFiles } = await build({
  entryPoints: ["dist/index.js"], bundle: true, minify: true, format: "esm", target: "es2022", write: false,
});
const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`captionwire for JavaScript: ${bytes} bytes gzipped, ${BYTES_MAX} at most`);
if (bytes > BYTES_MAX) process.exit(1);
