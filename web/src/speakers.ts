// A colour for each speaker, in the order in which they first speak. Names say who it is; colours only help to see it.

const COLOURS = 10;
const colours = new Map<string, number>();

export function colourOf(speaker: string | null): string {
  if (speaker === null) return "none";
  let colour = colours.get(speaker);
  if (colour === undefined) {
    colour = colours.size % COLOURS;
    colours.set(speaker, colour);
  }
  return String(colour);
}
