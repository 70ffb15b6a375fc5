// Which view is shown: `#/requests/ID?status=failed` is the view `requests` with the argument `ID`.
// Everything that somebody may want to pass on to a colleague stands in the address.

import { useEffect, useState } from "preact/hooks";

export interface Location {
  view: string;
  argument: string | undefined;
  query: URLSearchParams;
}

export function parseLocation(hash: string): Location {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  const argument = rest.join("/");
  return { view: view || "now", argument: argument === "" ? undefined : decode(argument), query: new URLSearchParams(query) };
}

/** The address of a view, for `href`. */
export function linkTo(view: string, argument?: string, query?: Record<string, string>) {
  const path = argument === undefined ? view : `${view}/${encodeURIComponent(argument)}`;
  const search = new URLSearchParams(query).toString();
  return `#/${path}${search && `?${search}`}`;
}

export function go(view: string, argument?: string, query?: Record<string, string>) {
  window.location.hash = linkTo(view, argument, query);
}

export function useLocation(): Location {
  const [hash, setHash] = useState(window.location.hash);
  useEffect(() => {
    const onChange = () => setHash(window.location.hash);
    window.addEventListener("hashchange", onChange);
    onChange(); // It may have changed since the first rendering.
    return () => window.removeEventListener("hashchange", onChange);
  }, []);
  return parseLocation(hash);
}

function decode(text: string) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
