// How good a state is: the colour in which it is shown.

/** `off` is out on purpose: nobody has to do anything. */
export type Tone = "good" | "warn" | "bad" | "off";
