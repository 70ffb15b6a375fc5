// The script of a drill: reads it, and says what is wrong with it and how to mend it.

const FAULTS = ["429", "500", "hang", "cut"];

const TEXT = { is: (value) => typeof value === "string" && value.trim() !== "", words: "a text" };
const NAMES = {
  is: (value) => Array.isArray(value) && value.length > 0 && value.every(TEXT.is),
  words: 'a list of deployments, such as ["openai"]',
};
const FLAG = { is: (value) => typeof value === "boolean", words: "true or false" };
const number = (from, to, unit, isWhole = true) => ({
  is: (value) => typeof value === "number" && value >= from && value <= to && (!isWhole || Number.isInteger(value)),
  words: `a ${isWhole ? "whole " : ""}number from ${from} to ${to} (${unit})`,
});
const SECONDS = number(1, 3_600, "seconds");

/** The members of a script. `!`: it is needed. */
const SCRIPT = { "name!": TEXT, "model!": TEXT, stream: FLAG, "steps!": { is: Array.isArray, words: "a list of steps" } };

/** What a step of traffic may expect. */
const EXPECT = {
  errors_at_most_percent: number(0, 100, "percent of the requests", false),
  p95_at_most_ms: number(1, 3_600_000, "milliseconds"),
  served_by: NAMES,
  ejected: NAMES,
  serves_again: NAMES,
};

/** The members of each kind of step, beside `do`. */
const STEPS = {
  traffic: {
    "name!": TEXT,
    "seconds!": SECONDS,
    "per_second!": number(0.1, 200, "requests a second", false),
    expect: { is: isObject, words: "an object" },
  },
  fault: {
    "deployment!": TEXT,
    "fault!": { is: (value) => FAULTS.includes(value), words: `one of ${FAULTS.map((fault) => `"${fault}"`).join(", ")}` },
    share: number(1, 100, "percent of the attempts"),
    seconds: SECONDS,
    why: TEXT,
  },
  end: { "deployment!": TEXT },
  wait: { "seconds!": SECONDS },
};

/**
 * Reads the text of a script. Throws an error whose message lists all problems, with their places
 * and what to write there.
 */
export function parseScript(text, name) {
  let script;
  try {
    script = JSON.parse(text);
  } catch (error) {
    throw new Error(`${name}: this is not JSON: ${error.message}`);
  }
  const problems = [];
  check(script, SCRIPT, "the script", problems);
  const steps = isObject(script) && Array.isArray(script.steps) ? script.steps : [];
  steps.forEach((step, index) => checkStep(step, `steps[${index}]`, problems));
  if (problems.length === 0) checkOrder(steps, problems);
  if (problems.length > 0) throw new Error([`${name}:`, ...problems.map((problem) => `  ${problem}`)].join("\n"));
  return script;
}

function checkStep(step, place, problems) {
  const kinds = Object.keys(STEPS);
  if (!isObject(step)) return void problems.push(`${place}: expected an object with "do": ${listed(kinds)}`);
  if (!Object.hasOwn(STEPS, step.do)) {
    return void problems.push(`${place}.do: found ${shown(step.do)}, expected ${listed(kinds)}`);
  }
  const { do: _, ...members } = step;
  check(members, STEPS[step.do], place, problems);
  if (isObject(step.expect)) check(step.expect, EXPECT, `${place}.expect`, problems);
}

function check(value, members, place, problems) {
  if (!isObject(value)) return void problems.push(`${place}: found ${shown(value)}, expected an object`);
  const known = Object.fromEntries(Object.entries(members).map(([key, rule]) => [key.replace("!", ""), rule]));
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(known, key)) problems.push(`${place}.${key}: there is no such member; known are ${listed(Object.keys(known))}`);
  }
  for (const [key, rule] of Object.entries(members)) {
    const plain = key.replace("!", "");
    if (value[plain] === undefined) {
      if (plain !== key) problems.push(`${place}.${plain}: missing; write ${rule.words}`);
    } else if (!rule.is(value[plain])) {
      problems.push(`${place}.${plain}: found ${shown(value[plain])}, expected ${rule.words}`);
    }
  }
}

/** A step that ends a fault needs one that begins it, and something has to be sent. */
function checkOrder(steps, problems) {
  const faulty = new Set();
  const names = new Set();
  steps.forEach((step, index) => {
    const place = `steps[${index}]`;
    if (step.do === "fault") faulty.add(step.deployment);
    if (step.do === "end" && !faulty.has(step.deployment)) {
      problems.push(`${place}.deployment: no earlier step has a fault of ${shown(step.deployment)}`);
    }
    if (step.do === "traffic" && names.has(step.name)) problems.push(`${place}.name: an earlier step has the name ${shown(step.name)}`);
    if (step.do === "traffic") names.add(step.name);
    for (const deployment of [...(step.expect?.ejected ?? []), ...(step.expect?.serves_again ?? [])]) {
      if (!faulty.has(deployment)) problems.push(`${place}.expect: no earlier step has a fault of ${shown(deployment)}`);
    }
  });
  if (names.size === 0) problems.push('steps: there is no traffic; add {"do": "traffic", "name": "before", "seconds": 10, "per_second": 2}');
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const shown = (value) => (value === undefined ? "nothing" : JSON.stringify(value));
const listed = (words) => words.map((word) => `"${word}"`).join(", ");
