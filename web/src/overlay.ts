// The last lines as captions over a picture: for OBS, vMix and stage screens. All is said by the address.

import { Reader, type Transcript } from "captionwire";
import { $, arrange, element, feedOf, once, show, write } from "./dom";
import { lastRows, type Said, withoutTimes } from "./rows";
import { takeToken } from "./token";

/** Turns that may be needed to fill the rows. */
const TURNS = 4;
/** Characters of a turn that are cut anew for each word: rows behind them are never on the screen. */
const CHARACTERS = 4_000;

const token = takeToken();
const asked = new URLSearchParams(location.search);

const number = (name: string, usual: number, min: number, max: number) => {
  const value = Number(asked.get(name) ?? usual);
  return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : usual;
};
const choice = <T extends string>(name: string, choices: readonly [T, ...T[]]): T => {
  const value = asked.get(name) as T;
  return choices.includes(value) ? value : choices[0];
};

const rows = Math.round(number("lines", 2, 1, 4));
const width = Math.round(number("chars", 37, 10, 80));
/** Seconds of silence after which the screen is clear; 0 is never. */
const clear = number("clear", 15, 0, 3600);
const speaker = choice("speaker", ["name", "arrows", "none"]);
const isUpper = choice("case", ["as-said", "upper"]) === "upper";

document.addEventListener("DOMContentLoaded", () => {
  style();
  const list = $("rows");
  let [timer, last]: [ReturnType<typeof setTimeout> | undefined, string] = [undefined, ""];
  const draw = once(() => {
    const { transcript } = reader;
    if (!transcript.whole) return;
    const wanted = lastRows(said(transcript), rows, width);
    const nodes = wanted.map((text, index) => {
      const node = (list.children[index] as HTMLElement | undefined) ?? row();
      write(node.firstElementChild!, isUpper ? text.toLocaleUpperCase(transcript.language ?? undefined) : text);
      return node;
    });
    arrange(list, nodes);
    list.lang = transcript.language ?? "";
    const now = wanted.join("\n");
    if (now === last) return;
    last = now;
    show(list, true);
    clearTimeout(timer);
    if (clear > 0) timer = setTimeout(() => show(list, false), clear * 1000);
  });
  const reader = new Reader({
    url: location.origin, feed: feedOf(location.pathname), last: TURNS, ...(token && { token }),
    interim: asked.get("interim") !== "false", onchange: draw,
  });
  addEventListener("online", () => reader.hurry());
});

function row(): HTMLElement {
  const node = element("p");
  node.dir = "auto";
  node.append(element("span"));
  return node;
}

/** The last turns, with the words that may still change. */
function said(transcript: Transcript): Said[] {
  const lines = [...transcript.finals.slice(-200), ...transcript.interims].sort((a, b) => (a.sort < b.sort ? -1 : 1));
  const turns: (Said & { id: string })[] = [];
  for (const line of lines) {
    const turn = transcript.turnOf(line);
    if (turns.at(-1)?.id !== turn.id) turns.push({ id: turn.id, prefix: prefix(transcript, turn.speaker), text: "" });
    const now = turns.at(-1)!;
    now.text = `${now.text} ${withoutTimes(line.text)}`.trim();
  }
  return turns.slice(-TURNS).map(({ prefix, text }) => ({ prefix, text: text.length > CHARACTERS ? tail(text) : text }));
}

/** From a place that stays where it is while text comes behind it, so that rows do not move. */
function tail(text: string): string {
  const from = Math.floor((text.length - CHARACTERS / 2) / (CHARACTERS / 2)) * (CHARACTERS / 2);
  return text.slice(text.indexOf(" ", from) + 1);
}

function prefix(transcript: Transcript, id: string | null): string {
  if (speaker === "none") return "";
  const name = transcript.speaker(id)?.name;
  return speaker === "arrows" ? ">> " : name ? `${name}: ` : "";
}

/** A colour that lets everything through. */
function isClear(color: string): boolean {
  const probe = element("i");
  probe.style.backgroundColor = color;
  document.body.append(probe);
  const painted = getComputedStyle(probe).backgroundColor;
  probe.remove();
  return color !== "" && /^rgba\(.*, 0\)$/.test(painted) && CSS.supports("color", color);
}

/** What the address says of letters and colours. What is no CSS is left as usual. */
function style(): void {
  const { style, dataset } = document.documentElement;
  const values: [string, string, string][] = [
    ["size", "--letter-size", "font-size"], ["font", "--letters", "font-family"], ["color", "--ink", "color"],
    ["background", "--box", "color"], ["margin", "--edge", "margin"],
  ];
  for (const [name, property, like] of values) {
    const value = asked.get(name);
    if (value && CSS.supports(like, value)) style.setProperty(property, value);
  }
  if (isClear(asked.get("background") ?? "")) dataset.box = "none";
  dataset.align = choice("align", ["center", "start"]);
  dataset.position = choice("position", ["bottom", "top"]);
  style.setProperty("--rows", String(rows));
}
