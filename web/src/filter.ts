// Only what some people say.

import { $, element, show, write } from "./dom";
import { colourOf } from "./speakers";
import type { Stage } from "./stage";

export class Filter {
  #wanted = new Set<string>();
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
    const panel = $("speakers");
    panel.addEventListener("toggle", () => panel.matches(":popover-open") && this.#list());
    $("filter-clear").onclick = () => this.clear();
    $("speakers-all").onclick = () => this.clear();
  }

  clear(): void {
    this.#wanted.clear();
    this.#list();
    this.#apply();
  }

  #list(): void {
    const { transcript } = this.#stage;
    const counts = new Map<string, number>();
    for (const { turn } of transcript.spans()) {
      const id = transcript.speaker(turn.speaker)?.id ?? "";
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const rows = [...counts].map(([id, count]) => {
      const row = element("label", "choice speaker");
      row.dataset.hue = colourOf(id || null);
      const box = element("input");
      box.type = "checkbox";
      box.checked = this.#wanted.has(id);
      box.onchange = () => {
        if (box.checked) this.#wanted.add(id);
        else this.#wanted.delete(id);
        this.#apply();
      };
      const name = element("bdi", "name", this.#nameOf(id));
      row.append(box, name, element("span", "count", String(count)));
      const item = element("li");
      item.append(row);
      return item;
    });
    $("speaker-list").replaceChildren(...rows);
    show($("speakers-none"), rows.length === 0);
  }

  #nameOf(id: string): string {
    return id ? this.#stage.transcript.speaker(id)?.name ?? id : "Nobody named";
  }

  #apply(): void {
    const is = this.#wanted.size > 0;
    this.#stage.filter(is ? new Set(this.#wanted) : null);
    show($("filter"), is);
    write($("filter-names"), [...this.#wanted].map((id) => this.#nameOf(id)).join(", "));
  }
}
