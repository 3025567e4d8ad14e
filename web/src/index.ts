// The feeds, live ones first, and a search over all that was ever said.

import { $, arrange, element, show, write } from "./dom";
import { clock, many } from "./time";
import { bearer, keep, takeToken } from "./token";
import "./settings";

/** Slow enough for a page left open, quick enough for one who waits for an event to begin. */
const AGAIN_MS = 10_000;
const HITS = 20;

interface Feed {
  feed: string;
  title: string | null;
  state: string;
  readers: number;
  last_line_at: string | null;
  lines: number;
  turns: number;
  duration_ms: number;
  last_turn: { id: string; speaker: string | null; start_ms: number; text: string; lang: string | null } | null;
}

interface Hit {
  feed: string;
  line: string;
  start_ms: number;
  speaker: string | null;
  received_at: string;
  parts: { text: string; found?: boolean }[];
}

const GROUPS: [string, string][] = [["live", "Live"], ["paused", "Paused"], ["scheduled", "Not started"], ["ended", "Ended"]];
const token = takeToken();
const titles = new Map<string, string>();

const addressOf = (feed: string) => `/feeds/${encodeURIComponent(feed)}`;

/** Kept from one answer to the next, so that the focus stays where it is. */
class Row {
  readonly root = element("li", "feed");
  readonly #link = element("a");
  readonly #pill = element("span", "pill");
  readonly #last = element("p", "last");
  readonly #facts = element("p", "facts");

  constructor(feed: string) {
    const top = element("div", "top");
    this.#link.href = addressOf(feed);
    this.#link.dir = "auto";
    this.#pill.append(element("i"), element("span"));
    top.append(this.#link, this.#pill);
    this.root.append(top, this.#last, this.#facts);
  }

  update(feed: Feed): void {
    write(this.#link, feed.title || feed.feed);
    this.#pill.dataset.state = feed.state;
    write(this.#pill.lastElementChild!, GROUPS.find(([state]) => state === feed.state)?.[1] ?? feed.state);
    const last = feed.last_turn;
    show(this.#last, last !== null);
    const key = last ? `${last.id} ${last.speaker} ${last.text}` : "";
    if (last && this.#last.dataset.key !== key) {
      this.#last.dataset.key = key;
      const text = element("span", "", last.text);
      text.dir = "auto";
      if (last.lang) text.lang = last.lang;
      this.#last.replaceChildren(...(last.speaker ? [element("bdi", "", last.speaker), ": "] : []), text);
    }
    const length = feed.duration_ms > 0 ? [clock(feed.duration_ms)] : [];
    const readers = feed.state === "ended" && feed.readers === 0 ? [] : [many(feed.readers, "reader")];
    write(this.#facts, [...length, many(feed.turns, "turn"), ...readers, when(feed)].filter(Boolean).join(" · "));
  }
}

const rows = new Map<string, Row>();
const groups = new Map<string, { root: HTMLElement; list: HTMLElement }>();

function when({ last_line_at, state }: Feed): string {
  if (!last_line_at) return "";
  const at = new Date(last_line_at);
  const ago = (Date.now() - at.getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  if (state === "live" && ago < 60) return "";
  if (ago < 3600) return format.format(-Math.round(ago / 60), "minute");
  if (ago < 86_400) return format.format(-Math.round(ago / 3600), "hour");
  return at.toLocaleDateString(undefined, { dateStyle: "medium" });
}

function draw(feeds: Feed[]): void {
  feeds.sort((a, b) => (b.last_line_at ?? "").localeCompare(a.last_line_at ?? "") || a.feed.localeCompare(b.feed));
  const shown: HTMLElement[] = [];
  for (const [state, says] of GROUPS) {
    const here = feeds.filter((feed) => feed.state === state);
    if (here.length === 0) continue;
    const group = groups.get(state) ?? newGroup(state, says);
    arrange(group.list, here.map((feed) => {
      titles.set(feed.feed, feed.title || feed.feed);
      const row = rows.get(feed.feed) ?? new Row(feed.feed);
      rows.set(feed.feed, row);
      row.update(feed);
      return row.root;
    }));
    shown.push(group.root);
  }
  arrange($("groups"), shown);
  show($("empty"), feeds.length === 0);
}

function newGroup(state: string, says: string) {
  const [root, list] = [element("section"), element("ul", "feeds")];
  const title = element("h2", "", says);
  title.id = `group-${state}`;
  root.setAttribute("aria-labelledby", title.id);
  list.role = "list";
  root.append(title, list);
  groups.set(state, { root, list });
  return { root, list };
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(path, { headers: bearer(token) });
  const body = (await answer.json()) as T & { detail?: string; title?: string };
  if (!answer.ok) throw Object.assign(new Error(body.detail ?? body.title ?? String(answer.status)), { status: answer.status });
  return body;
}

async function list(): Promise<void> {
  try {
    draw((await get<{ feeds: Feed[] }>("/v1/feeds")).feeds);
    show($("refusal"), false);
  } catch (error) {
    const needsToken = [401, 403].includes((error as { status?: number }).status ?? 0);
    write($("refusal-text"), needsToken ? "The list of feeds is not for everybody: it takes a token." : "The list cannot be had now. It comes by itself.");
    show($("token-form"), needsToken);
    show($("refusal"), true);
  }
  setTimeout(() => void list(), AGAIN_MS);
}

// ---- Search ----

let asked = 0;

async function search(q: string, offset = 0): Promise<void> {
  const mine = ++asked;
  show($("results"), q !== "");
  show($("list"), q === "");
  if (q === "") return;
  if (offset === 0) write($("results-title"), "Searching…");
  try {
    const query = new URLSearchParams({ q, limit: String(HITS), offset: String(offset) });
    const { hits, total, catching_up } = await get<{ hits: Hit[]; total: number; catching_up: boolean }>(`/v1/search?${query}`);
    if (mine !== asked) return;
    const found = hits.map(hitLine);
    if (offset === 0) $("hits").replaceChildren(...found);
    else $("hits").append(...found);
    const late = catching_up ? " What was said last is still being indexed." : "";
    write($("results-title"), (total === 0 ? "Not found." : `Said in ${many(total, "line")}.`) + late);
    show($("more-hits"), offset + hits.length < total);
    $("more-hits").onclick = () => void search(q, offset + hits.length);
  } catch (error) {
    if (mine !== asked) return;
    $("hits").replaceChildren();
    show($("more-hits"), false);
    write($("results-title"), (error as Error).message);
  }
}

function hitLine(hit: Hit): HTMLElement {
  const [root, from, link, text] = [element("li", "hit-line"), element("div", "from"), element("a"), element("p")];
  link.href = `${addressOf(hit.feed)}#l=${hit.line}&t=${clock(hit.start_ms)}`;
  link.append(element("bdi", "", titles.get(hit.feed) ?? hit.feed), `, ${clock(hit.start_ms)}`);
  from.append(link);
  if (hit.speaker) from.append(" · ", element("bdi", "", hit.speaker));
  text.dir = "auto";
  text.append(...hit.parts.map((part) => (part.found ? element("mark", "", part.text) : part.text)));
  root.append(from, text);
  return root;
}

document.addEventListener("DOMContentLoaded", () => {
  const box = $<HTMLInputElement>("q");
  $<HTMLFormElement>("search").onsubmit = (event) => {
    event.preventDefault();
    const q = box.value.trim();
    history.replaceState(null, "", q ? `/?${new URLSearchParams({ q })}` : "/");
    void search(q);
  };
  box.addEventListener("input", () => box.value === "" && void search(""));
  $<HTMLFormElement>("token-form").onsubmit = (event) => {
    event.preventDefault();
    keep($<HTMLInputElement>("token").value.trim());
    location.reload();
  };
  box.value = new URLSearchParams(location.search).get("q") ?? "";
  void list();
  if (box.value) void search(box.value);
});
