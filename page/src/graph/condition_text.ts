// A condition (`when`) of the routes document as one line: `path = /ai/azure/* and 5 % by client`.
// It reads as the command line writes it.

type Json = unknown;
type Members = Record<string, Json>;

const isMembers = (value: Json): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Sections whose members are facts of their own, and how their names begin. */
const SECTIONS: Record<string, string> = { header: "", query: "?", metadata: "metadata.", body: "body.", label: "label." };

export function conditionText(when: Json): string {
  if (!isMembers(when)) return "";
  const parts: string[] = [];
  for (const [key, value] of Object.entries(when)) {
    const prefix = SECTIONS[key];
    if (prefix !== undefined && isMembers(value)) {
      for (const [name, test] of Object.entries(value)) parts.push(testText(prefix + name, test));
    } else if ((key === "all" || key === "any") && Array.isArray(value)) {
      const inner = value.map(conditionText).filter(Boolean);
      const text = inner.join(key === "all" ? " and " : " or ");
      parts.push(key === "any" && inner.length > 1 ? `(${text})` : text);
    } else if (key === "not") {
      parts.push(`not (${conditionText(value)})`);
    } else if (key === "percent") {
      parts.push(`${String(value)} %${typeof when["by"] === "string" ? ` by ${when["by"]}` : ""}`);
    } else if (key !== "by") {
      parts.push(testText(key, value));
    }
  }
  return parts.filter(Boolean).join(" and ");
}

function testText(fact: string, test: Json): string {
  if (Array.isArray(test)) return `${fact} = ${test.map(String).join(" | ")}`;
  if (!isMembers(test)) return `${fact} = ${String(test)}`;
  const parts = Object.entries(test).map(([key, value]) => {
    switch (key) {
      case "in": return testText(fact, value);
      case "not": return `not (${testText(fact, value)})`;
      case "prefix": return `${fact} = ${String(value)}*`;
      case "exists": return value === false ? `no ${fact}` : `has ${fact}`;
      case "gt": return `${fact} > ${String(value)}`;
      case "gte": return `${fact} >= ${String(value)}`;
      case "lt": return `${fact} < ${String(value)}`;
      case "lte": return `${fact} <= ${String(value)}`;
      default: return `${fact} ${key} ${String(value)}`;
    }
  });
  return parts.join(" and ");
}
