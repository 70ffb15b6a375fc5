// What an administrator can do to a deployment, in words and as a call of the admin API.

/** What the dialog asked for. */
export interface Answers {
  why: string;
  fault: string;
  share: number;
  seconds: number;
}

export interface Act {
  id: string;
  /** The button that opens the dialog, without the name. */
  button: string;
  title: (name: string) => string;
  /** What happens, a sentence each. */
  says: string[];
  confirm: string;
  isDanger: boolean;
  /** Whether it asks for a kind of fault, a share and a time. */
  hasFault?: boolean;
  /** What is announced afterwards. */
  done: (name: string) => string;
  request: (name: string, answers: Answers) => { path: string; method: string; body?: unknown };
}

const post = (act: string) => (name: string, { why }: Answers) => {
  const query = why.trim() === "" ? "" : `?why=${encodeURIComponent(why.trim())}`;
  return { path: `/admin/api/deployments/${encodeURIComponent(name)}/${act}${query}`, method: "POST" };
};

export const DRAIN: Act = {
  id: "drain",
  button: "Drain",
  title: (name) => `Drain ${name}?`,
  says: [
    "It gets no new requests, in any region, until somebody enables it again.",
    "Requests that it is answering now go on to their end. Its traffic goes to the other targets; where there are none, requests fail.",
  ],
  confirm: "Drain",
  isDanger: true,
  done: (name) => `${name} is drained.`,
  request: post("drain"),
};

export const ENABLE: Act = {
  id: "enable",
  button: "Enable",
  title: (name) => `Enable ${name}?`,
  says: ["It gets requests again, in all regions. What was learned about it still holds: if it is ejected, it returns after a probe."],
  confirm: "Enable",
  isDanger: false,
  done: (name) => `${name} is enabled.`,
  request: post("enable"),
};

const RESET: Act = {
  id: "reset",
  button: "Reset",
  title: (name) => `Discard what was learned about ${name}?`,
  says: [
    "An ejection ends at once, and averages start again. If it still fails, some requests fail there first and go on to another deployment, until it is ejected again.",
    "A drain stays.",
  ],
  confirm: "Reset",
  isDanger: true,
  done: (name) => `What was learned about ${name} is discarded.`,
  request: post("reset"),
};

const SET_FAULT: Act = {
  id: "fault",
  button: "Drill",
  title: (name) => `Let ${name} fail for a time?`,
  says: [
    "The gateway itself answers a share of the attempts with a fault. Nothing is sent to the provider for them. Fallback, ejection and recovery are real.",
    "It ends by itself.",
  ],
  confirm: "Begin the drill",
  isDanger: true,
  hasFault: true,
  done: (name) => `The drill of ${name} has begun.`,
  request: (name, { why, fault, share, seconds }) => ({
    path: "/admin/api/faults",
    method: "POST",
    body: { deployment: name, fault, share, seconds, ...(why.trim() === "" ? {} : { why: why.trim() }) },
  }),
};

const END_FAULT: Act = {
  id: "end-fault",
  button: "End the drill",
  title: (name) => `End the drill of ${name}?`,
  says: ["Its requests go to the provider again. If it is ejected, it returns when a probe has passed."],
  confirm: "End the drill",
  isDanger: false,
  done: (name) => `The drill of ${name} has ended.`,
  request: (name, { why }) => ({
    path: `/admin/api/faults/${encodeURIComponent(name)}${why.trim() === "" ? "" : `?why=${encodeURIComponent(why.trim())}`}`,
    method: "DELETE",
  }),
};

/** The kinds of faults, as docs/drills.md explains them. */
export const FAULTS: [string, string][] = [
  ["500", "500: an error of the server"],
  ["429", "429: a rate limit"],
  ["hang", "hang: no answer"],
  ["cut", "cut: the answer breaks off"],
];

/** The acts that make sense now. */
export function actsFor({ isDrained, hasFault }: { isDrained: boolean; hasFault: boolean }): Act[] {
  return [isDrained ? ENABLE : DRAIN, RESET, hasFault ? END_FAULT : SET_FAULT];
}
