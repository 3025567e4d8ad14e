#!/usr/bin/env python3
"""Follow a captionwire feed and print each turn once it is closed.

    pip install websockets
    python3 subscribe.py ws://127.0.0.1:7700/v1/feeds/demo/subscribe

A reader needs to know four things; each has its place below.

1. Everything comes as `changes`: lines and turns to keep by key, and keys that are gone. Taking one twice does no harm.
2. Each carries a `cursor`. Come back with `from=<cursor>` after any interruption: no line is missed, none is repeated.
3. Changes too large for one message come in parts with `more: true`. Keep them aside; apply them all together.
4. On `reset`, drop everything, the cursor and kept parts too: the server sends the transcript anew.
"""

import argparse
import asyncio
import json
import random
import sys
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import websockets

# The server sends a heartbeat every 10 s; two of them missing is a lost connection, whatever TCP believes.
SILENCE_S = 25


def number(cursor: str) -> int:
    """The half of a cursor that counts. The half before the last colon is the server's business."""
    return int(cursor.rsplit(":", 1)[1])


class Transcript:
    """What the server has told, by key. This is the whole algorithm; the rest of the file is a connection."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.lines, self.turns, self.speakers = {}, {}, {}
        self.cursor, self.parts = None, []

    def take(self, message) -> bool:
        """Takes one `changes`; true when what is held is now whole and worth looking at."""
        if self.cursor is not None and number(message["cursor"]) < number(self.cursor):
            return False  # older than what we have
        self.parts.append(message)
        if message.get("more"):
            return False  # parts carry the cursor from before them, so a cut here starts them over
        for part in self.parts:
            for key in part.get("gone", []):
                self.lines.pop(key, None)
            for turn_id in part.get("gone_turns", []):
                self.turns.pop(turn_id, None)
            for line in part.get("lines", []):
                self.lines[f"{line['source']}/{line['id']}"] = line
            for turn in part.get("turns", []):
                self.turns[turn["id"]] = turn
            for speaker in part.get("speakers", []):
                self.speakers[speaker["id"]] = speaker
        self.parts = []
        self.cursor = message["cursor"]
        return not message.get("behind")

    def name(self, speaker_id) -> str:
        """What to call a speaker: follow `into` to the one it was merged into."""
        while (self.speakers.get(speaker_id) or {}).get("into"):
            speaker_id = self.speakers[speaker_id]["into"]
        return (self.speakers.get(speaker_id) or {}).get("name") or speaker_id or "(unknown)"

    def walk(self):
        """Each turn with its lines, in order: a line belongs to the last turn whose `sort` is not greater than its own."""
        # Plain comparison of the strings is the order; no locale, no parsing.
        turns = sorted(self.turns.values(), key=lambda turn: turn["sort"])
        lines = sorted(self.lines.values(), key=lambda line: line["sort"])
        at = 0
        for index, turn in enumerate(turns):
            end = turns[index + 1]["sort"] if index + 1 < len(turns) else None
            mine = []
            while at < len(lines) and (end is None or lines[at]["sort"] < end):
                mine.append(lines[at])
                at += 1
            yield turn, mine


def clock(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def print_closed(transcript: Transcript, printed: dict):
    """Prints closed turns that are new, or that were amended since they were printed."""
    for turn, lines in transcript.walk():
        # An interim line may still change; a closed turn can hold one for a moment if its source is slow.
        if turn["state"] != "closed" or any(line["status"] == "interim" for line in lines):
            continue
        text = "\n".join(line["text"] for line in lines)
        shown = (transcript.name(turn["speaker"]), text)
        if printed.get(turn["id"]) == shown:
            continue
        amended = " (amended)" if turn["id"] in printed else ""
        printed[turn["id"]] = shown
        print(f"[{clock(turn['start_ms'])}] {shown[0]}{amended}\n{text}\n", flush=True)
    for turn_id in printed.keys() - transcript.turns.keys():
        del printed[turn_id]  # joined to another turn, or taken back
        print(f"(the turn that began with {turn_id} is no more)\n", flush=True)


def with_query(url: str, **more) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | more
    return urlunsplit(parts._replace(query=urlencode(query)))


async def read(url: str, transcript: Transcript, printed: dict) -> None:
    """One connection, until it closes. Raises `ConnectionClosed` or `TimeoutError`."""
    # `wait=true`: a feed that is not there yet is waited for instead of refused.
    address = with_query(url, wait="true", **{"from": transcript.cursor or "start"})
    # 1 MiB is far above the largest `changes` (256 KiB).
    async with websockets.connect(address, max_size=1 << 20) as socket:
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), SILENCE_S))
            match message["type"]:
                case "hello":
                    print(f"# {message.get('title') or message['feed']}: {message['state']}", file=sys.stderr)
                case "changes":
                    if transcript.take(message):
                        print_closed(transcript, printed)
                case "live":
                    print("# caught up", file=sys.stderr)
                case "reset":
                    print(f"# starting over: {message['reason']}", file=sys.stderr)
                    transcript.forget()
                    # `printed` stays: what is unchanged is not printed again.
                case _:
                    pass  # heartbeat, and types that a newer server may send


async def follow(url: str) -> int:
    transcript, printed, tries = Transcript(), {}, 0
    while True:
        before = transcript.cursor
        try:
            await read(url, transcript, printed)
        except websockets.ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            reason = closed.rcvd.reason if closed.rcvd else "connection lost"
            if code == 1000:  # the feed has ended and everything was sent
                return 0
            if code == 1007 or code >= 4500:  # do not come again as you are
                print(f"# refused: {code} {reason}", file=sys.stderr)
                return 2
            print(f"# {code} {reason}", file=sys.stderr)
        except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
            print(f"# {type(error).__name__}: {error}", file=sys.stderr)
        transcript.parts = []  # parts without their last one are worth nothing
        tries = 0 if transcript.cursor != before else tries + 1
        # Jitter: a thousand readers must not come back in the same instant.
        await asyncio.sleep(min(15, 0.5 * 2**min(tries, 5)) * random.uniform(0.5, 1))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Print the turns of a captionwire feed as they close.")
    arguments.add_argument("url", nargs="?", default="ws://127.0.0.1:7700/v1/feeds/demo/subscribe")
    try:
        sys.exit(asyncio.run(follow(arguments.parse_args().url)))
    except KeyboardInterrupt:
        pass
