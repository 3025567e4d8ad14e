// What a reader shows, and what the server says should be shown, in one form to compare.

const bare = ({ words, ...line }) => line;

export function picture(transcript) {
  return {
    state: transcript.state,
    title: transcript.title,
    interims: transcript.interims.map(bare),
    turns: transcript.spans().map(({ turn, from, to }) => ({
      id: turn.id,
      speaker: transcript.speaker(turn.speaker)?.name ?? null,
      state: turn.state,
      lines: transcript.finals.slice(from, to).map(bare),
    })),
  };
}

/** The same of `transcript.json?interim=true`. */
export function expected(page) {
  const speakers = new Map(page.speakers.map((speaker) => [speaker.id, speaker]));
  const name = (id) => {
    if (id === null) return null;
    const speaker = speakers.get(id);
    return speaker?.into ? name(speaker.into) : speaker?.name ?? id;
  };
  const turns = page.turns.map((turn) => ({
    id: turn.id,
    speaker: name(turn.speaker),
    state: turn.state,
    lines: turn.lines.filter(({ status }) => status === "final").map(bare),
  }));
  return {
    state: page.state,
    title: page.title ?? null,
    interims: page.turns.flatMap(({ lines }) => lines).filter(({ status }) => status === "interim").map(bare),
    turns: turns.filter(({ lines }) => lines.length),
  };
}

/** Chance that can be had again: mulberry32. */
export function chance(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { below: (n) => Math.floor(next() * n), pick: (list) => list[Math.floor(next() * list.length)] };
}
