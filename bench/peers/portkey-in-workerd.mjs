// Portkey's gateway as a Worker. Its own build for Workers needs its sources, which are not in its
// package. The package has one program, which serves the app with @hono/node-server. This module
// bundles that program with a replacement of the server that exports the app instead of listening.
// The app is unchanged, and detects the runtime itself.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/** Replacements for modules that only Node has. */
const SUBSTITUTES = {
  "@hono/node-server": "export const serve = ({ fetch }) => { globalThis.portkeyFetch = fetch; };",
  "@hono/node-ws":
    "export const createNodeWebSocket = () => ({ injectWebSocket() {}, upgradeWebSocket: () => () => {} });",
  ws: "export default class {}",
  ioredis: "export default class {}",
};

/** The program waits for a second before it is ready. A Worker must not wait while it loads. */
const TIMERS = `
let isLoading = true;
globalThis.portkeyIsLoaded = () => { isLoading = false; };
const [later, repeatedly] = [globalThis.setTimeout, globalThis.setInterval];
export const setTimeout = (callback, ...rest) => (isLoading ? void callback() : later(callback, ...rest));
export const setInterval = (...rest) => (isLoading ? undefined : repeatedly(...rest));
export const process = { ...globalThis.process, argv: ["node", "portkey", "--headless"], env: {}, on() {}, stdout: { write() {} } };
console.clear = () => {};
`;

/** Writes the bundle and returns its path. `packages`: the folder with node_modules. */
export async function bundlePortkey(packages) {
  const timers = join(packages, "portkey-timers.mjs");
  writeFileSync(timers, TIMERS);
  const main = join(packages, "portkey-worker.js");
  await build({
    stdin: {
      contents: `
        import "@portkey-ai/gateway/build/start-server.js";
        globalThis.portkeyIsLoaded();
        export default { fetch: (request, env, context) => globalThis.portkeyFetch(request, env, context) };`,
      resolveDir: packages,
    },
    outfile: main,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: [
      "node:*",
      "fs",
      "fs/promises",
      "path",
      "url",
      "https",
      "http",
      "crypto",
      "stream",
      "util",
      "buffer",
      "events",
      "os",
      "zlib",
    ],
    inject: [timers],
    logLevel: "error",
    plugins: [{ name: "substitutes", setup: substitute }],
  });
  return main;
}

function substitute(build) {
  const filter = new RegExp(`^(${Object.keys(SUBSTITUTES).join("|")})$`);
  build.onResolve({ filter }, ({ path }) => ({ path, namespace: "substitute" }));
  build.onLoad({ filter: /.*/, namespace: "substitute" }, ({ path }) => ({
    contents: SUBSTITUTES[path],
    loader: "js",
  }));
}
