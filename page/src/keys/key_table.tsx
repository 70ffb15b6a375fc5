// The list of issued keys.

import { useState } from "preact/hooks";
import { count, dollars, percent, utc } from "../format.ts";
import { Elapsed, Moment, useNow } from "../moment";
import { amountText, levelOf, limitName, type LimitUsage, spentShare } from "../usage/limit_words.ts";
import { type IssuedKey, type KeyUse, limitsOfKey, notesOf } from "./issued_key.ts";

const ROWS = 100;

interface KeyTableProps {
  keys: IssuedKey[];
  limits: LimitUsage[];
  onRotate: (key: IssuedKey) => void;
  onRevoke: (key: IssuedKey) => void;
}

export function KeyTable({ keys, limits, onRotate, onRevoke }: KeyTableProps) {
  const [rows, setRows] = useState(ROWS);
  const now = useNow();
  const isSpendKnown = keys.some((key) => limitsOfKey(limits, key).length > 0);
  if (keys.length === 0) return <p>No key is like that.</p>;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Issued keys">
        <table class="keys-table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Client</th>
              <th scope="col">Key</th>
              <th scope="col">State</th>
              <th scope="col">Age</th>
              <th scope="col">Last use</th>
              <th scope="col">This month</th>
              <th scope="col">Ends</th>
              {isSpendKnown && <th scope="col">Limits of the key</th>}
              <th scope="col">Change</th>
            </tr>
          </thead>
          <tbody>
            {keys.slice(0, rows).map((key) => (
              <tr key={key.id} class={`keys-${key.state}`}>
                <th scope="row">
                  {key.name}
                  {key.owner && <span class="keys-owner">{key.owner}</span>}
                </th>
                <td>
                  {key.client}
                  <span class="keys-owner">{key.models ? key.models.join(", ") : "all its models"}</span>
                </td>
                <td>
                  {key.prefix && <code>{key.prefix}…</code>}
                  <span class="keys-owner">{key.id}{key.is_imported && ", imported"}</span>
                </td>
                <td>
                  <span class={key.state === "active" ? "good" : "hint"}>{key.state}</span>
                  {notesOf(key, now).map((note) => <span key={note} class="keys-note warn">{note}</span>)}
                </td>
                <td title={`issued by ${key.created_by}`}><Elapsed since={key.created} /></td>
                <td>{key.last_used === null ? "never" : <LastUse at={key.last_used} now={now} />}</td>
                <td><MonthUse usage={key.usage} /></td>
                <td><End issued={key} /></td>
                {isSpendKnown && <td><KeyLimits limits={limitsOfKey(limits, key)} /></td>}
                <td>
                  {key.state === "active" && (
                    <span class="keys-acts">
                      {!key.replaced_by && (
                        <button type="button" class="quiet" aria-label={`Rotate ${key.name}, ${key.id}`} onClick={() => onRotate(key)}>
                          Rotate
                        </button>
                      )}
                      <button type="button" class="danger" aria-label={`Revoke ${key.name}, ${key.id}`} onClick={() => onRevoke(key)}>
                        Revoke
                      </button>
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {keys.length > rows && (
        <p>
          <button type="button" class="quiet" onClick={() => setRows(rows + ROWS)}>Show {Math.min(ROWS, keys.length - rows)} more</button>
        </p>
      )}
    </>
  );
}

/** A use is known to the hour, so a key that is in use was used `within the hour`. */
function LastUse({ at, now }: { at: number; now: number }) {
  const hour = 3_600_000;
  if (now - at < 2 * hour) return <time title={`the hour from ${utc(at)}`}>{now - at < hour ? "this hour" : "the last hour"}</time>;
  return <Moment at={at} />;
}

/** What the key cost, or without prices the tokens that it used. */
function MonthUse({ usage: { month, total } }: { usage: IssuedKey["usage"] }) {
  if (total.requests === 0) return <>–</>;
  const words = ({ requests, tokens, micro_usd }: KeyUse) =>
    `${count(requests)} ${requests === 1 ? "request" : "requests"}, ${count(tokens)} tokens, ${dollars(micro_usd)}`;
  return (
    <span title={`${words(month)}. Since it was issued: ${words(total)}`}>
      {month.micro_usd > 0 ? dollars(month.micro_usd) : `${count(month.tokens)} tokens`}
      <span class="keys-owner">{count(month.requests)} {month.requests === 1 ? "request" : "requests"}</span>
    </span>
  );
}

function End({ issued: { state, revoked, expires } }: { issued: IssuedKey }) {
  if (state === "revoked" && revoked !== null) return <>revoked <Moment at={revoked} /></>;
  return expires === null ? <>never</> : <Moment at={expires} />;
}

function KeyLimits({ limits }: { limits: LimitUsage[] }) {
  if (limits.length === 0) return <>–</>;
  return (
    <>
      {limits.map((limit) => {
        const level = levelOf(limit);
        return (
          <span key={limit.meter} class={`keys-limit ${level === "over" ? "bad" : level === "near" ? "warn" : ""}`}>
            {amountText(limit.unit, limit.spent)} of {amountText(limit.unit, limit.amount)} {limitName(limit).what} ({percent(spentShare(limit))})
          </span>
        );
      })}
    </>
  );
}
