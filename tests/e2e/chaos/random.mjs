// Random numbers from a seed. The same seed gives the same sequence.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // Mulberry32: a number in [0, 1).
  unit() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  // A whole number from `min` to `max`, both included.
  between(min, max) {
    return Math.floor(min + this.unit() * (max - min + 1));
  }

  chance(probability) {
    return this.unit() < probability;
  }

  of(choices) {
    return choices[this.between(0, choices.length - 1)];
  }

  // A new generator, seeded from this one.
  fork() {
    return new Random(this.between(0, 2 ** 32 - 1));
  }
}
