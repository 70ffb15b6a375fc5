// What differs between two texts of the document: side by side, or in one column on a narrow screen.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Difference as PlaceDifference } from "./routes_api";

const NARROW = "(max-width: 900px)";

interface DifferenceProps {
  old: string;
  new: string;
  oldLabel: string;
  newLabel: string;
}

export function Difference(props: DifferenceProps) {
  const place = useRef<HTMLDivElement>(null);
  const isNarrow = useMatches(NARROW);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let view: { close(): void } | undefined;
    let isGone = false;
    import("./document_editor").then(
      ({ openDifference }) => {
        if (!isGone && place.current) view = openDifference(place.current, { ...props, isNarrow });
      },
      () => setProblem("The view of differences could not be loaded. Reload the page."),
    );
    return () => {
      isGone = true;
      view?.close();
    };
  }, [props.old, props.new, props.oldLabel, props.newLabel, isNarrow]);
  if (props.old === props.new) return <p class="hint">Nothing differs.</p>;
  return (
    <div class="routes-difference">
      <div class="routes-difference-heads hint">
        <span>{props.oldLabel}</span>
        <span>{props.newLabel}</span>
      </div>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <div ref={place} class="scroll" />
    </div>
  );
}

/** The places that a version changed, as the registry has recorded them. */
export function PlaceList({ difference }: { difference: PlaceDifference }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="The places that it changed">
      <table>
        <caption class="routes-caption">The places that it changed</caption>
        <thead>
          <tr><th scope="col">Place</th><th scope="col">Before</th><th scope="col">After</th></tr>
        </thead>
        <tbody>
          {difference.changes.map(({ path, ...values }) => (
            <tr key={path}>
              <th scope="row" class="mono">{path}</th>
              <td>{"old" in values ? <code>{written(values.old)}</code> : <span class="hint">new</span>}</td>
              <td>{"new" in values ? <code>{written(values.new)}</code> : <span class="hint">removed</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {difference.more > 0 && <p class="hint">And {difference.more} more places.</p>}
    </div>
  );
}

const written = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function useMatches(query: string): boolean {
  const [isMatching, setMatching] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const onChange = () => setMatching(list.matches);
    list.addEventListener("change", onChange);
    return () => list.removeEventListener("change", onChange);
  }, [query]);
  return isMatching;
}
