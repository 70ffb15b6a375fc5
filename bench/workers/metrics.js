// Replaces the dataset of Analytics Engine: a wrapped binding, because workerd's own one needs
// `--experimental` and makes an HTTP request for each point. It reads what the runtime reads of a
// point, and keeps nothing. The first point of an isolate goes to the log, so that a run can check
// that points are written.

let isFirst = true;

function writeDataPoint({ indexes, blobs, doubles }) {
  if (isFirst) console.log(JSON.stringify({ indexes, blobs, doubles }));
  isFirst = false;
  for (const text of indexes) if (typeof text !== "string") throw new TypeError("an index that is no text");
  for (const text of blobs) if (typeof text !== "string") throw new TypeError("a blob that is no text");
  for (const number of doubles) if (typeof number !== "number") throw new TypeError("a double that is no number");
}

export default () => ({ writeDataPoint });
