// A cable between the browser and the server that a test can cut, or leave in place and let nothing through.
import { connect, createServer } from "node:net";

export class Cable {
  #pairs = new Set();
  #isCut = false;
  #isDead = false;

  static async to(server) {
    const cable = new Cable();
    const { port } = new URL(server.url);
    cable.listener = createServer((near) => {
      if (cable.#isCut) return near.destroy();
      const far = connect(Number(port), "127.0.0.1");
      const pair = [near, far];
      cable.#pairs.add(pair);
      for (const [from, to] of [[near, far], [far, near]]) {
        from.on("data", (bytes) => cable.#isDead || to.write(bytes));
        from.on("error", () => {});
        from.on("close", () => {
          // Over a dead cable nobody hears of the end either.
          if (cable.#isDead) return;
          cable.#pairs.delete(pair);
          to.destroy();
        });
      }
    });
    await new Promise((done) => cable.listener.listen(0, "127.0.0.1", done));
    cable.url = `http://127.0.0.1:${cable.listener.address().port}`;
    return cable;
  }

  /** Every connection breaks, and no new one is made. */
  cut() {
    this.#isCut = true;
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
  }

  /** Nothing comes through any more, and nobody is told: a train in a tunnel. */
  silence() {
    this.#isDead = true;
  }

  mend() {
    this.#isCut = false;
    if (this.#isDead) for (const pair of this.#pairs) for (const end of pair) end.destroy();
    this.#isDead = false;
    this.#pairs.clear();
  }

  close() {
    this.cut();
    this.listener.close();
  }
}
