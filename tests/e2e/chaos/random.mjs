// Chance from a seed: the same seed makes the same weather.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // Mulberry32: 0 ≤ n < 1.
  unit() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  between(least, most) {
    return Math.floor(least + this.unit() * (most - least + 1));
  }

  chance(probability) {
    return this.unit() < probability;
  }

  of(choices) {
    return choices[this.between(0, choices.length - 1)];
  }

  // Another source that depends on this one.
  fork() {
    return new Random(this.between(0, 2 ** 32 - 1));
  }
}
