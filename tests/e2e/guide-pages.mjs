// The guides of docs/guides, as lists of their blocks, and the comparison of what a guide shows
// with what its commands print.
//
// Kinds of blocks:
// - `json FILE`: a document that the reader saves under that name.
// - `sh`: commands that run. `sh fails`: the last one ends with an error. `sh needs-account`:
//   commands that only an account at a provider can answer; they are not run.
// - `text`: what the commands before it print, errors included. `…` in a line stands for any text,
//   a line of `…` alone for any lines. Commands without such a block print nothing.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./command-line.mjs";

export const FOLDER = join(ROOT, "docs/guides");
export const INDEX = "README.md";

// The names of the guides, without the index.
export const guides = () => readdirSync(FOLDER).filter((name) => name.endsWith(".md") && name !== INDEX);

export const pageOf = (name) => readFileSync(join(FOLDER, name), "utf8");

// The blocks of a page: {kind, words, line, text}, and `before`, the paragraph before the block.
export function blocksOf(page) {
  return [...page.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(({ 1: info, 2: text, index }) => {
    const [kind, ...words] = info.split(" ");
    const above = page.slice(0, index);
    return { kind, words, text, line: above.split("\n").length, before: above.trimEnd().split("\n\n").at(-1) };
  });
}

// What a guide asks its reader to do, in its order: {save: {name, text}, line}, or
// {run, fails, prints, line}.
export function stepsOf(page) {
  const steps = [];
  for (const block of blocksOf(page)) {
    const { kind, words, text, line } = block;
    if (kind === "json") steps.push({ save: { name: words[0], text }, line });
    else if (kind === "text") steps.at(-1).prints = text;
    else if (kind === "sh" && !words.includes("needs-account")) {
      steps.push({ run: text, fails: words.includes("fails"), prints: "", line });
    }
  }
  return steps;
}

// Whether commands print what the guide shows.
export function isAsShown(shown, printed) {
  const lines = shown.trimEnd().split("\n").map((line) => {
    if (line === "…") return "(?:.*\n)*?";
    return `${line.trimEnd().split("…").map(quoted).join(".*")}\n`;
  });
  const plain = printed.split("\n").map((line) => line.trimEnd()).join("\n").trimEnd();
  return new RegExp(`^${lines.join("")}$`).test(`${plain}\n`);
}

const quoted = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
