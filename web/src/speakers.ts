// A colour for each speaker, in the order in which the server met them, so that it is the same wherever one begins to read. Names
// say who it is; colours only help to see it.

const COLOURS = 10;
const colours = new Map<string, number>();

/** All that are known by now, in their order. */
export function meet(speakers: ReadonlyMap<string, unknown>): void {
  if (speakers.size > colours.size) for (const id of speakers.keys()) colourOf(id);
}

export function colourOf(speaker: string | null): string {
  if (speaker === null) return "none";
  let colour = colours.get(speaker);
  if (colour === undefined) {
    colour = colours.size % COLOURS;
    colours.set(speaker, colour);
  }
  return String(colour);
}
