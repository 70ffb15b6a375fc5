// The problems and warnings of the text, each a button that leads to its line.

import { sentence, type Issue } from "./document_places.ts";

interface IssueListProps {
  issues: Issue[];
  warnings: Issue[];
  lineOf: (issue: Issue) => number;
  onShow: (issue: Issue) => void;
}

export function IssueList({ issues, warnings, lineOf, onShow }: IssueListProps) {
  if (issues.length + warnings.length === 0) return null;
  const item = (kind: "Problem" | "Warning") => (issue: Issue, index: number) => (
    <li key={`${kind}${index}`} class={kind === "Problem" ? "routes-issue routes-issue-bad" : "routes-issue routes-issue-warn"}>
      <button type="button" class="quiet" onClick={() => onShow(issue)}>
        Line {lineOf(issue)}
      </button>
      <p>
        <strong>{kind}</strong> <code>{issue.path}</code> {issue.code && <span class="hint">[{issue.code}]</span>}
        <br />
        {sentence(issue)}
      </p>
    </li>
  );
  return (
    <ul class="routes-issues" aria-label="Problems and warnings">
      {issues.map(item("Problem"))}
      {warnings.map(item("Warning"))}
    </ul>
  );
}
