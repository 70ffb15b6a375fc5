// The editor of the routes document and the view of two versions beside each other: CodeMirror with
// the schema of the document. It is a chunk of its own, loaded when somebody opens it.

import { autocompletion, snippet, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { json } from "@codemirror/lang-json";
import { ensureSyntaxTree, HighlightStyle, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { lintGutter, linter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, hoverTooltip, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import written from "../../../routes.schema.json";
import { suggestionsAt, type Suggestion } from "./document_completion.ts";
import { pathAt, rangeOfIssue, sentence, type Issue, type Tree } from "./document_places.ts";
import { boundsOf, descriptionAt, formsAt, type Schema } from "./schema_guide.ts";

const SCHEMA = written as unknown as Schema;
/** How long a syntax tree may take, for a hint or a mark. Documents have some hundred lines. */
const PARSE_MS = 200;

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--accent)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
]);

const LOOK = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", fontSize: "13.5px" },
  "&.cm-focused": { outline: "2px solid var(--accent)" },
  ".cm-scroller": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--ground)", color: "var(--faint)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--on-accent)",
  },
  ".cm-panel input, .cm-panel button": { backgroundImage: "none", backgroundColor: "var(--surface)", color: "var(--text)" },
  ".cm-collapsedLines": { backgroundColor: "var(--ground)", backgroundImage: "none", color: "var(--faint)" },
  // Few fonts have the sign that is there otherwise.
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: '"…"' },
  ".cm-foldPlaceholder": { backgroundColor: "var(--ground)", borderColor: "var(--line)", color: "var(--faint)" },
});

/** What was removed and added. On these grounds, colours of the syntax have too little contrast. */
const DIFFERENCE_LOOK = EditorView.theme({
  ".cm-changedLine, .cm-inlineChangedLine, .cm-insertedLine": { backgroundColor: "var(--good-ground) !important" },
  "&.cm-merge-a .cm-changedLine, .cm-deletedChunk, .cm-deletedLine": { backgroundColor: "var(--bad-ground) !important" },
  "&.cm-merge-b .cm-changedText, .cm-insertedLine ins, .cm-changedText": { background: "none", textDecoration: "underline" },
  "&.cm-merge-a .cm-changedText, .cm-deletedChunk .cm-deletedText": { background: "none", textDecoration: "line-through" },
  ".cm-deletedChunk": { color: "var(--text)" },
});

const BASE: Extension = [json(), LOOK, EditorView.lineWrapping];

export interface DocumentEditor {
  text(): string;
  /** Replaces the whole text, as one step that can be undone. */
  setText(text: string): void;
  setReadOnly(isReadOnly: boolean): void;
  /** Marks these issues in the text. */
  mark(errors: Issue[], warnings: Issue[]): void;
  /** Selects the place of an issue, and shows it. */
  show(issue: Issue): void;
  /** The line of an issue, from 1. */
  lineOf(issue: Issue): number;
  close(): void;
}

export function openEditor(
  parent: HTMLElement,
  options: { text: string; label: string; isReadOnly: boolean; onChange: (text: string) => void },
): DocumentEditor {
  const editable = new Compartment();
  const access = (isReadOnly: boolean) => EditorState.readOnly.of(isReadOnly);
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        basicSetup,
        BASE,
        syntaxHighlighting(COLOURS),
        editable.of(access(options.isReadOnly)),
        autocompletion({ override: [complete] }),
        hoverTooltip(hint, { hoverTime: 400, hideOnChange: true }),
        lintGutter(),
        // Marks are set from outside, so that no stale answer marks a newer text.
        linter(null),
        // Axe does not know that what can be edited can be focused.
        EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  const rangeIn = (issue: Issue) => {
    const text = view.state.doc.toString();
    const { from, to } = rangeOfIssue(treeOf(view.state), text, issue);
    return { from: Math.min(from, text.length), to: Math.min(to, text.length) };
  };
  return {
    text: () => view.state.doc.toString(),
    setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    setReadOnly: (isReadOnly) => view.dispatch({ effects: editable.reconfigure(access(isReadOnly)) }),
    mark(errors, warnings) {
      const diagnostic = (severity: "error" | "warning") => (issue: Issue): Diagnostic => ({
        ...rangeIn(issue),
        severity,
        message: sentence(issue),
        ...(issue.code && { source: issue.code }),
      });
      const found = [...errors.map(diagnostic("error")), ...warnings.map(diagnostic("warning"))];
      view.dispatch(setDiagnostics(view.state, found.sort((one, other) => one.from - other.from)));
    },
    show(issue) {
      const { from, to } = rangeIn(issue);
      view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
      view.focus();
    },
    lineOf: (issue) => view.state.doc.lineAt(rangeIn(issue).from).number,
    close: () => view.destroy(),
  };
}

/** Shows what differs: side by side, or in one column where there is no room. */
export function openDifference(
  parent: HTMLElement,
  options: { old: string; new: string; oldLabel: string; newLabel: string; isNarrow: boolean },
): { close(): void } {
  const collapseUnchanged = { margin: 3, minSize: 6 };
  const shown = (label: string): Extension => [
    lineNumbers(),
    BASE,
    DIFFERENCE_LOOK,
    EditorState.readOnly.of(true),
    EditorView.editable.of(false),
    // What cannot be edited is a document to read, which the keyboard can scroll.
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", "aria-readonly": "true" }),
  ];
  if (options.isNarrow) {
    const view = new EditorView({
      parent,
      doc: options.new,
      extensions: [
        shown(`${options.oldLabel} and ${options.newLabel}`),
        unifiedMergeView({ original: options.old, mergeControls: false, syntaxHighlightDeletions: false, collapseUnchanged }),
      ],
    });
    return { close: () => view.destroy() };
  }
  const view = new MergeView({
    parent,
    a: { doc: options.old, extensions: shown(options.oldLabel) },
    b: { doc: options.new, extensions: shown(options.newLabel) },
    collapseUnchanged,
  });
  return { close: () => view.destroy() };
}

function treeOf(state: EditorState): Tree {
  return ensureSyntaxTree(state, state.doc.length, PARSE_MS) ?? syntaxTree(state);
}

function complete(context: CompletionContext): CompletionResult | null {
  const text = context.state.doc.toString();
  const found = suggestionsAt(SCHEMA, treeOf(context.state), text, context.pos);
  if (!found) return null;
  // Without a quote or a letter, nobody has begun to write yet.
  if (!context.explicit && found.from === context.pos) return null;
  const option = ({ name, text, kind, detail, description }: Suggestion): Completion => ({
    label: found.isQuoted ? JSON.stringify(name) : name,
    displayLabel: name,
    type: kind,
    ...(detail && { detail }),
    ...(description && { info: description }),
    apply: (view, completion, from) => {
      snippet(text)(view, completion, from, found.to + (view.state.doc.length - context.state.doc.length));
    },
  });
  return { from: found.from, options: found.suggestions.map(option), validFor: /^"?[\w$./@+-]*$/ };
}

function hint(view: EditorView, position: number) {
  const text = view.state.doc.toString();
  const at = pathAt(treeOf(view.state), text, position);
  const description = at && descriptionAt(SCHEMA, at.path);
  if (!at || !description) return null;
  const bounds = boundsOf(formsAt(SCHEMA, at.path));
  return {
    pos: at.range.from,
    end: at.range.to,
    create: () => {
      const dom = document.createElement("div");
      dom.className = "routes-hint";
      dom.append(paragraph(description));
      if (bounds) dom.append(paragraph(`A number, ${bounds}.`));
      return { dom };
    },
  };
}

function paragraph(text: string) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}
