// The feeds, live ones first, and a search over all that was ever said.

import { $, arrange, element, show, write } from "./dom";
import { direction } from "./paragraph";
import { clock, many } from "./time";
import { bearer, keep, takeToken } from "./token";
import "./settings";

/** Slow enough for a page left open, quick enough for one who waits for an event to begin. */
const AGAIN_MS = 10_000;
const HITS = 20;
/** Feeds that are asked for at once: more than a window shows, and quickly there. */
const FEEDS = 50;

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

interface Page {
  feeds: Feed[];
  total: number;
  next?: string;
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
      if (last.lang) text.lang = last.lang;
      // As its text runs, so that the name stands before it.
      this.#last.dir = direction(last.text);
      this.#last.replaceChildren(...(last.speaker ? [element("bdi", "", last.speaker), ": "] : []), text);
    }
    const length = feed.duration_ms > 0 ? [clock(feed.duration_ms)] : [];
    const turns = feed.turns > 0 ? [many(feed.turns, "turn")] : [];
    const readers = feed.readers > 0 || feed.state === "live" ? [many(feed.readers, "reader")] : [];
    const facts = [...length, ...turns, ...readers, when(feed)].filter(Boolean);
    write(this.#facts, facts.length > 0 ? facts.join(" · ") : "Nothing has been said yet");
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

/** What is known of the feeds that were asked for, however many there are. */
const known = new Map<string, Feed>();
/** Where the next page begins; none after the last. */
let next: string | undefined;

const rank = ({ state }: Feed) => GROUPS.findIndex(([known]) => known === state);

/** As the server lists them. */
function order(a: Feed, b: Feed): number {
  const spoke = ({ last_line_at }: Feed) => (last_line_at ? Date.parse(last_line_at) : -Infinity);
  return rank(a) - rank(b) || (spoke(a) === spoke(b) ? 0 : spoke(b) - spoke(a)) || (a.feed < b.feed ? -1 : 1);
}

/** The first page as it is now: what stood within it and is not in it is no more, or has moved on. */
function refresh(page: Page): void {
  const last = page.feeds.at(-1);
  for (const [name, feed] of known) if (page.next === undefined || (last && order(feed, last) <= 0)) known.delete(name);
  for (const feed of page.feeds) known.set(feed.feed, feed);
  if (page.next === undefined || known.size === page.feeds.length) next = page.next;
  draw(page.total);
}

async function more(): Promise<void> {
  const page = await get<Page>(`/v1/feeds?${new URLSearchParams({ limit: String(FEEDS), after: next ?? "" })}`).catch(() => null);
  if (!page) return;
  for (const feed of page.feeds) known.set(feed.feed, feed);
  next = page.next;
  draw(page.total);
  // To the first of them, from a button that may be gone now.
  const first = page.feeds[0];
  if (first) rows.get(first.feed)?.root.querySelector("a")?.focus();
}

function draw(total: number): void {
  const feeds = [...known.values()].sort(order);
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
  for (const name of rows.keys()) if (!known.has(name)) rows.delete(name);
  show($("empty"), feeds.length === 0);
  show($("more-feeds"), next !== undefined && total > known.size);
  write($("more-feeds"), `More of ${total.toLocaleString()}`);
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
    refresh(await get<Page>(`/v1/feeds?limit=${FEEDS}`));
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
  $("more-feeds").onclick = () => void more();
  box.value = new URLSearchParams(location.search).get("q") ?? "";
  // The list first: it knows what the feeds that are found are called.
  void list().then(() => search(box.value));
});
