// Caption rows: text cut into rows of so many characters, as subtitles have them. A row is filled from its turn's beginning, so
// that no word moves because others come.

export interface Said {
  /** What stands before the turn's first word. */
  prefix: string;
  text: string;
}

const graphemes = "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

/** Characters as people count them: an emoji or a letter with its accents is one. */
function characters(text: string): string[] {
  return graphemes ? [...graphemes.segment(text)].map(({ segment }) => segment) : [...text];
}

/** Notes without their times, which are for who listens again: `[crosstalk 00:59:46]`. */
export const withoutTimes = (text: string): string => text.replace(/([[(][^[\]()]*?)\s+\d{1,2}:\d{2}(?::\d{2})?(?=[\])])/g, "$1");

/** The last `count` rows of what was said, none of them longer than `width` characters. */
export function lastRows(turns: readonly Said[], count: number, width: number): string[] {
  let rows: string[] = [];
  for (let at = turns.length - 1; at >= 0 && rows.length < count; at--) {
    rows = [...cut(`${turns[at]!.prefix}${turns[at]!.text}`, width), ...rows];
  }
  return rows.slice(-count);
}

/** Cuts between words; a word that is longer than a row is cut too. */
export function cut(text: string, width: number): string[] {
  const rows: string[] = [];
  let [row, length] = ["", 0];
  const end = () => {
    if (row) rows.push(row);
    [row, length] = ["", 0];
  };
  for (const word of text.split(/\s+/)) {
    if (!word) continue;
    const letters = characters(word);
    if (length > 0 && length + 1 + letters.length > width) end();
    if (letters.length <= width) {
      row += (length > 0 ? " " : "") + word;
      length += (length > 0 ? 1 : 0) + letters.length;
      continue;
    }
    for (let from = 0; from < letters.length; from += width) {
      if (from > 0) end();
      const part = letters.slice(from, from + width);
      [row, length] = [part.join(""), part.length];
    }
  }
  end();
  return rows;
}
