// <caption-wire feed="geneva">: a feed in somebody else's page. What it shows is in a frame of the server's own, so that neither
// page can reach into the other; the server's `embedding_origins` says whose pages may show it.
//
// Attributes: `feed`; `mode`: `transcript` (usual) or `overlay`; `server`, where it is not the one that this script is from;
// `token`; all others are handed on: `theme`, `font`, `size`, `leading`, and what the overlay takes.

const from = (document.currentScript as HTMLScriptElement | null)?.src ?? location.href;
const OWN = new Set(["feed", "mode", "server", "token", "class", "style", "id", "slot", "hidden", "title", "lang", "dir"]);

class CaptionWire extends HTMLElement {
  static readonly observedAttributes = ["feed", "mode", "server", "token", "theme", "font", "size", "leading", "lines", "chars", "speaker"];
  #frame: HTMLIFrameElement | null = null;

  connectedCallback(): void {
    if (!this.#frame) {
      this.#frame = document.createElement("iframe");
      const { style } = this.#frame;
      for (const [name, value] of [["border", "0"], ["width", "100%"], ["height", "100%"], ["display", "block"]]) style.setProperty(name!, value!);
      this.#frame.referrerPolicy = "no-referrer";
      this.#frame.allow = "clipboard-write";
      this.attachShadow({ mode: "open" }).append(this.#frame);
      // A page that says nothing of its size gets one that can be read.
      const now = getComputedStyle(this);
      if (now.display === "inline") this.style.setProperty("display", "block");
      if (this.clientHeight < 40) this.style.setProperty("height", "24rem");
    }
    this.#load();
  }

  attributeChangedCallback(): void {
    if (this.isConnected && this.#frame) this.#load();
  }

  #load(): void {
    const feed = this.getAttribute("feed");
    if (!feed || !this.#frame) return;
    const page = this.getAttribute("mode") === "overlay" ? "overlay" : "embed";
    const url = new URL(`/feeds/${encodeURIComponent(feed)}/${page}`, this.getAttribute("server") ?? from);
    for (const { name, value } of this.attributes) {
      if (!OWN.has(name) && !name.startsWith("data-") && !name.startsWith("aria-")) url.searchParams.set(name, value);
    }
    // Behind the sign, where it leaves the browser with no request.
    const token = this.getAttribute("token");
    if (token) url.hash = String(new URLSearchParams({ token }));
    this.#frame.title = this.getAttribute("title") ?? `Live captions: ${feed}`;
    if (this.#frame.src !== url.href) this.#frame.src = url.href;
  }
}

if (!customElements.get("caption-wire")) customElements.define("caption-wire", CaptionWire);

export {};
