// An error of the admin API as people read it.

import type { ApiError } from "./admin_api";

/** What went wrong and what helps. */
export function problemText({ code, message }: ApiError): string {
  if (code === "admin_token_needed") {
    return "This needs ADMIN_TOKEN, and you are signed in to look only. Sign out, then sign in with it.";
  }
  return message;
}
