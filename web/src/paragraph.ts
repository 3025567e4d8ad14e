// One line of a transcript as a paragraph: what is notated in it, and what somebody looks for in it.

import type { Line } from "captionwire";
import { element } from "./dom";
import { clock } from "./time";

interface Cut {
  from: number;
  to: number;
  className: string;
  title: string;
}

/** Marks count Unicode scalar values, JavaScript UTF-16 units. */
function marksOf(line: Line): Cut[] {
  const shown = line.marks.filter(({ kind }) => kind !== "unconfirmed");
  if (shown.length === 0) return [];
  const units = [0];
  for (const char of line.text) units.push(units.at(-1)! + char.length);
  return shown.map(({ kind, start, end, at_ms }) => ({
    from: units[start] ?? 0,
    to: units[end] ?? line.text.length,
    className: `mark ${kind}`,
    title: kind === "uncertain" ? `Not certain; listen at ${clock(at_ms ?? line.start_ms)}` : "",
  }));
}

function hitsOf(text: string, query: RegExp | null): Cut[] {
  if (!query) return [];
  return [...text.matchAll(query)].map((hit) => ({ from: hit.index, to: hit.index + hit[0].length, className: "", title: "" }));
}

const covers = (cut: Cut, from: number, to: number) => cut.from <= from && cut.to >= to;

/** Fills `into` with a line's text. */
export function fill(into: HTMLElement, line: Line, language: string | null, query: RegExp | null = null): void {
  const { text } = line;
  const [marks, hits] = [marksOf(line), hitsOf(text, query)];
  if (marks.length === 0 && hits.length === 0) into.textContent = text;
  else {
    const ends = new Set([0, text.length]);
    for (const { from, to } of [...marks, ...hits]) ends.add(from).add(to);
    const order = [...ends].sort((a, b) => a - b);
    into.replaceChildren(...order.slice(1).map((to, index) => piece(text, order[index]!, to, marks, hits)));
  }
  into.classList.toggle("unconfirmed", line.marks.some(({ kind }) => kind === "unconfirmed"));
  into.dir = "auto";
  into.lang = line.lang ?? language ?? "";
}

function piece(text: string, from: number, to: number, marks: Cut[], hits: Cut[]): Node {
  const said = text.slice(from, to);
  const [mark, isHit] = [marks.find((cut) => covers(cut, from, to)), hits.some((cut) => covers(cut, from, to))];
  if (!mark && !isHit) return document.createTextNode(said);
  const node = element(isHit ? "mark" : "span", mark?.className ?? "", said);
  if (mark?.title) node.title = mark.title;
  return node;
}

const RIGHT_TO_LEFT = /^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Where a turn's name stands, and its bar: as its text begins. */
export const direction = (text: string): "rtl" | "ltr" => (RIGHT_TO_LEFT.test(text) ? "rtl" : "ltr");
