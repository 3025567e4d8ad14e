// What the stories play on: a captionwire server, a video that ffmpeg makes, a web server that slides it, and a browser.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import WebSocket from "ws";

const { CAPTIONWIRE_BIN, CHROMIUM = "/usr/bin/chromium", FFMPEG = "ffmpeg" } = process.env;
export const TOKEN = "a token/of=mine";
/// The length of a segment, of video and captions.
export const SEGMENT_MS = 1000;
/// How long the video is.
export const SEGMENTS = 20;
/// Longer than anything takes on a busy machine.
const PATIENCE_MS = 60_000;

/// Asks again until it is so; says what it was for when it does not come to that.
export async function until(what, ask) {
  const patience = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > patience) throw new Error(`it does not come to this: ${what}`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

/// A silent video in segments, once as MPEG-2 streams and once as fragmented MP4, and where its time 0 stands in ticks.
const KINDS = {
  ts: { ffmpeg: ["-hls_segment_type", "mpegts", "-hls_segment_filename", "ts%d.ts"], name: (n) => `ts${n}.ts`, head: "" },
  fmp4: {
    ffmpeg: ["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "fmp4%d.m4s"],
    name: (n) => `fmp4${n}.m4s`,
    head: '#EXT-X-MAP:URI="init.mp4"\n',
  },
};

export class Stage {
  #dir = mkdtempSync(join(tmpdir(), "captionwire-hls-"));
  #videos = new Map();

  static async set() {
    const stage = new Stage();
    try {
      stage.#film();
      await stage.#serve();
      await stage.#caption();
      stage.browser = await chromium.launch({
        executablePath: CHROMIUM,
        // prettier-ignore
        args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
          "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required"],
      });
      return stage;
    } catch (error) {
      await stage.strike();
      throw error;
    }
  }

  async strike() {
    await this.browser?.close();
    this.web?.closeAllConnections?.();
    this.web?.close();
    this.captionwire?.kill("SIGKILL");
    rmSync(this.#dir, { recursive: true });
  }

  #film() {
    for (const kind of Object.values(KINDS)) {
      // prettier-ignore
      const args = ["-v", "error", "-f", "lavfi", "-i", `testsrc=size=160x90:rate=10:duration=${SEGMENTS}`,
        "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "10", "-sc_threshold", "0",
        "-f", "hls", "-hls_time", "1", "-hls_list_size", "0", ...kind.ffmpeg, "made.m3u8"];
      const made = spawnSync(FFMPEG, args, { cwd: this.#dir, encoding: "utf8" });
      if (made.status !== 0) throw new Error(`ffmpeg: ${made.error ?? made.stderr}`);
    }
    const made = readdirSync(this.#dir).filter((name) => /^(ts|fmp4)\d/.test(name));
    if (made.length !== 2 * SEGMENTS) throw new Error(`ffmpeg made ${made}`);
  }

  /// Puts a video on: `edge` segments of it can be seen, of which the last six are listed until it is over.
  video(name, kind, captions) {
    const video = { kind: KINDS[kind], captions, edge: 4, isOver: false, isWhole: false, startAt: Date.now() };
    this.#videos.set(name, video);
    return video;
  }

  master(name) {
    return `${this.origin}/${name}/master.m3u8`;
  }

  page(name) {
    return `${this.origin}/player.html?src=${encodeURIComponent(this.master(name))}`;
  }

  async #serve() {
    const files = { "/player.html": "../../../examples/player.html", "/hls.min.js": "node_modules/hls.js/dist/hls.min.js" };
    const types = { html: "text/html", js: "text/javascript", m3u8: "application/vnd.apple.mpegurl" };
    this.web = createServer((request, response) => {
      const { pathname } = new URL(request.url, this.origin);
      const [, video, file] = pathname.split("/");
      const here = new URL(files[pathname] ?? "", import.meta.url);
      const say = (body) => {
        const type = types[pathname.split(".").pop()] ?? "application/octet-stream";
        response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
      };
      try {
        if (files[pathname]) say(readFileSync(here));
        else if (file === "master.m3u8") say(this.#master(this.#videos.get(video)));
        else if (file === "video.m3u8") say(this.#playlist(this.#videos.get(video)));
        else say(readFileSync(join(this.#dir, file)));
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise((done) => this.web.listen(0, "127.0.0.1", done));
    this.origin = `http://127.0.0.1:${this.web.address().port}`;
  }

  #master({ captions }) {
    return `#EXTM3U
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="${captions}"
#EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS="avc1.42c00b",SUBTITLES="captions"
video.m3u8
`;
  }

  #playlist({ kind, edge, isOver, isWhole, startAt }) {
    const first = isWhole ? 0 : Math.max(0, edge - 6);
    let text = `#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${first}\n`;
    if (isWhole) text += "#EXT-X-PLAYLIST-TYPE:VOD\n";
    text += kind.head;
    for (let n = first; n < edge; n++) {
      const at = new Date(startAt + n * SEGMENT_MS).toISOString();
      text += `#EXT-X-PROGRAM-DATE-TIME:${at}\n#EXTINF:1.000,\n${kind.name(n)}\n`;
    }
    return isOver ? `${text}#EXT-X-ENDLIST\n` : text;
  }

  /// The server, with feeds that anybody may read and others that need a token, for pages of another origin.
  async #caption() {
    const sha256 = createHash("sha256").update(TOKEN).digest("hex");
    const config = join(this.#dir, "captionwire.toml");
    writeFileSync(
      config,
      `allowed_origins = ["${this.origin}"]
[hls]
segment_ms = ${SEGMENT_MS}
hold_back_ms = 1000
[auth.anonymous]
roles = ["subscribe"]
feeds = ["open-*"]
[[auth.tokens]]
name = "test"
sha256 = "${sha256}"
roles = ["publish", "create", "subscribe", "desk"]
feeds = ["*"]
`,
    );
    const args = ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--config", config];
    this.captionwire = spawn(CAPTIONWIRE_BIN, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.addr = await new Promise((is, failed) => {
      this.captionwire.on("error", failed).on("exit", (code) => failed(new Error(`captionwire ended with ${code}`)));
      this.captionwire.stdout.once("data", (said) => is(/listening on http:\/\/(\S+)/.exec(said)[1]));
    });
  }

  /// The address of a feed's captions.
  captions(feed, query) {
    return `http://${this.addr}/v1/feeds/${feed}/hls/captions.m3u8?${new URLSearchParams(query)}`;
  }

  async publisher(feed) {
    const socket = new WebSocket(`ws://${this.addr}/v1/feeds/${feed}/publish?${new URLSearchParams({ token: TOKEN })}`);
    const publisher = { sent: 0, acked: 0, refused: [] };
    await new Promise((is, failed) => {
      socket.on("error", failed).on("message", (text) => {
        const message = JSON.parse(text);
        if (message.type === "welcome") is();
        if (message.type === "nack") publisher.refused.push(message);
        if (message.type === "ack") publisher.acked = message.seq;
      });
    });
    /// Sends messages, and waits until they are durable.
    publisher.say = async (...messages) => {
      messages.forEach((message) => socket.send(JSON.stringify(message)));
      publisher.sent += messages.length;
      await until("all is acknowledged", () => publisher.acked >= publisher.sent);
      if (publisher.refused.length > 0) throw new Error(JSON.stringify(publisher.refused));
    };
    publisher.close = () => socket.close();
    return publisher;
  }
}
