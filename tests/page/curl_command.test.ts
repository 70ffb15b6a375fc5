// Reading of curl commands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readCurl, type CurlRequest } from "../../page/src/explain/curl_command.ts";

function read(command: string): CurlRequest {
  const reading = readCurl(command);
  assert.ok("request" in reading, JSON.stringify(reading));
  return reading.request;
}

function problem(command: string): string {
  const reading = readCurl(command);
  assert.ok("problem" in reading, JSON.stringify(reading));
  return reading.problem;
}

test("the command of a documentation is read, over several lines", () => {
  const request = read(`curl https://gateway.example.com/v1/chat/completions \\
  -H "Content-Type: application/json" \\
  -H 'Authorization: Bearer sk-secret' \\
  -d '{
    "model": "chat",
    "messages": [{"role": "user", "content": "It is \\"quoted\\""}]
  }'`);
  assert.equal(request.method, undefined);
  assert.equal(request.path, "/v1/chat/completions");
  assert.deepEqual(request.headers, [["content-type", "application/json"]], "the key is apart");
  assert.equal(request.key, "sk-secret");
  assert.deepEqual(JSON.parse(request.body ?? ""), { model: "chat", messages: [{ role: "user", content: 'It is "quoted"' }] });
  assert.deepEqual(request.notes, []);
});

test("options are read in each of their forms", () => {
  for (const method of ["-X DELETE", "-XDELETE", "-sXDELETE", "--request delete", "-sS -X 'DELETE'"]) {
    assert.equal(read(`curl ${method} https://g/v1/files/file-1`).method, "DELETE", method);
  }
  for (const data of ["-d '{}'", "-d'{}'", "-sd '{}'", "--data '{}'", "--data-raw '{}'", "--data-binary '{}'", "--data-ascii {}"]) {
    assert.equal(read(`curl https://g/v1/x ${data}`).body, "{}", data);
  }
  for (const url of ["https://g/v1/x?a=1", "g/v1/x?a=1", "--url https://g/v1/x?a=1", "'https://g/v1/x?a=1#top'", "http://127.0.0.1:8787/v1/x?a=1"]) {
    assert.equal(read(`curl -s ${url} -o /dev/null --max-time 5`).path, "/v1/x?a=1", url);
  }
  assert.equal(read("curl https://g").path, "/");
  assert.equal(read("curl -I https://g/healthz").method, "HEAD");
  assert.equal(read("https://g/healthz").path, "/healthz", "curl may be missing");
  assert.equal(read("/usr/bin/curl https://g/healthz").path, "/healthz");
});

test("--json sets the type, and parts of it are one body", () => {
  const request = read(`curl https://g/v1/x --json '{"a":' --json '1}'`);
  assert.equal(request.body, '{"a":1}');
  assert.deepEqual(request.headers, [["content-type", "application/json"]]);
});

test("several data options are one form, and with -G a query", () => {
  assert.equal(read("curl https://g/v1/x -d a=1 -d b=2").body, "a=1&b=2");
  const request = read("curl -G https://g/v1/x?z=0 -d a=1 --data-urlencode 'b=x y'");
  assert.deepEqual([request.method, request.path, request.body], ["GET", "/v1/x?z=0&a=1&b=x%20y", undefined]);
});

test("quotes are those of a shell", () => {
  const body = (quoted: string) => read(`curl https://g/v1/x -d ${quoted}`).body;
  assert.equal(body(`'it'\\''s'`), "it's");
  assert.equal(body(`"a \\"b\\" \\$c \\\\ \\n"`), 'a "b" $c \\ \\n');
  assert.equal(body(`$'a\\'b\\n\\u00e9\\x41\\\\'`), "a'b\né" + "A\\");
  assert.equal(body(`a\\ b`), "a b");
  assert.equal(body(`"a"'b'c`), "abc");
  assert.equal(body(`''`), "");
  assert.equal(body(`'{"price": "$5"}'`), '{"price": "$5"}');
});

test("what follows the command is left out", () => {
  assert.equal(read("curl https://g/v1/models | jq .data").path, "/v1/models");
  assert.equal(read("curl https://g/v1/models > out.json").path, "/v1/models");
  assert.equal(read("curl https://g/v1/models # all").path, "/v1/models");
});

test("keys are found in each header that may have one, and in no other", () => {
  for (const header of ["authorization: bearer sk-1", "api-key: sk-1", "X-Api-Key: sk-1", "Authorization:Bearer  sk-1"]) {
    const request = read(`curl https://g/v1/x -H '${header}' -H 'x-team: search'`);
    assert.deepEqual([request.key, request.headers], ["sk-1", [["x-team", "search"]]], header);
  }
});

test("what only the shell knows is named", () => {
  const request = read('curl "$BASE/v1/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" -d "{\\"user\\": \\"${WHO}\\"}"');
  assert.equal(request.path, "/v1/chat/completions");
  assert.equal(request.key, undefined);
  assert.deepEqual(request.notes, [
    "The key is in the shell variable OPENAI_API_KEY, which is not known here. Choose a client instead.",
    "The body has the shell variable WHO, whose value is not known here.",
  ]);
  assert.match(read("curl https://g/v1/files/$ID").notes[0] ?? "", /The address has the shell variable ID/);
});

test("what cannot be read says what to do", () => {
  assert.match(problem(""), /Paste a curl command/);
  assert.match(problem("curl"), /Paste a curl command/);
  assert.match(problem("curl -s"), /no address/);
  assert.match(problem("curl https://g/v1/x -d 'open"), /is not closed/);
  assert.match(problem('curl https://g/v1/x -d "open'), /is not closed/);
  assert.match(problem("curl https://g/v1/x -d $'open"), /is not closed/);
  assert.match(problem("curl https://g/v1/x -d @body.json"), /Paste its content/);
  assert.match(problem('curl https://g/v1/x -d "$(cat body.json)"'), /Paste its result/);
  assert.match(problem("curl https://g/v1/x -F file=@a.png"), /cannot be explained/);
  assert.match(problem("curl https://g/v1/x https://g/v1/y"), /two addresses/);
  assert.match(problem("curl https://g/v1/x -H"), /-H has no value/);
  assert.match(problem("curl https://g/v1/x -H nothing"), /no header/);
});

test("any text ends with a request or a problem", () => {
  const alphabet = ["curl", " ", "'", '"', "\\", "\n", "$", "{", "}", "-", "H", "d", "x", ":", "https://g/", "$'", "@", "é", "\\x", "\\u"];
  let state = 11;
  for (let round = 0; round < 3000; round += 1) {
    let text = "";
    for (let length = 0; length < 20; length += 1) {
      state = (state * 48271) % 2147483647;
      text += alphabet[state % alphabet.length];
    }
    const reading = readCurl(text);
    assert.ok("problem" in reading ? reading.problem : reading.request.path.startsWith("/"), text);
  }
});
