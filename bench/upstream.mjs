// Starts the stub and sets its answers.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { start, stop } from "./own.mjs";

const STUB = join(dirname(fileURLToPath(import.meta.url)), "stub.mjs");

export async function startUpstream() {
  const child = start([process.execPath, [STUB]], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const received = (key) =>
    new Promise((resolve, reject) => {
      const onMessage = (message) => {
        if (!(key in message)) return;
        child.off("message", onMessage);
        resolve(message[key]);
      };
      child.on("message", onMessage);
      child.ended.then((how) => reject(new Error(`the stub upstream is gone: ${how}`)));
    });
  const port = await received("port");
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    /** Sets the answer: completions, failures, burst, paced (an event every `pauseMs`) or held. */
    async answerWith(kind, { pauseMs } = {}) {
      child.send({ kind, pauseMs });
      await received("kind");
    },
    /** The number of calls since the answer was set. */
    async calls() {
      child.send({});
      return received("calls");
    },
    stop: () => stop(child),
  };
}
