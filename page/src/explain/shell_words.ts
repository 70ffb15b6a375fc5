// The words of a command line, as a POSIX shell splits it, with the quotes `$'…'` of bash. Nothing is
// run, and nothing is filled in.

/** A word, and the names of the shell variables in it that are not known. */
export interface Word {
  text: string;
  unknown: string[];
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", e: "\x1b", E: "\x1b", f: "\f", v: "\v" };
const VARIABLE = /\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/y;

/** The words of a command line; a text says why it cannot be split. */
export function words(command: string): Word[] | string {
  const text = command.replace(/\r\n?/g, "\n").trim();
  const found: Word[] = [];
  let word: Word | undefined;
  let at = 0;
  const add = (part: string) => {
    word ??= { text: "", unknown: [] };
    word.text += part;
  };
  const variable = (): boolean => {
    VARIABLE.lastIndex = at;
    const name = VARIABLE.exec(text);
    if (!name) return false;
    add(name[0]);
    word?.unknown.push(name[1] ?? name[2] ?? "");
    at += name[0].length;
    return true;
  };
  while (at < text.length) {
    const here = text[at] ?? "";
    if (here === "\\" && text[at + 1] === "\n") {
      at += 2;
    } else if (/\s/.test(here)) {
      if (word) found.push(word);
      word = undefined;
      at += 1;
    } else if (here === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) return "A quote (') is not closed.";
      add(text.slice(at + 1, end));
      at = end + 1;
    } else if (here === "$" && text[at + 1] === "'") {
      const read = ansiQuoted(text, at + 2);
      if (!read) return "A quote ($'…') is not closed.";
      add(read.text);
      at = read.end;
    } else if (here === '"') {
      add("");
      at += 1;
      for (;;) {
        const inner = text[at];
        if (inner === undefined) return 'A quote (") is not closed.';
        if (inner === '"') break;
        if (inner === "\\" && text[at + 1] === "\n") at += 2;
        else if (inner === "\\" && '"\\$`'.includes(text[at + 1] ?? " ")) {
          add(text[at + 1] ?? "");
          at += 2;
        } else if (inner === "$" && variable()) continue;
        else if (inner === "`" || (inner === "$" && text[at + 1] === "(")) return "The command runs another one inside it ($(…)). Paste its result in place of it.";
        else {
          add(inner);
          at += 1;
        }
      }
      at += 1;
    } else if (here === "\\") {
      add(text[at + 1] ?? "");
      at += 2;
    } else if (here === "$" && variable()) {
      continue;
    } else if (here === "`" || (here === "$" && text[at + 1] === "(")) {
      return "The command runs another one inside it ($(…)). Paste its result in place of it.";
    } else if ("|;&<>".includes(here) || (here === "#" && !word)) {
      // What follows is another command, a file or a comment.
      break;
    } else {
      add(here);
      at += 1;
    }
  }
  if (word) found.push(word);
  return found;
}

/** The text of `$'…'` from after the quote, and where it ends. */
function ansiQuoted(text: string, from: number): { text: string; end: number } | undefined {
  let read = "";
  for (let at = from; at < text.length; ) {
    const here = text[at] ?? "";
    if (here === "'") return { text: read, end: at + 1 };
    if (here !== "\\") {
      read += here;
      at += 1;
      continue;
    }
    const code = /\\(?:x([0-9a-f]{1,2})|u([0-9a-f]{1,4})|U([0-9a-f]{1,8})|([0-7]{1,3}))/iy;
    code.lastIndex = at;
    const found = code.exec(text);
    if (found) {
      const value = found[4] === undefined ? Number.parseInt(found[1] ?? found[2] ?? found[3] ?? "", 16) : Number.parseInt(found[4], 8);
      read += value <= 0x10ffff ? String.fromCodePoint(value) : "";
      at += found[0].length;
    } else {
      const next = text[at + 1] ?? "";
      read += ESCAPES[next] ?? next;
      at += 2;
    }
  }
  return undefined;
}
