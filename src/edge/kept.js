// The body of a request, as it is kept: to be looked at, and to be sent to one upstream after another, edited for each.
//
// A long body is neither copied when it is read nor when it is edited: it is read straight into a buffer with room around it, and an
// edit, which hardly ever touches more than a few bytes near its begin or its end, moves what stands on the shorter side.
//
// Invariant: between two calls of `edited` the bytes are what came.

/** From so many bytes on a body is long. For a shorter one a reader costs more than a copy. */
const LONG = 64 * 1024;

export const isLong = (length) => length >= LONG;

/** What an edit may add before a long body, and behind it, in place: far more than the names of models. */
const ROOM = 4 * 1024;

/** Reads the body of a request, which is said to have so many bytes. */
export function read(request, length) {
  if (!isLong(length) || request.body === null) return request.arrayBuffer().then((buffer) => new Uint8Array(buffer));
  return readLong(request.body.getReader({ mode: "byob" }), length);
}

async function readLong(reader, length) {
  const into = new Uint8Array(new ArrayBuffer(ROOM + length + ROOM), ROOM, length + ROOM);
  const parts = [];
  // One more than there should be: so it reads to the end. A Worker in front may have said another length than that of what it sends.
  for (let space = into, least = length + 1; ; space = new Uint8Array(LONG), least = LONG) {
    const size = space.length;
    const { value } = await reader.readAtLeast(least, space);
    parts.push(value);
    if (value.length < size) return parts.length === 1 ? value : joined(parts);
  }
}

/**
 * Calls `send` with the body in pieces: three numbers each, 0 for the body that came and 1 for `inserted`, and where the piece begins
 * and ends. No pieces are the body as it came. `send` takes a copy at once, as `fetch` does
 * (<https://fetch.spec.whatwg.org/#concept-bodyinit-extract>).
 */
export function edited(bytes, pieces, inserted, send) {
  if (pieces.length === 0) return send(bytes);
  const parts = [];
  let middle = -1;
  for (let at = 0; at < pieces.length; at += 3) {
    const part = (pieces[at] === 0 ? bytes : inserted).subarray(pieces[at + 1], pieces[at + 2]);
    if (pieces[at] === 0 && (middle < 0 || part.length > parts[middle].length)) middle = parts.length;
    parts.push(part);
  }
  if (!isLong(bytes.length) || middle < 0) return send(joined(parts));
  return around(parts[middle], joined(parts.slice(0, middle)), joined(parts.slice(middle + 1)), send) ?? send(joined(parts));
}

/** Calls `send` with `middle` where it stands, and the others around it. Nothing where there is no room for them. */
function around(middle, before, after, send) {
  const begin = middle.byteOffset;
  const end = begin + middle.length;
  if (begin < before.length || end + after.length > middle.buffer.byteLength) return undefined;
  const all = new Uint8Array(middle.buffer, begin - before.length, before.length + middle.length + after.length);
  const there = [all.slice(0, before.length), all.slice(all.length - after.length)];
  const put = (first, last) => {
    all.set(first, 0);
    all.set(last, all.length - last.length);
  };
  put(before, after);
  try {
    return send(all);
  } finally {
    put(...there);
  }
}

function joined(parts) {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
