// The SQL that Analytics Engine understands. It is less than that of ClickHouse, which runs the
// queries in these tests. The lists have what our queries need, from the reference:
// https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/

const KEYWORDS =
  "select as from where and or not in group by order asc desc limit interval day hour".split(" ");
const FUNCTIONS =
  "argmax avg count if intdiv max min now quantileexactweighted round sum tostartofinterval touint32".split(" ");
const AGGREGATES = ["avg", "count", "sum"];

/** What Analytics Engine would not understand of a query, or count wrongly. `columns`: their names. */
export function faults(sql, columns) {
  const text = sql.replace(/^\s*--.*$/gm, "").replace(/'[^']*'/g, "''");
  const aliases = [...text.matchAll(/\bAS\s+(\w+)/gi)].map(([, alias]) => alias);
  const known = new Set([...KEYWORDS, ...FUNCTIONS]);
  const found = [];
  for (const [, word, call] of text.matchAll(/([A-Za-z_]\w*)(\s*\()?/g)) {
    const name = word.toLowerCase();
    if (call !== undefined && !FUNCTIONS.includes(name) && !["in", "and", "or", "not"].includes(name)) {
      found.push(`the function ${word}`);
    } else if (!known.has(name) && !aliases.includes(word) && !columns.includes(word) && word !== "switchyard") {
      found.push(`the word ${word}`);
    }
  }
  for (const [sign] of text.matchAll(/[^\w\s(),.;'+\-*/%<>=!]/g)) found.push(`the sign ${sign}`);
  // A row stands for `_sample_interval` requests.
  for (const [, name, from] of text.matchAll(/\b(avg|count|sum)\s*\(([^\n]*)/gi)) {
    if (AGGREGATES.includes(name.toLowerCase()) && !from.includes("_sample_interval")) found.push(`${name} without _sample_interval`);
  }
  for (const [call] of text.matchAll(/\bquantileExactWeighted\b[^\n]*?( AS |$)/gi)) {
    if (!/^quantileExactWeighted\(0\.\d+\)\(double\d+, _sample_interval\)/.test(call)) found.push(`another form of ${call.trim()}`);
  }
  if (!/\btimestamp\s*>\s*now\(\)\s*-\s*INTERVAL\s*''\s*(DAY|HOUR)/i.test(text)) found.push("no time range");
  return found;
}
