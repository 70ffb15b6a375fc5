// Starts the stub and sets its answers.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { start, stop } from "./own.mjs";

const STUB = join(dirname(fileURLToPath(import.meta.url)), "stub.mjs");

export async function startUpstream() {
  const child = start([process.execPath, [STUB]], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const told = (key) =>
    new Promise((resolve, reject) => {
      const heard = (message) => {
        if (!(key in message)) return;
        child.off("message", heard);
        resolve(message[key]);
      };
      child.on("message", heard);
      child.ended.then((how) => reject(new Error(`the stub upstream is gone: ${how}`)));
    });
  const port = await told("port");
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    /** Sets the answer: completions, failures, burst, paced (an event every `pauseMs`) or held. */
    async answerWith(kind, { pauseMs } = {}) {
      child.send({ kind, pauseMs });
      await told("kind");
    },
    /** The number of calls since the answer was set. */
    async calls() {
      child.send({});
      return told("calls");
    },
    stop: () => stop(child),
  };
}
