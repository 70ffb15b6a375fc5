// Calls of the admin API about issued keys.

import { callJson } from "../admin_api";
import type { IssuedKey } from "./issued_key.ts";

/** A new key. `key` is the key itself: the only answer that has it. */
export interface ShownKey extends IssuedKey {
  key: string;
}

export interface RotatedKey extends ShownKey {
  old: IssuedKey;
  ends_everywhere_within_seconds: number;
}

export interface EndedKey extends IssuedKey {
  ends_everywhere_within_seconds: number;
}

export interface KeyWish {
  client: string;
  name: string;
  owner?: string;
  models?: string[];
  expires?: string;
}

export interface KeyList {
  keys: IssuedKey[];
  /** Whether there are more than these. */
  isCut: boolean;
}

/** A page of the API has at most this many. */
const PAGE = 1000;
const MOST_PAGES = 5;

const PATH = "/admin/api/keys";

export async function readKeys(signal: AbortSignal): Promise<KeyList> {
  const keys: IssuedKey[] = [];
  let after = "";
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await callJson<{ keys: IssuedKey[]; next: string | null }>(`${PATH}?limit=${PAGE}${after}`, { signal });
    keys.push(...answer.keys);
    if (answer.next === null) return { keys, isCut: false };
    after = `&after=${encodeURIComponent(answer.next)}`;
  }
  return { keys, isCut: true };
}

// The reason goes into the query, which takes any letter; a header would not.
const because = (why: string) => (why.trim() === "" ? "" : `?why=${encodeURIComponent(why.trim())}`);
const one = (id: string) => `${PATH}/${encodeURIComponent(id)}`;

export const issueKey = (wish: KeyWish, why: string) => callJson<ShownKey>(`${PATH}${because(why)}`, { method: "POST", body: wish });

export const rotateKey = (id: string, overlapSeconds: number, why: string) =>
  callJson<RotatedKey>(`${one(id)}/rotate${because(why)}`, { method: "POST", body: { overlap_seconds: overlapSeconds } });

export const revokeKey = (id: string, why: string) => callJson<EndedKey>(`${one(id)}${because(why)}`, { method: "DELETE" });
