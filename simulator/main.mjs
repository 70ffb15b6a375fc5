// Runs the simulator as a program: node simulator/main.mjs [--port-base N] [--lenient]

import { parseArgs } from "node:util";
import { startSimulator } from "./simulator.mjs";

const USAGE = `Simulates one OpenAI account, two Azure OpenAI regions and an AI Gateway on 127.0.0.1. Faults can be
set over HTTP.

node simulator/main.mjs [--port-base N] [--lenient]

  --port-base N  use the ports N (OpenAI), N+1 (East US), N+2 (West Europe), N+3 (AI Gateway) and
                 N+4 (control); default: any free ports
  --lenient      accept every model, deployment and api-version
  --help         this text
`;

const OPTIONS = {
  "port-base": { type: "string" },
  lenient: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};
const NAMES = ["openai", "eastus", "westeurope", "aiGateway"];

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return process.stdout.write(USAGE);
  const simulator = await startSimulator({ ports: portsFrom(values["port-base"]), lenient: values.lenient });
  process.stdout.write(welcome(simulator));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => simulator.close());
}

function portsFrom(text) {
  if (text === undefined) return {};
  const base = Number(text);
  if (!Number.isInteger(base) || base < 1 || base > 65_531) throw new Error(`--port-base ${text}: expected 1 to 65531`);
  return Object.fromEntries([...NAMES, "control"].map((name, index) => [name, base + index]));
}

function welcome(simulator) {
  const control = simulator.control.url;
  const post = (fault) => `curl -s ${control}/faults -d '${JSON.stringify(fault)}'`;
  const rows = NAMES.map((name) => `${name.padEnd(12)}${simulator[name].endpoint.padEnd(28)}${simulator[name].key}`);
  return `${"upstream".padEnd(12)}${"endpoint".padEnd(28)}key
${rows.join("\n")}
${"control".padEnd(12)}${control.padEnd(28)}(GET / shows the help)

OpenAI is out of quota until the fault is removed:
  ${post({ upstream: "openai", fault: "quota" })}
East US refuses connections for a minute:
  ${post({ upstream: "eastus", fault: { refuse: true }, for_ms: 60_000 })}
The next stream from West Europe breaks after three chunks:
  ${post({ upstream: "westeurope", fault: { cut_after: 3 }, times: 1, when: { stream: true } })}
Remove all faults, and show the recorded calls:
  curl -s -X DELETE ${control}/faults; curl -s ${control}/calls
`;
}
