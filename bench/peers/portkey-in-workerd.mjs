// Portkey's gateway as a Worker. Its package holds one program, which serves its app by @hono/node-server; its own way to Workers needs
// its sources, which the package does not hold. So that program is bundled, with a server that hands out the app instead of listening.
// The app is the same, and it looks at the runtime itself.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/** What the bundle takes in place of what only Node has. */
const SUBSTITUTES = {
  "@hono/node-server": "export const serve = ({ fetch }) => { globalThis.portkeyFetch = fetch; };",
  "@hono/node-ws":
    "export const createNodeWebSocket = () => ({ injectWebSocket() {}, upgradeWebSocket: () => () => {} });",
  ws: "export default class {}",
  ioredis: "export default class {}",
};

/** The program waits a second for the show before it says that it is ready. A Worker may not, while it loads. */
const TIMERS = `
let isLoading = true;
globalThis.portkeyIsLoaded = () => { isLoading = false; };
const [later, repeatedly] = [globalThis.setTimeout, globalThis.setInterval];
export const setTimeout = (callback, ...rest) => (isLoading ? void callback() : later(callback, ...rest));
export const setInterval = (...rest) => (isLoading ? undefined : repeatedly(...rest));
export const process = { ...globalThis.process, argv: ["node", "portkey", "--headless"], env: {}, on() {}, stdout: { write() {} } };
console.clear = () => {};
`;

/** Writes the bundle and gives its path. `packages`: the folder with node_modules. */
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
