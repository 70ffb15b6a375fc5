// Other gateways. Each has the same three deployments in the same order, and runs with one process
// as its documentation recommends for production.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { PATH, UPSTREAM_KEY, worker } from "../candidates.mjs";
import { remove, start, stop, temporaryFolder } from "../own.mjs";
import { onGatewayCore } from "../placement.mjs";
import { headers } from "../request.mjs";
import { litellm, portkey, portkeyWorker } from "./install.mjs";

const STARTS_WITHIN_MS = 120_000;
const MASTER_KEY = "sk-bench-client";

/** Portkey's gateway reads its routing from a header of each request. */
const portkeyHeaders = (upstream) => ({
  ...headers(UPSTREAM_KEY),
  "x-portkey-config": JSON.stringify({
    strategy: { mode: "fallback", on_status_codes: [429, 500, 502, 503, 504] },
    targets: ["gpt-4o", "gpt-4o-eastus", "gpt-4o-westeurope"].map((model) => ({
      provider: "openai",
      api_key: UPSTREAM_KEY,
      custom_host: `${upstream.url}/v1`,
      override_params: { model },
    })),
  }),
});
const isPortkey = ({ headers }) => headers.has("x-portkey-provider") || headers.has("x-portkey-last-used-option-index");

/**
 * As its package runs it. With the dependencies that npm installs, it answers every stream with
 * 500, on Node 20 and on Node 24.
 */
export const portkeyInNode = {
  name: "portkey-node",
  title: "Portkey, Node",
  streams: false,
  recognises: isPortkey,
  start: (upstream) =>
    program({
      command: (port) => [process.execPath, [portkey, `--port=${port}`, "--headless"]],
      env: { NODE_ENV: "production" },
      readyPath: "/",
      requestHeaders: portkeyHeaders(upstream),
    }),
};

export const portkeyInWorkerd = worker({
  name: "portkey-workerd",
  title: "Portkey, workerd",
  main: portkeyWorker,
  recognises: isPortkey,
  requestHeaders: portkeyHeaders,
});

export const liteLlm = {
  name: "litellm",
  title: "LiteLLM, 1 process",
  recognises: ({ headers }) => headers.has("x-litellm-version"),
  async start(upstream) {
    const folder = temporaryFolder();
    const config = join(folder, "config.json");
    writeFileSync(config, JSON.stringify(liteLlmConfig(upstream)));
    const running = await program({
      command: (port) => [
        litellm,
        ["--config", config, "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1"],
      ],
      // No download of prices, and no log line for each request.
      env: { LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_MODE: "PRODUCTION", LITELLM_LOG: "ERROR", NO_DOCS: "True" },
      readyPath: "/health/liveliness",
      requestHeaders: headers(MASTER_KEY),
    });
    return { ...running, stop: () => running.stop().finally(() => remove(folder)) };
  },
};

/** JSON is valid YAML. */
function liteLlmConfig(upstream) {
  const deployment = (model_name, model) => ({
    model_name,
    litellm_params: { model: `openai/${model}`, api_base: `${upstream.url}/v1`, api_key: UPSTREAM_KEY },
  });
  return {
    model_list: [
      deployment("chat", "gpt-4o"),
      deployment("chat-eastus", "gpt-4o-eastus"),
      deployment("chat-westeurope", "gpt-4o-westeurope"),
    ],
    litellm_settings: { fallbacks: [{ chat: ["chat-eastus", "chat-westeurope"] }], telemetry: false },
    general_settings: { master_key: MASTER_KEY },
  };
}

/** Starts a server as a process and waits until it answers. */
async function program({ command, env, readyPath, requestHeaders }) {
  const port = await freePort();
  const child = start(onGatewayCore(...command(port)), {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaints = (complaints + text).slice(-4_000)));
  let ended;
  child.ended.then((how) => (ended = how));
  const url = `http://127.0.0.1:${port}`;
  const until = performance.now() + STARTS_WITHIN_MS;
  while (
    !(await fetch(url + readyPath).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (ended === undefined && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    await stop(child);
    throw new Error(`it did not start: ${ended ?? "it does not answer"}\n${complaints}`);
  }
  return { url: url + PATH, headers: requestHeaders, pid: child.pid, stop: () => stop(child) };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
