// The view "Explain": a request, typed or pasted, and where it would go now and why. Nothing is sent
// to a provider.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { callJson, type ApiError } from "../admin_api";
import { conditionText } from "../graph/condition_text.ts";
import { partOf } from "../graph/graph_part.ts";
import { highlightOf } from "../graph/highlight.ts";
import { readRouteGraph } from "../graph/route_graph.ts";
import { RoutePicture } from "../graph/route_picture";
import { linkTo, type Location } from "../location";
import { readDocument } from "../routes/routes_api";
import { readCurl } from "./curl_command.ts";
import { emptyForm, formOf, formOfCurl, modelOf, queryOf, requestOf, withModel, type ExplainForm } from "./explain_form.ts";
import type { Explanation } from "./explanation.ts";
import { ExplainedWay } from "./explained_way";

const PATHS = [
  "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations", "/v1/images/generations",
  "/v1/audio/speech", "/v1/models", "/v1/files", "/v1/batches",
];
const METHODS = ["POST", "GET", "DELETE", "PUT", "PATCH", "HEAD"];

interface NamedDocument {
  text: string;
  version: string;
  models: string[];
  clients: string[];
  rules: unknown[];
}

export function ExplainView({ location }: { location: Location }) {
  const [served, setServed] = useState<NamedDocument>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    readNames().then(setServed, (error: ApiError) => setProblem(error.message));
  }, []);
  return (
    <div class="explain">
      <h1>Explain</h1>
      <p class="hint">Where a request would go now, and why. No provider is called, and nothing changes.</p>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {!served && !problem && <p class="hint">Loading …</p>}
      {served && <Explainer served={served} location={location} />}
    </div>
  );
}

function Explainer({ served, location }: { served: NamedDocument; location: Location }) {
  const asked = useMemo(() => formOf(location.query), [location.query.toString()]);
  const [form, setForm] = useState<ExplainForm>(asked ?? emptyForm(served.clients[0] ?? "", served.models[0] ?? ""));
  const [result, setResult] = useState<Explanation>();
  const [problem, setProblem] = useState("");
  const [leftOut, setLeftOut] = useState<string[]>([]);
  const [isBusy, setBusy] = useState(false);
  const shown = useRef("");
  const underWay = useRef<AbortController>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  const set = (part: Partial<ExplainForm>) => setForm((known) => ({ ...known, ...part }));

  const explain = async (wanted: ExplainForm) => {
    setProblem("");
    const body = requestOf(wanted);
    if (typeof body === "string") {
      setResult(undefined);
      return setProblem(body);
    }
    const address = queryOf(wanted);
    setLeftOut(address.leftOut);
    shown.current = new URLSearchParams(address.query).toString();
    window.location.replace(linkTo("explain", undefined, address.query));
    underWay.current?.abort();
    const own = new AbortController();
    underWay.current = own;
    setBusy(true);
    try {
      const found = await callJson<Explanation>("/admin/api/explain", { method: "POST", body, signal: own.signal });
      if (own.signal.aborted) return;
      setResult(found);
    } catch (error) {
      // A later question was asked meanwhile.
      if (own.signal.aborted) return;
      setResult(undefined);
      setProblem((error as ApiError).message);
    }
    setBusy(false);
  };
  // An address with a request, such as a link from another view, is explained at once.
  useEffect(() => {
    if (!asked || location.query.toString() === shown.current) return;
    setForm(asked);
    void explain(asked);
  }, [asked]);

  const submit = async (event: Event) => {
    event.preventDefault();
    await explain(form);
    heading.current?.focus();
  };
  const condition = result?.rule == null ? "" : conditionText((served.rules[result.rule] as { when?: unknown } | undefined)?.when);
  return (
    <div class="explain-parts">
      <form class="panel explain-form" onSubmit={submit} aria-label="The request">
        <Pasted onRead={(next) => { setForm(next); void explain(next); }} form={form} />
        <Field label="Path">
          {(id) => (
            <>
              <input id={id} list={`${id}-list`} required value={form.path} spellcheck={false} onInput={(event) => set({ path: event.currentTarget.value })} />
              <datalist id={`${id}-list`}>{PATHS.map((path) => <option key={path} value={path} />)}</datalist>
            </>
          )}
        </Field>
        <div class="explain-pair">
          <Field label="Model">
            {(id) => {
              const model = modelOf(form.body) ?? "";
              return (
                <select id={id} value={model} onChange={(event) => set({ body: withModel(form.body, event.currentTarget.value) })}>
                  {!served.models.includes(model) && <option value={model}>{model === "" ? "none" : `${model} (no node)`}</option>}
                  {served.models.map((name) => <option key={name}>{name}</option>)}
                </select>
              );
            }}
          </Field>
          <Field label="Method">
            {(id) => (
              <select id={id} value={form.method} onChange={(event) => set({ method: event.currentTarget.value })}>
                <option value="">as usual</option>
                {METHODS.map((method) => <option key={method}>{method}</option>)}
              </select>
            )}
          </Field>
        </div>
        <Field label="As client">
          {(id) => (
            <select id={id} value={form.client} onChange={(event) => set({ client: event.currentTarget.value })}>
              {form.client !== "" && !served.clients.includes(form.client) && <option value={form.client}>{form.client} (not in the document)</option>}
              {served.clients.map((name) => <option key={name}>{name}</option>)}
              <option value="">whoever has the key below</option>
            </select>
          )}
        </Field>
        {form.client === "" && (
          <Field label="Key" hint="It goes to this gateway in the body of the call, and is neither stored nor put into the address.">
            {(id, hint) => (
              <input id={id} type="password" autocomplete="off" aria-describedby={hint} value={form.key} onInput={(event) => set({ key: event.currentTarget.value })} />
            )}
          </Field>
        )}
        <Field label="Body">
          {(id) => <textarea id={id} class="mono" rows={8} spellcheck={false} value={form.body} onInput={(event) => set({ body: event.currentTarget.value })} />}
        </Field>
        <details open={form.headers !== "" || form.country !== "" || form.colo !== ""}>
          <summary>Headers and place</summary>
          <Field label="Headers" hint="One in each line: x-team: search">
            {(id, hint) => <textarea id={id} class="mono" rows={3} spellcheck={false} aria-describedby={hint} value={form.headers} onInput={(event) => set({ headers: event.currentTarget.value })} />}
          </Field>
          <div class="explain-pair">
            <Field label="Country (DE)">
              {(id) => <input id={id} maxLength={2} value={form.country} onInput={(event) => set({ country: event.currentTarget.value.toUpperCase() })} />}
            </Field>
            <Field label="Data centre (FRA)">
              {(id) => <input id={id} maxLength={3} value={form.colo} onInput={(event) => set({ colo: event.currentTarget.value.toUpperCase() })} />}
            </Field>
          </div>
        </details>
        <button type="submit" disabled={isBusy}>Explain</button>
        {leftOut.length > 0 && <p class="hint" role="status">Not in the address: {leftOut.join(", ")}.</p>}
      </form>
      <section class="explain-answer" aria-labelledby="explain-answer">
        <h2 id="explain-answer" ref={heading} tabIndex={-1}>Its way</h2>
        {problem && <p class="problem" role="alert">{problem}</p>}
        {!result && !problem && <p class="hint">Type a request, or paste a curl command, and press Explain.</p>}
        {result && (
          <>
            {result.routes !== served.version && (
              <p class="warning">
                This is by version <code>{result.routes}</code>, and the graph is that of <code>{served.version}</code>: the
                routes have changed, or a canary runs. Reload the page.
              </p>
            )}
            <ExplainedWay explanation={result} condition={condition} />
            <Drawn explanation={result} document={served.text} />
          </>
        )}
      </section>
    </div>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  children: (id: string, hint: string | undefined) => ComponentChildren;
}

function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="explain-field">
      <label for={id}>{label}</label>
      {children(id, hint && `${id}-hint`)}
      {hint && <p id={`${id}-hint`} class="hint">{hint}</p>}
    </div>
  );
}

/** A curl command fills the form. */
function Pasted({ form, onRead }: { form: ExplainForm; onRead: (form: ExplainForm) => void }) {
  const [text, setText] = useState("");
  const [said, setSaid] = useState<{ problem?: string; notes?: string[] }>({});
  const id = useId();
  const read = (command: string) => {
    const reading = readCurl(command);
    if ("problem" in reading) return setSaid({ problem: reading.problem });
    setSaid({ notes: reading.request.notes });
    // The command may have a key, so it does not stay on the screen.
    setText("");
    onRead(formOfCurl(reading.request, form));
  };
  return (
    <details>
      <summary>Paste a curl command</summary>
      <div class="explain-field">
        <label for={id}>curl command</label>
        <textarea id={id} class="mono" rows={4} spellcheck={false} value={text} placeholder={"curl https://…/v1/chat/completions \\\n  -d '{\"model\": \"chat\", …}'"} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="button" disabled={text.trim() === ""} onClick={() => read(text)}>Explain this command</button>
        {said.problem && <p class="problem" role="alert">{said.problem}</p>}
        {said.notes?.map((note) => <p key={note} class="warning">{note}</p>)}
      </div>
    </details>
  );
}

/** The way on the graph: what the entry node leads to, with the numbers of the attempts. */
function Drawn({ explanation: { course, entry, rule }, document }: { explanation: Explanation; document: string }) {
  const graph = useMemo(() => readRouteGraph(document), [document]);
  const [isWhole, setWhole] = useState(false);
  const part = useMemo(() => {
    const found = graph && entry && !isWhole ? partOf(graph, entry) : graph;
    // The node of a request for a stored object is not in the document.
    return found && found.boxes.length > 0 ? found : graph;
  }, [graph, entry, isWhole]);
  if (!course || !part || part.boxes.length === 0) return null;
  return (
    <>
      <h3>On the graph</h3>
      <RoutePicture graph={part} label="The way of the request on the graph" highlight={highlightOf(part, course.tree, rule)} />
      <p>
        <label>
          <input type="checkbox" checked={isWhole} onChange={() => setWhole(!isWhole)} /> show the whole document
        </label>
      </p>
    </>
  );
}

async function readNames(): Promise<NamedDocument> {
  const { text, version } = await readDocument();
  const names = (value: unknown) => (typeof value === "object" && value !== null ? Object.keys(value) : []);
  let document: { models?: unknown; clients?: unknown; rules?: unknown } = {};
  try {
    document = JSON.parse(text) as typeof document;
  } catch {
    // A document that is no JSON cannot serve; then another one does, and names can be typed.
  }
  return { text, version, models: names(document.models), clients: names(document.clients), rules: Array.isArray(document.rules) ? document.rules : [] };
}
