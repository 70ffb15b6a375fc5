// Edits of the routes document that are not saved yet.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bothChanges } from "../../page/src/routes/both_changes.ts";
import { storedDraft, storeDraft } from "../../page/src/routes/draft.ts";

function store(most = Infinity) {
  const values = new Map<string, string>();
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (value.length > most) throw new DOMException("full", "QuotaExceededError");
      values.set(key, value);
    },
    removeItem: (key: string) => void values.delete(key),
  };
}

test("a draft survives as long as it differs from its base", () => {
  const place = store();
  assert.equal(storedDraft(place), undefined);
  const draft = { base: "3f2a", original: "{}", text: '{"version": 1}' };
  assert.ok(storeDraft(place, draft));
  assert.deepEqual(storedDraft(place), draft);
  assert.ok(storeDraft(place, { ...draft, text: "{}" }));
  assert.equal(storedDraft(place), undefined);
});

test("what is no draft is none", () => {
  for (const text of ["", "[]", "null", "{", '{"base": 1, "original": "", "text": "x"}']) {
    const place = store();
    place.setItem("switchyard.routes.draft", text);
    assert.equal(storedDraft(place), undefined, text);
  }
});

test("a draft that does not fit is not kept, and no older one comes back", () => {
  const place = store(100);
  assert.ok(storeDraft(place, { base: "a", original: "", text: "old" }));
  assert.equal(storeDraft(place, { base: "a", original: "", text: "x".repeat(200) }), false);
  assert.equal(storedDraft(place), undefined);
});

const LINES = Array.from({ length: 12 }, (_, index) => `line ${index}\n`).join("");

test("changes of different lines come together", () => {
  const mine = LINES.replace("line 1\n", "mine\n").replace("line 11\n", "");
  const theirs = LINES.replace("line 5\n", "line 5\ntheirs\n");
  const both = bothChanges(LINES, mine, theirs);
  assert.equal(both, mine.replace("line 5\n", "line 5\ntheirs\n"));
  assert.equal(bothChanges(LINES, theirs, mine), both, "whoever comes first");
});

test("changes of the same or of neighbouring lines are for a person to decide", () => {
  assert.equal(bothChanges(LINES, LINES.replace("line 4", "mine"), LINES.replace("line 4", "theirs")), undefined);
  assert.equal(bothChanges(LINES, LINES.replace("line 4", "mine"), LINES.replace("line 5", "theirs")), undefined);
  assert.equal(bothChanges("{}", '{"a": 1}', '{"b": 1}'), undefined, "a document of one line");
});

test("the same change twice is one, and no change leaves the other as it is", () => {
  const changed = LINES.replace("line 4", "changed");
  assert.equal(bothChanges(LINES, changed, changed), changed);
  assert.equal(bothChanges(LINES, LINES, changed), changed);
  assert.equal(bothChanges(LINES, changed, LINES), changed);
});

test("random changes that come together have both, and those that do not are refused", () => {
  // A generator with a seed, so that a failure can be repeated.
  let state = 7;
  const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
  let together = 0;
  for (let round = 0; round < 300; round += 1) {
    const lines = Array.from({ length: 30 }, (_, index) => `l${index} ${"x".repeat(random(9))}\n`);
    const change = (mark: string) => {
      const at = random(30);
      const changed = [...lines];
      changed.splice(at, random(3), ...Array.from({ length: random(3) }, (_, index) => `${mark}${round}.${index}\n`));
      return changed.join("");
    };
    const [mine, theirs] = [change("m"), change("t")];
    const both = bothChanges(lines.join(""), mine, theirs);
    if (both === undefined) continue;
    together += 1;
    const marks = (text: string) => text.split("\n").filter((line) => /^[mt]\d/.test(line));
    assert.deepEqual(marks(both).sort(), [...marks(mine), ...marks(theirs)].sort(), `round ${round}`);
    for (const line of lines) {
      const isKept = mine.includes(line) && theirs.includes(line);
      assert.equal(both.includes(line), isKept, `round ${round}: ${line}`);
    }
  }
  assert.ok(together > 100, String(together));
});
