// An edit of the routes document that is not saved yet.
//
// It lies in the session storage of the tab, so that a reload or another view does not lose it. It
// knows the version that it is based on: a change of somebody else in between is never overwritten
// without being seen.

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
