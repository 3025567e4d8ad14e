// The hearing in examples/, as lines that a publisher would send; and the press conference, where CAPTIONWIRE_DATA has it.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FILE = new URL("../../examples/hearing.rev.txt", import.meta.url);

export const hearingFile = () => readFileSync(FILE, "utf8");

export const hearing = () => linesOf(hearingFile());

/** The real event, or the hearing, which is our own. */
export function event() {
  const real = join(process.env.CAPTIONWIRE_DATA ?? "", "press-conference.rev.txt");
  if (process.env.CAPTIONWIRE_DATA && existsSync(real)) return linesOf(readFileSync(real, "utf8"));
  console.log("# of the hearing in examples/: the press conference is not at CAPTIONWIRE_DATA");
  return hearing();
}

function linesOf(text) {
  const lines = [];
  for (const row of text.split("\n")) {
    const found = row.match(/^(.{1,80}?): \((?:(\d+):)?(\d{1,2}):(\d{2})\)$/);
    if (found) {
      const [, speaker, h, m, s] = found;
      const start_ms = ((Number(h ?? 0) * 60 + Number(m)) * 60 + Number(s)) * 1000;
      lines.push({ id: String(lines.length + 1), start_ms, speaker, text: "" });
    } else if (lines.length && row.trim()) lines.at(-1).text = `${lines.at(-1).text} ${row.trim()}`.trim();
  }
  return lines;
}

/** `count` turns of two lines each, as a file. */
export function manyTurns(count, words = 12) {
  const names = ["Chair", "Ines Marlow", "Clerk", "Captain Roe", "Woman in the third row"];
  const clock = (s) => `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, "0")}:${String(s % 60).padStart(2, "0")}`;
  const blocks = [];
  for (let turn = 0; turn < count; turn++) {
    for (const part of [0, 1]) {
      const text = `Turn ${turn}, part ${part}. ${"words that were said and written down ".repeat(words / 6)}`.trim();
      blocks.push(`${names[turn % names.length]}: (${clock(turn * 6 + part * 2)})\n${text}`);
    }
  }
  return `${blocks.join("\n\n")}\n`;
}
