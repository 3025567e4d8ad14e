// The list of feeds, live ones first. It asks again now and then; a feed's own page is told of everything at once.
const AGAIN_MS = 15_000; // Slow enough for a page left open, quick enough for one who waits for an event to begin.

const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const RANK = ["live", "paused", "scheduled", "ended"];
const SAYS = { live: "Live", paused: "Paused", scheduled: "Not started", ended: "Ended" };
const items = new Map(); // feed -> { li, link, state, facts }: kept, so that the focus stays where it is

function item(feed) {
  const li = document.createElement("li");
  const [link, state, facts] = ["a", "span", "span"].map((name) => document.createElement(name));
  link.href = `/feeds/${encodeURIComponent(feed)}${token ? `?token=${encodeURIComponent(token)}` : ""}`;
  link.dir = "auto";
  [state.className, facts.className] = ["pill", "facts"];
  li.append(link, state, facts);
  return { li, link, state, facts };
}

const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;
/** How many there are: servers may give the number or the things themselves. */
const size = (value) => (Array.isArray(value) ? value.length : value ?? 0);

function show(feeds) {
  const rank = ({ state }) => (RANK.indexOf(state) + RANK.length + 1) % (RANK.length + 1);
  feeds.sort((a, b) => rank(a) - rank(b)
    || (b.last_line_at ?? "").localeCompare(a.last_line_at ?? "") || a.feed.localeCompare(b.feed));
  const wanted = feeds.map((feed) => {
    if (!items.has(feed.feed)) items.set(feed.feed, item(feed.feed));
    const { li, link, state, facts } = items.get(feed.feed);
    link.textContent = feed.title || feed.feed;
    state.textContent = SAYS[feed.state] ?? feed.state;
    state.dataset.state = feed.state;
    const said = feed.last_line_at ? `last line ${new Date(feed.last_line_at).toLocaleString()}` : "no lines yet";
    facts.textContent = [said, many(size(feed.readers), "reader", "readers"),
      many(size(feed.publishers), "publisher", "publishers")].join(" · ");
    return li;
  });
  for (const child of [...$("feeds").children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((li, index) => {
    if ($("feeds").children[index] !== li) $("feeds").insertBefore(li, $("feeds").children[index] ?? null);
  });
  $("empty").hidden = feeds.length > 0;
}

async function ask() {
  try {
    const answer = await fetch("/v1/feeds", token ? { headers: { Authorization: `Bearer ${token}` } } : {});
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail ?? body.title ?? `status ${answer.status}`);
    show(body.feeds);
    $("note").hidden = true;
  } catch (error) {
    $("note").textContent = `The list cannot be had now: ${error.message}.`;
    $("note").hidden = false;
  }
  setTimeout(ask, AGAIN_MS);
}

ask();
