// An edit of the routes document that is not saved yet.
//
// It lies in the session storage of the tab, so that a reload or another view does not lose it. It
// knows the version that it is based on: a change of somebody else in between is never overwritten
// without being seen.

import { diff } from "@codemirror/merge";

export interface Draft {
  /** The version that it is based on, and its text. */
  base: string;
  original: string;
  text: string;
}

const PLACE = "switchyard.routes.draft";

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export function storedDraft(store: Store): Draft | undefined {
  try {
    const draft = JSON.parse(store.getItem(PLACE) ?? "") as Partial<Draft>;
    const { base, original, text } = draft;
    const isWhole = [base, original, text].every((part) => typeof part === "string");
    return isWhole && text !== original ? (draft as Draft) : undefined;
  } catch {
    return undefined;
  }
}

/** Stores a draft, or removes it if nothing is edited. Returns whether it survives a reload. */
export function storeDraft(store: Store, draft: Draft): boolean {
  try {
    if (draft.text === draft.original) store.removeItem(PLACE);
    else store.setItem(PLACE, JSON.stringify(draft));
    return true;
  } catch {
    // The storage is full. An older draft must not come back in place of this one.
    store.removeItem(PLACE);
    return false;
  }
}

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
