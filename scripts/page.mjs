// Builds the page of /admin into page/public/admin: `node scripts/page.mjs`. scripts/build.mjs does
// it too, so wrangler has the page before `dev` and `deploy`. Nothing of it is in the Worker.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { ensurePackages, main, root, say } from "./setup.mjs";

/**
 * The largest first view: its script and its style sheet, with gzip. The editor is loaded later.
 */
const FIRST_VIEW = 150 * 1024;

const source = join(root, "page");
const output = join(source, "public", "admin");

/** Builds the page. Returns the size of its first view in bytes, with gzip. */
export async function buildPage() {
  const { build } = await import("esbuild");
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: source,
    entryPoints: { main: "src/main.tsx" },
    outdir: output,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2023",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".sql": "text" }, // queries of examples/, which the page shows
    minify: true,
    metafile: true,
    chunkNames: "chunk-[hash]",
    logLevel: "warning",
  });
  const files = firstView(metafile.outputs);
  writeFileSync(join(output, "index.html"), withPreloads(readFileSync(join(source, "index.html"), "utf8"), files));
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(join(source, file)), { level: 9 }).length, 0);
}

/** The browser loads what the entry imports together with it, and not after it. */
function withPreloads(html, files) {
  const chunks = files.filter((file) => /chunk-[^/]*\.js$/.test(file)).map((file) => file.replace(/^public/, ""));
  const links = chunks.map((path) => `    <link rel="modulepreload" href="${path}" />\n`).join("");
  return html.replace("    <script ", `${links}    <script `);
}

/**
 * What the browser loads at once: the entry with what it imports statically, and its style sheet.
 */
function firstView(outputs) {
  const entry = Object.keys(outputs).find((name) => name.endsWith("/main.js"));
  const files = new Set([entry, outputs[entry].cssBundle].filter(Boolean));
  for (const file of files) {
    for (const { path, kind } of outputs[file].imports) if (kind === "import-statement") files.add(path);
  }
  return [...files];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(async () => {
    await ensurePackages();
    const size = await buildPage();
    const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
    say(`page: the first view is ${kib(size)} with gzip; its budget is ${kib(FIRST_VIEW)}`);
    if (size > FIRST_VIEW) throw new Error(`the first view exceeds its budget by ${kib(size - FIRST_VIEW)}`);
  });
}
