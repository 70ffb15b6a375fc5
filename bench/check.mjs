// The check before each measurement: the answer is complete, correct and from the candidate.

import { MARK } from "./stub-answers.mjs";

export async function check(candidate, { url, headers, body, isStream = false }) {
  const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  const complain = (what) => {
    throw new Error(`${what}: ${response.status} ${text.slice(0, 500)}`);
  };
  if (response.status !== 200) complain("expected status 200");
  if (!text.includes(MARK)) complain("expected the stub's answer");
  if (candidate.recognises && !candidate.recognises(response))
    complain("the answer is not labelled as this candidate's");
  if (isStream) {
    if (!text.trimEnd().endsWith("data: [DONE]")) complain("expected a stream that ends with [DONE]");
  } else if (JSON.parse(text).choices[0].finish_reason !== "stop") complain("expected a whole completion");
}
