// Takes a transcript along: as a file in every format, on paper, or in the clipboard with where it is from.

import { keyOf, type Line, type Transcript } from "captionwire";
import { $, api } from "./dom";
import { linkTo } from "./places";
import type { Stage } from "./stage";
import { clock } from "./time";
import { copy, say } from "./toast";
import { bearer } from "./token";

/** A transcript that takes a token cannot be a plain link: it would carry the token. */
export function downloads(feed: string, token: string | null): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-format]")) {
    const format = link.dataset.format!;
    link.href = `${api(feed)}/transcript.${format}`;
    link.download = `${feed}.${format}`;
    if (token) link.onclick = (event) => {
      event.preventDefault();
      void download(link.href, link.download, token);
    };
  }
}

async function download(from: string, name: string, token: string): Promise<void> {
  const answer = await fetch(from, { headers: bearer(token) });
  if (!answer.ok) return say("The transcript cannot be had now.");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What was said, by whom and when, and where it is from. */
export function quote(transcript: Transcript, lines: readonly Line[], title: string): string {
  const said: string[] = [];
  let speaker: string | null | undefined;
  for (const line of lines) {
    const turn = transcript.turnOf(line);
    const name = transcript.speaker(turn.speaker)?.name ?? null;
    if (name !== speaker) said.push(`${name ? `${name} ` : ""}(${clock(line.start_ms)}): ${line.text}`);
    else said.push(line.text);
    speaker = name;
  }
  const first = lines[0];
  return `${said.join("\n")}\n\n${title}${first ? `, ${linkTo(transcript, keyOf(first))}` : ""}`;
}

export function copying(stage: Stage, title: () => string): void {
  const turns = $("turns");
  turns.addEventListener("click", (event) => {
    const target = event.target as HTMLElement;
    const root = target.closest<HTMLElement>(".turn");
    const span = root && stage.list.spanOf(root);
    if (!root || !span) return;
    const { transcript } = stage;
    if (target.closest(".copy")) {
      void copy(quote(transcript, transcript.finals.slice(span.from, span.to), title()), "Copied, with where it is from.");
    } else if (target.closest(".time")) {
      event.preventDefault();
      link(stage, root.dataset.key!);
    }
  });
  // Whole lines that are selected take along who said them.
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection || selection.isCollapsed || !event.clipboardData || !turns.contains(selection.anchorNode)) return;
    const { transcript } = stage;
    const keys = [...turns.querySelectorAll<HTMLElement>("p[data-key]")].filter((node) => selection.containsNode(node, true));
    const lines = keys.map((node) => transcript.get(node.dataset.key!)).filter((line) => line !== undefined);
    if (lines.length === 0) return;
    const [only] = lines;
    const text = lines.length > 1 ? quote(transcript, lines, title())
      : quote(transcript, [{ ...only!, text: selection.toString().trim() }], title());
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  });
}

/** Makes the address that of a line, and copies it. */
export function link(stage: Stage, key: string): void {
  const address = linkTo(stage.transcript, key);
  history.replaceState(history.state, "", new URL(address).hash);
  stage.look.target = key;
  stage.looked();
  void copy(address, "Link copied.");
}
