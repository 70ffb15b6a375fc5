// Reads a curl command, as documentation and browsers show it, into a request to explain.
//
// It reads the words as a POSIX shell does, without running anything: what a shell would fill in
// (`$KEY`, `$(…)`) is not known here and is named. A key is taken apart from the other headers, so
// that it gets into no address.

import { words, type Word } from "./shell_words.ts";

export interface CurlRequest {
  method: string | undefined;
  /** The path with the query. */
  path: string;
  headers: [name: string, value: string][];
  /** The key of the client, if the command has one. */
  key: string | undefined;
  body: string | undefined;
  /** What was left out, and why. */
  notes: string[];
}

export type CurlReading = { request: CurlRequest } | { problem: string };

/** Options with a value that say nothing about the request. */
const IGNORED_WITH_VALUE = new Set([
  "-o", "--output", "-w", "--write-out", "-m", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "--retry-max-time",
  "-x", "--proxy", "--cacert", "--capath", "-E", "--cert", "--key", "--resolve", "--connect-to", "-c", "--cookie-jar", "--limit-rate",
  "--speed-limit", "-Y", "--speed-time", "-y", "--interface", "-D", "--dump-header", "--stderr", "--trace", "--trace-ascii", "--ciphers",
  "--tls-max", "-K", "--config", "--noproxy", "--max-redirs",
]);
/** Short options that take a value, so that `-XPOST` and `-sXPOST` can be distinguished from flags. */
const SHORT_WITH_VALUE = "XHdAebuFTowmxEcYyDK";

/** Reads a command. `curl` may be missing. */
export function readCurl(command: string): CurlReading {
  const split = words(command);
  if (typeof split === "string") return { problem: split };
  const rest = split[0] && /(^|\/)curl(\.exe)?$/.test(split[0].text) ? split.slice(1) : split;
  if (rest.length === 0) return { problem: "Paste a curl command with an address, such as: curl https://gateway.example.com/v1/chat/completions -d '{…}'" };
  return new Reader(rest).read();
}

class Reader {
  readonly #words: Word[];
  readonly #notes = new Set<string>();
  readonly #headers: [string, string][] = [];
  readonly #data: string[] = [];
  #method: string | undefined;
  #url: string | undefined;
  #key: string | undefined;
  #isJson = false;
  #isQuery = false;

  constructor(words: Word[]) {
    this.#words = words;
  }

  read(): CurlReading {
    for (let word = this.#words.shift(); word; word = this.#words.shift()) {
      const problem = word.text.startsWith("-") && word.text !== "-" ? this.#option(word) : this.#address(word);
      if (problem) return { problem };
    }
    if (this.#url === undefined) return { problem: "The command has no address, such as https://gateway.example.com/v1/chat/completions." };
    const path = pathOf(this.#url);
    if (!path) return { problem: `This is no address: ${this.#url}` };
    const data = this.#data.length > 0 ? this.#data.join(this.#isJson ? "" : "&") : undefined;
    if (this.#isJson && !this.#headers.some(([name]) => name === "content-type")) {
      this.#headers.push(["content-type", "application/json"]);
    }
    const query = this.#isQuery && data ? `${path.includes("?") ? "&" : "?"}${data}` : "";
    return {
      request: {
        method: this.#method ?? (this.#isQuery ? "GET" : undefined),
        path: path + query,
        headers: this.#headers,
        key: this.#key,
        body: this.#isQuery ? undefined : data,
        notes: [...this.#notes],
      },
    };
  }

  #address(word: Word): string | undefined {
    if (this.#url !== undefined) return `The command has two addresses: ${this.#url} and ${word.text}. Explain one after the other.`;
    // A variable in the host does not matter: only the path is explained.
    const found = /^(?:[a-z]+:\/\/)?[^/?#]*(.*)$/is.exec(word.text)?.[1] ?? "";
    for (const name of word.unknown) {
      if (found.includes(`$${name}`) || found.includes(`\${${name}}`)) this.#notes.add(`The address has the shell variable ${name}, whose value is not known here.`);
    }
    this.#url = word.text;
    return undefined;
  }

  #option(word: Word): string | undefined {
    const { text } = word;
    if (text.startsWith("--")) return this.#apply(text, undefined, word);
    for (let at = 1; at < text.length; at += 1) {
      const letter = text[at] ?? "";
      if (!SHORT_WITH_VALUE.includes(letter)) {
        const problem = this.#apply(`-${letter}`, undefined, word);
        if (problem) return problem;
        continue;
      }
      return this.#apply(`-${letter}`, at + 1 < text.length ? text.slice(at + 1) : undefined, word);
    }
    return undefined;
  }

  #apply(name: string, attached: string | undefined, word: Word): string | undefined {
    const value = (): Word | undefined => (attached === undefined ? this.#words.shift() : { text: attached, unknown: word.unknown });
    const missing = `The option ${name} has no value.`;
    switch (name) {
      case "-X":
      case "--request": {
        const method = value();
        if (!method) return missing;
        this.#method = method.text.toUpperCase();
        return undefined;
      }
      case "-H":
      case "--header": {
        const header = value();
        return header ? this.#header(header) : missing;
      }
      case "-d":
      case "--data":
      case "--data-ascii":
      case "--data-binary":
      case "--data-raw":
      case "--json": {
        const data = value();
        if (!data) return missing;
        if (name === "--json") this.#isJson = true;
        if (name !== "--data-raw" && data.text.startsWith("@")) return `${name} reads the file ${data.text.slice(1)}. Paste its content in place of it.`;
        this.#warnOfUnknown(data, "The body");
        this.#data.push(data.text);
        return undefined;
      }
      case "--data-urlencode": {
        const data = value();
        if (!data) return missing;
        const [, field = "", content = ""] = /^([^=@]*)=?(.*)$/s.exec(data.text) ?? [];
        this.#data.push(data.text.includes("=") ? `${field ? `${field}=` : ""}${encodeURIComponent(content)}` : encodeURIComponent(data.text));
        return undefined;
      }
      case "-G":
      case "--get":
        this.#isQuery = true;
        return undefined;
      case "-I":
      case "--head":
        this.#method = "HEAD";
        return undefined;
      case "--url": {
        const url = value();
        return url ? this.#address(url) : missing;
      }
      case "-A":
      case "--user-agent":
      case "-e":
      case "--referer": {
        const header = value();
        if (!header) return missing;
        this.#headers.push([name === "-A" || name === "--user-agent" ? "user-agent" : "referer", header.text]);
        return undefined;
      }
      case "-b":
      case "--cookie":
      case "-u":
      case "--user":
        if (!value()) return missing;
        this.#notes.add(`${name} is left out: clients of the gateway have keys.`);
        return undefined;
      case "-F":
      case "--form":
      case "--form-string":
      case "-T":
      case "--upload-file":
        return `${name} sends a form or a file, which cannot be explained from a command. Take the path and a JSON body instead.`;
      default:
        if (IGNORED_WITH_VALUE.has(name)) return value() ? undefined : missing;
        return undefined;
    }
  }

  #header({ text, unknown }: Word): string | undefined {
    const at = text.indexOf(":");
    if (at <= 0) return text.endsWith(";") ? undefined : `This is no header: ${text.slice(0, 40)}`;
    const name = text.slice(0, at).trim().toLowerCase();
    const value = text.slice(at + 1).trim();
    if (!isKeyHeader(name)) {
      this.#warnOfUnknown({ text, unknown }, `The header ${name}`);
      if (value !== "") this.#headers.push([name, value]);
      return undefined;
    }
    if (unknown.length > 0) {
      this.#notes.add(`The key is in the shell variable ${unknown.join(", ")}, which is not known here. Choose a client instead.`);
    } else {
      this.#key = value.replace(/^bearer\s+/i, "");
    }
    return undefined;
  }

  #warnOfUnknown({ unknown }: Word, what: string) {
    for (const name of unknown) this.#notes.add(`${what} has the shell variable ${name}, whose value is not known here.`);
  }
}

/** Whether a header has the key of a client. */
export function isKeyHeader(name: string): boolean {
  return ["authorization", "api-key", "x-api-key"].includes(name.toLowerCase());
}

function pathOf(url: string): string | undefined {
  const found = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*|[^/?#]*)([^#]*)/is.exec(url)?.[1];
  if (found === undefined) return undefined;
  return found.startsWith("/") ? found : `/${found}`;
}
