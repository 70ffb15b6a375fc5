// The changes of state that this tab has seen: the gateway says what holds, and not since when.

import type { DeploymentState } from "./deployment_state.ts";

export interface StateChange {
  at: number;
  name: string;
  state: string;
  tone: DeploymentState["tone"];
  why: string | undefined;
}

const KEPT = 200;

export class StateChanges {
  #known = new Map<string, StateChange & { isWatched: boolean }>();
  #changes: StateChange[] = [];

  /** Takes what holds at a time. Returns what is new since the last time. */
  note(at: number, states: DeploymentState[]): StateChange[] {
    const fresh: StateChange[] = [];
    for (const { name, state, tone, why } of states) {
      const known = this.#known.get(name);
      if (known?.state === state) continue;
      const change = { at, name, state, tone, why };
      this.#known.set(name, { ...change, isWatched: known !== undefined });
      if (known) fresh.push(change);
    }
    const names = new Set(states.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    this.#changes = [...fresh, ...this.#changes].slice(0, KEPT);
    return fresh;
  }

  /** Since when its state holds, and whether it held already when it was first seen. */
  since(name: string): { at: number; isAtLeast: boolean } | undefined {
    const known = this.#known.get(name);
    return known && { at: known.at, isAtLeast: !known.isWatched };
  }

  /** Latest first. */
  of(name?: string): StateChange[] {
    return name === undefined ? this.#changes : this.#changes.filter((change) => change.name === name);
  }
}
