// The frame of the page: who is signed in, the list of views, and the view that is shown.

import { lazy, Suspense } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { SIGNED_OUT, token } from "./admin_api";
import { Boundary } from "./boundary";
import { linkTo, useLocation } from "./location";
import { NowView } from "./now/now_view";
import { SignIn } from "./sign_in";

const RequestsView = lazy(() => import("./requests/requests_view").then((module) => module.RequestsView));
const UsageView = lazy(() => import("./usage/usage_view").then((module) => module.UsageView));
const RoutesView = lazy(() => import("./routes/routes_view").then((module) => module.RoutesView));
const ExplainView = lazy(() => import("./explain/explain_view").then((module) => module.ExplainView));

const VIEWS = [
  { name: "now", title: "Now", View: NowView },
  { name: "requests", title: "Requests", View: RequestsView },
  { name: "usage", title: "Usage", View: UsageView },
  { name: "routes", title: "Routes", View: RoutesView },
  { name: "explain", title: "Explain", View: ExplainView },
];

export function App() {
  const location = useLocation();
  // With a token of this tab, the view begins at once: its own calls notice if it is refused.
  const [isSignedIn, setSignedIn] = useState(token.get() !== "");
  const current = VIEWS.find(({ name }) => name === location.view) ?? VIEWS[0]!;
  // A token that was replaced leads back to the form, whichever view notices it.
  useEffect(() => {
    const onSignedOut = () => setSignedIn(false);
    window.addEventListener(SIGNED_OUT, onSignedOut);
    return () => window.removeEventListener(SIGNED_OUT, onSignedOut);
  }, []);
  // A screen reader reads on where the new view begins, as after the load of a page.
  const shown = `${current.name} ${location.argument ?? ""}`;
  const lastShown = useRef(shown);
  useEffect(() => {
    document.title = [location.argument, current.title, "Switchyard"].filter(Boolean).join(" · ");
    if (lastShown.current === shown) return;
    lastShown.current = shown;
    document.getElementById("main")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [shown]);
  if (!isSignedIn) return <SignIn onDone={() => setSignedIn(true)} />;
  const { View } = current;
  // The address has the view: it is not for places within it.
  const skip = (event: Event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  const signOut = () => {
    token.forget();
    setSignedIn(false);
  };
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>Skip to content</a>
      <header class="bar">
        <strong class="brand">Switchyard</strong>
        <nav aria-label="Views">
          {VIEWS.map(({ name, title }) => (
            <a key={name} href={linkTo(name)} aria-current={current.name === name ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={signOut}>Sign out</button>
      </header>
      <main id="main" tabIndex={-1}>
        <Boundary key={current.name}>
          <Suspense fallback={<p class="hint">Loading …</p>}>
            <View location={location} />
          </Suspense>
        </Boundary>
      </main>
    </>
  );
}
