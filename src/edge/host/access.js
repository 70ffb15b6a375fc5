// What tokens need of the runtime (`host.rs`): the keys of a team of Cloudflare Access, signatures
// with RS256, and tokens of Entra ID.

import { endWait, failWait } from "./waits.js";

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/**
 * Ends the wait with the status and the text of the answer, or fails after `within` milliseconds. With a
 * `form`, it is sent in a POST.
 */
export async function fetchText(url, form, within, wait) {
  try {
    const sent = form === undefined ? {} : { method: "POST", body: form, headers: FORM };
    const response = await fetch(url, { ...sent, redirect: "manual", signal: AbortSignal.timeout(within) });
    endWait(wait, response.status, await response.text(), undefined);
  } catch (error) {
    failWait(wait, error);
  }
}

/** Ends the wait with 1 if `signature` is that of the key for the text `signed`, else with 0. */
export async function verify(n, e, signed, signature, wait) {
  // The bytes are in the memory of the Wasm, which changes as soon as this function waits.
  const bytes = signature.slice();
  try {
    const key = await crypto.subtle.importKey("jwk", { kty: "RSA", alg: "RS256", n, e }, RS256, false, ["verify"]);
    const isValid = await crypto.subtle.verify(RS256, key, bytes, new TextEncoder().encode(signed));
    endWait(wait, isValid ? 1 : 0, undefined, undefined);
  } catch (error) {
    failWait(wait, error);
  }
}
