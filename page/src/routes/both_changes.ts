// Two changes of one text put together, line by line: mine and somebody else's.
//
// A module of its own, because it is needed rarely and brings the differences of CodeMirror with it.

import { diff } from "@codemirror/merge";

/** A change of whole lines of the original, as offsets. */
interface LineChange {
  from: number;
  to: number;
  text: string;
}

/**
 * Both changes of one text together: mine and theirs. `undefined` if they touch the same lines, so
 * that a person has to decide.
 */
export function bothChanges(original: string, mine: string, theirs: string): string | undefined {
  if (mine === theirs) return mine;
  const changes = [...lineChanges(original, mine), ...lineChanges(original, theirs)];
  changes.sort((one, other) => one.from - other.from || one.to - other.to);
  let text = "";
  let end = 0;
  let isFirst = true;
  for (const change of changes) {
    // Neighbouring changes count as a conflict, too: two insertions at one place have no order.
    if (!isFirst && change.from <= end) return undefined;
    text += original.slice(end, change.from) + change.text;
    end = change.to;
    isFirst = false;
  }
  return text + original.slice(end);
}

function lineChanges(original: string, changed: string): LineChange[] {
  const found: { fromA: number; toA: number; fromB: number; toB: number }[] = [];
  for (const { fromA, toA, fromB, toB } of diff(original, changed)) {
    const before = fromA - (original.lastIndexOf("\n", fromA - 1) + 1);
    const next = original.indexOf("\n", toA);
    const after = (next < 0 ? original.length : next + 1) - toA;
    const lines = { fromA: fromA - before, toA: toA + after, fromB: fromB - before, toB: toB + after };
    const last = found.at(-1);
    // The end of the earlier one was reckoned without the later one.
    if (last && lines.fromA <= last.toA) Object.assign(last, { toA: lines.toA, toB: lines.toB });
    else found.push(lines);
  }
  return found.map(({ fromA, toA, fromB, toB }) => ({ from: fromA, to: toA, text: changed.slice(fromB, toB) }));
}
