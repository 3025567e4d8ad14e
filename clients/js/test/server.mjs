// The real server, and a publisher, for tests. The binary is CAPTIONWIRE_BIN, or that of `cargo build`.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

function binary() {
  const target = resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target");
  const found = process.env.CAPTIONWIRE_BIN ?? join(target, "debug", "captionwire");
  if (!existsSync(found)) throw new Error(`${found} is not there: run cargo build, or set CAPTIONWIRE_BIN`);
  return found;
}

export class Server {
  static async start({ config = "", port = 0 } = {}) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "captionwire-js-"));
    server.config = join(server.directory, "captionwire.toml");
    writeFileSync(server.config, config);
    await server.run(port);
    return server;
  }

  async run(port) {
    const data = join(this.directory, "data");
    this.log = "";
    this.child = spawn(binary(), ["serve", "--config", this.config, "--data", data, "--listen", `127.0.0.1:${port}`]);
    this.exited = new Promise((done) => this.child.once("exit", done));
    this.child.stderr.on("data", (text) => (this.log += text));
    this.url = await new Promise((done, fail) => {
      let out = "";
      this.child.stdout.on("data", (text) => {
        out += text;
        const found = out.match(/listening on (\S+)/);
        if (found) done(found[1]);
      });
      void this.exited.then((code) => fail(new Error(`the server ended with ${code}: ${this.log}`)));
    });
  }

  /** Dies at once, and comes again on the same port with the same archive. */
  async restart() {
    const port = Number(new URL(this.url).port);
    await this.kill();
    await this.run(port);
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async ask(method, path, body, headers = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text.startsWith("{") ? JSON.parse(text.split("\n")[0]) : text;
  }

  async import(feed, text, query = "") {
    return this.ask("PUT", `/v1/feeds/${feed}/transcript${query}`, text, { "Content-Type": "text/plain" });
  }

  publisher(feed, query = "") {
    return Publisher.connect(this, feed, query);
  }
}

/** Publishes, and waits for what it sent to be durable. */
export class Publisher {
  static async connect(server, feed, query) {
    const publisher = new Publisher();
    publisher.seq = 0;
    publisher.acked = 0;
    publisher.waiting = [];
    const url = `${server.url.replace("http", "ws")}/v1/feeds/${feed}/publish${query}`;
    publisher.socket = new WebSocket(url);
    publisher.socket.on("error", () => {});
    await new Promise((done, fail) => {
      publisher.socket.on("close", (code, reason) => fail(new Error(`closed with ${code} ${reason}`)));
      publisher.socket.on("message", (data) => {
        const message = JSON.parse(data);
        if (message.type === "welcome") done();
        if (message.type === "nack") throw new Error(`refused: ${data}`);
        if (message.type === "ack") publisher.acked = message.seq;
        publisher.waiting = publisher.waiting.filter(({ seq, then }) => seq > publisher.acked || then());
      });
    });
    return publisher;
  }

  /** Sends messages; ready when all are durable. */
  say(...messages) {
    for (const message of messages) this.socket.send(JSON.stringify({ type: "line", seq: ++this.seq, ...message }));
    const { seq } = this;
    return seq <= this.acked ? Promise.resolve() : new Promise((then) => this.waiting.push({ seq, then }));
  }

  close() {
    this.socket.close();
  }
}

/** Ready as soon as `check` gives something true; fails, saying what it gave, if that takes too long. */
export async function until(check, what = String(check), ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((then) => setTimeout(then, 5));
  }
}
