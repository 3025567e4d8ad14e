// The live page of one feed: holds what the server has told (lines, turns, speakers) and draws it, once a frame at most.
// The protocol is docs/asyncapi.yaml; a reader that begins from ten lines is examples/subscribe.html.
const SILENCE_MS = 25_000; // The server sends a heartbeat every 10 s: two of them missing is a lost connection.
const WAIT_MS_MIN = 500; // Before the first try to come again; doubles with each,
const WAIT_MS_MAX = 15_000; // up to here. With jitter, or a thousand readers would come back in the same instant.
const HUES = 10; // Speaker colours in page.css.
const $ = (id) => document.getElementById(id);
const feed = decodeURIComponent(location.pathname.match(/\/feeds\/([^/]+)/)?.[1] ?? "");
const asked = new URLSearchParams(location.search);

// ---- What the server has told ----

const lines = new Map(); // "source/id" -> line
const turns = new Map(); // id -> turn
const speakers = new Map(); // id -> speaker
const about = { title: feed, state: "none", language: "" };
let cursor = null; // From here reading goes on.
let parts = []; // Of changes too large for one message: applied together when the last has come.
let whole = false; // False while more waits behind: what is held is not yet a picture to draw.

const keyOf = (line) => `${line.source}/${line.id}`;
/** The half of a cursor that counts; the rest of it means nothing to us. */
const count = (cursor) => Number(cursor.slice(cursor.lastIndexOf(":") + 1));

function receive(message) {
  if (message.type === "hello") {
    Object.assign(about, { title: message.title ?? about.title, state: message.state });
  } else if (message.type === "changes") {
    if (cursor !== null && count(message.cursor) < count(cursor)) return; // Older than what we have.
    parts.push(message);
    if (message.more) return;
    parts.splice(0).forEach(apply);
    [cursor, whole] = [message.cursor, !message.behind];
  } else if (message.type === "live") {
    [cursor, whole, tries] = [message.cursor, true, 0];
  } else if (message.type === "heartbeat") { // It names where we should be by now.
    if (cursor !== null && message.cursor && count(message.cursor) > count(cursor)) return lost();
    tries = 0;
  } else if (message.type === "reset") { // The old picture stays on the screen until the new one is whole.
    for (const held of [lines, turns, speakers]) held.clear();
    [cursor, parts, whole] = [null, [], false];
    speak(false);
  }
  drawSoon();
}

function apply(changes) {
  for (const key of changes.gone ?? []) lines.delete(key);
  for (const id of changes.gone_turns ?? []) turns.delete(id);
  for (const line of changes.lines ?? []) lines.set(keyOf(line), line);
  for (const turn of changes.turns ?? []) turns.set(turn.id, turn);
  for (const speaker of changes.speakers ?? []) speakers.set(speaker.id, speaker);
  for (const fact of ["title", "state", "language"]) about[fact] = changes[fact] ?? about[fact];
}

// ---- The connection ----

let socket = null;
let heardAt = 0;
let tries = 0;
let retry = 0;
let stopped = null; // Why we do not come again, in words; empty where the event is simply over.

function connect() {
  clearTimeout(retry);
  const query = new URLSearchParams({ wait: "true", from: cursor ?? asked.get("from") ?? "start" });
  for (const name of ["token", "view", "interim", "pace"]) if (asked.has(name)) query.set(name, asked.get(name));
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/v1/feeds/${encodeURIComponent(feed)}/subscribe?${query}`);
  heardAt = Date.now();
  socket.onmessage = ({ data }) => {
    heardAt = Date.now();
    receive(JSON.parse(data));
  };
  socket.onclose = ({ code, reason }) => {
    if (code === 1000) leave(about.state === "ended" ? "" : "The server has no more to send.");
    else if (code >= 4500) leave(`The server will not show this feed: ${reason || "refused"} (${code}).`);
    else lost();
  };
}

/** Drops the connection and comes again with the cursor. */
function lost() {
  leave(null);
  retry = setTimeout(connect, Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** tries++) * (0.5 + Math.random() / 2));
}

function leave(why) {
  socket.onmessage = socket.onclose = null; // A dead socket may take a minute to say that it is closed.
  socket.close();
  [socket, parts, stopped] = [null, [], why]; // Parts are worth nothing without the last one.
  drawSoon();
}

setInterval(() => socket && Date.now() - heardAt > SILENCE_MS && lost(), 5_000);
addEventListener("online", () => !socket && stopped === null && connect());

// ---- Drawing ----

const boxes = new Map(); // turn id -> { root, head, name, time, text, lines }
const paragraphs = new Map(); // line key -> { p, line }
const hues = new Map(); // speaker id -> colour, in order of appearance
let drawing = 0;
const bySort = (a, b) => (a.sort < b.sort ? -1 : a.sort > b.sort ? 1 : 0);
const same = (a, b) => a.length === b.length && a.every((item, index) => item === b[index]);
const clock = (ms) => `${Math.floor(ms / 3_600_000)}${new Date(ms % 3_600_000).toISOString().slice(13, 19)}`;
const drawSoon = () => { drawing ||= requestAnimationFrame(draw); };

function element(name, className = "", text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

function write(node, text) { // Writing the same text again would be read out again.
  if (node.textContent !== text) node.textContent = text;
}

function draw() {
  drawing = 0;
  drawState();
  if (!whole) return;
  const groups = grouped();
  const added = drawLog(groups.filter(({ final }) => final.length));
  drawInterim(groups);
  $("empty").hidden = lines.size > 0;
  keepPlace(added);
  setTimeout(() => speak(whole), 500); // After the backlog is on the page, not with it.
}

/** One walk over lines and turns: a line belongs to the last turn whose `sort` is not greater than its own. */
function grouped() {
  const order = [...turns.values()].sort(bySort);
  const groups = [];
  let next = 0;
  for (const line of [...lines.values()].sort(bySort)) {
    while (next < order.length && order[next].sort <= line.sort) next++;
    // Before all turns we know (a late line, for a reader that began from now), a line stands for itself.
    const turn = order[next - 1] ?? { ...line, id: `line ${keyOf(line)}` };
    if (groups.at(-1)?.turn.id !== turn.id) groups.push({ turn, final: [], interim: [] });
    groups.at(-1)[line.status === "interim" ? "interim" : "final"].push(line);
  }
  return groups;
}

/** Draws the turns with final lines; touches only those that differ. Returns how many lines are new on the page. */
function drawLog(groups) {
  const before = paragraphs.size;
  for (const { turn, final } of groups) {
    if (!boxes.has(turn.id)) boxes.set(turn.id, box("li"));
    const at = boxes.get(turn.id);
    name(at, turn);
    if (!same(at.lines, final)) arrange(at.text, final.map(paragraph));
    at.lines = final;
  }
  const added = paragraphs.size - before;
  arrange($("log"), groups.map(({ turn }) => boxes.get(turn.id).root));
  const shown = new Set(groups.map(({ turn }) => turn.id));
  for (const id of boxes.keys()) if (!shown.has(id)) boxes.delete(id);
  for (const key of paragraphs.keys()) if ((lines.get(key)?.status ?? "interim") === "interim") paragraphs.delete(key);
  return added;
}

function drawInterim(groups) {
  const last = groups.findLast(({ final }) => final.length);
  $("interim").replaceChildren(...groups.filter(({ interim }) => interim.length).map((group) => {
    const at = box("div");
    name(at, group.turn);
    at.head.hidden = group === last; // The log's last word was this speaker's.
    at.text.append(...group.interim.map((line) => fill(element("p"), line)));
    return at.root;
  }));
}

function box(tag) {
  const [root, head, text] = [element(tag, "turn"), element("div", "head"), element("div", "text")];
  const [name, time] = [element("bdi", "name"), element("time")];
  if (tag === "li") root.role = "none"; // A log is no list, and its items need not be announced as such.
  head.append(name, " ", time);
  root.append(head, text);
  return { root, head, name, time, text, lines: [] };
}

/** Who speaks, and from when. A speaker that was merged into another goes by the other's name. */
function name(at, turn) {
  let id = turn.speaker ?? null;
  for (let hops = 0; hops < 100 && speakers.get(id)?.into; hops++) id = speakers.get(id).into;
  if (id !== null && !hues.has(id)) hues.set(id, hues.size % HUES);
  write(at.name, speakers.get(id)?.name ?? id ?? "");
  write(at.time, clock(turn.start_ms));
  at.root.dataset.hue = hues.get(id) ?? "none";
}

function paragraph(line) {
  const held = paragraphs.get(keyOf(line)) ?? { p: element("p"), line: null };
  if (held.line !== line) fill(held.p, line);
  held.line = line;
  paragraphs.set(keyOf(line), held);
  return held.p;
}

function fill(p, line) {
  const text = [...line.text]; // Marks count Unicode scalar values, not UTF-16 units.
  const marks = line.marks ?? [];
  const pieces = [];
  let from = 0;
  for (const { kind, start, end, at_ms } of marks) {
    if (kind === "unconfirmed" || start < from) continue;
    const mark = element("span", `mark ${kind}`, text.slice(start, end).join(""));
    if (kind === "uncertain") mark.title = `Not certain; listen at ${clock(at_ms ?? line.start_ms)}`;
    pieces.push(text.slice(from, start).join(""), mark);
    from = end;
  }
  p.replaceChildren(...pieces, text.slice(from).join(""));
  p.className = marks.some(({ kind }) => kind === "unconfirmed") ? "unconfirmed" : "";
  return Object.assign(p, { dir: "auto", lang: line.lang ?? about.language });
}

/** Makes `wanted` the children of `parent`, moving none that stands in its place. */
function arrange(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

const STATES = { none: "Waiting", scheduled: "Not started", live: "Live", paused: "Paused", ended: "Ended" };
function drawState() {
  const away = cursor === null && tries === 0 ? "Connecting" : "Reconnecting";
  let [state, says] = [about.state, STATES[about.state] ?? about.state];
  if (stopped !== null) [state, says] = stopped ? ["stopped", "Stopped"] : ["ended", "Ended"];
  else if (socket?.readyState !== WebSocket.OPEN) [state, says] = ["waiting", away];
  write($("state"), says);
  $("state").dataset.state = state;
  write($("note"), stopped ?? "");
  $("note").hidden = !stopped;
  write($("title"), about.title);
  document.title = `${about.title} · live captions`;
}

/** Whether the log tells screen readers of what is new. */
function speak(on) {
  $("log").setAttribute("aria-live", on ? "polite" : "off");
  $("log").setAttribute("aria-busy", String(!on));
}

// ---- Following, until the reader scrolls up to read ----

let following = true;
let begun = false; // Something has been drawn.
let unseen = 0;
let lastY = 0;
const end = () => document.documentElement.scrollHeight;

function keepPlace(added) {
  // An event that is over is read from its beginning.
  if (!begun && about.state === "ended") following = false;
  begun = true;
  if (following) scrollTo(0, end());
  else if (about.state !== "ended") unseen += added;
  $("new").hidden = following || unseen === 0;
  $("new").textContent = `${unseen} new`;
}

addEventListener("scroll", () => {
  if (innerHeight + scrollY >= end() - 60) following = true;
  else if (scrollY < lastY - 2) following = false;
  lastY = scrollY;
  if (following) [unseen, $("new").hidden] = [0, true];
}, { passive: true });

$("new").onclick = () => {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  following = true; // At once: the end may move on faster than a smooth scroll.
  scrollTo({ top: end(), behavior: still ? "auto" : "smooth" });
};

connect();
