// Everything else that a record has, as names and values. What is not known is left out.

import type { ComponentChildren } from "preact";
import { CopyButton } from "../elements/copy_button";
import { count, dollars, duration } from "../format.ts";
import { linkTo } from "../location";
import type { RequestRecord } from "./request_record.ts";

export function RecordFacts({ record }: { record: RequestRecord }) {
  const { ms, usage } = record;
  const labels = Object.entries(record.labels ?? {}).map(([name, value]) => `${name}: ${value}`).join(", ");
  return (
    <dl class="requests-facts">
      <Fact name="Client">{record.client && <a href={linkTo("requests", undefined, { client: record.client })}>{record.client}</a>}</Fact>
      <Fact name="Issued key">{record.key}</Fact>
      <Fact name="Labels">{labels}</Fact>
      <Fact name="Operation">{record.operation && `${record.operation}${record.stream ? ", as a stream" : ""}`}</Fact>
      <Fact name="Model (entry node)">{record.model && <a href={linkTo("requests", undefined, { model: record.model })}>{record.model}</a>}</Fact>
      <Fact name="Deployment">{record.deployment && `${record.deployment} (${record.provider}: ${record.upstream_model})`}</Fact>
      <Fact name="Outcome">{[record.outcome, record.reason].filter(Boolean).join(": ")}</Fact>
      <Fact name="Kept answers">{record.cache}</Fact>
      <Fact name="Drill">{record.drill && "a drill answered one of the attempts"}</Fact>
      <Fact name="Time">
        {duration(ms.total)} in all: {duration(ms.upstream)} waiting for upstreams,
        {ms.backoff > 0 && ` ${duration(ms.backoff)} between attempts,`} {duration(ms.own)} of the gateway
      </Fact>
      <Fact name="First token">{ms.first_token !== undefined && `after ${duration(ms.first_token)} of the serving attempt`}</Fact>
      <Fact name="Usage">{usageText(usage)}</Fact>
      <Fact name="Cost">{record.micro_usd !== undefined && dollars(record.micro_usd, { exact: true })}</Fact>
      <Fact name="Place">{[record.colo, record.country].filter(Boolean).join(", client in ")}</Fact>
      <Fact name="Routes document"><a href={linkTo("routes", `history/${record.routes}`)}><code>{record.routes}</code></a></Fact>
      <Id name="AI Gateway's log id" id={record.cf_aig_log_id} />
      <Id name="Provider's request id" id={record.upstream_request_id} />
      <Id name="Trace id" id={record.trace_id} />
      <Id name="Cloudflare ray" id={record.cf_ray} />
    </dl>
  );
}

function usageText(usage: RequestRecord["usage"]) {
  const parts: [number | undefined, string][] = [
    [usage.input_tokens, "input tokens"],
    [usage.cached_input_tokens, "of them cached"],
    [usage.output_tokens, "output tokens"],
    [usage.reasoning_tokens, "of them reasoning"],
    [usage.images, "images"],
    [usage.characters, "characters"],
  ];
  const texts = parts.filter(([value]) => value).map(([value, unit]) => `${count(value ?? 0)} ${unit}`);
  if (usage.audio_ms) texts.push(`${duration(usage.audio_ms)} of audio`);
  if (texts.length === 0) return "none";
  return `${texts.join(", ")}${usage.estimated ? " (estimated)" : ""}`;
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  if (!children) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Id({ name, id }: { name: string; id: string | undefined }) {
  if (!id) return null;
  return (
    <Fact name={name}>
      <span class="row"><code>{id}</code> <CopyButton text={id} name={name} /></span>
    </Fact>
  );
}
