#!/usr/bin/env python3
"""Publish captions to a captionwire feed, and lose none of them to a broken connection.

    pip install websockets
    printf 'Clerk: The hearing is open.\\n' | python3 publish.py ws://127.0.0.1:7700/v1/feeds/demo/publish
    python3 publish.py ws://127.0.0.1:7700/v1/feeds/demo/publish lines.jsonl --end

Input is one line of text each, `Speaker: text` (the time is then the time since the start of this program), or, where
a line begins with `{`, JSON with the fields of a caption line: {"id":"7","start_ms":65000,"speaker":"Clerk","text":"…"}.

A publisher needs to know four things; each has its place below.

1. It chooses a `session` and keeps it over its reconnects. In it, every message has a `seq`: 1, 2, 3, …
2. `ack` with `seq` n says: everything up to n is durable, or was refused by a `nack` before. Until then, keep it.
3. `welcome` with `seq` n says the same on a new connection. Send everything above n again, in order, with its old `seq`.
   What the server had already is acknowledged and not logged twice.
4. Do not wait for an `ack` before the next message: that costs a round trip and an fsync for every line. The server
   takes `limits.unacked` messages ahead, and this file never sends more.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import secrets
import sys
import time
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import websockets

# New for each run, so that two runs do not write over each other's lines. A program that keeps its unacknowledged
# messages on disk would keep this there too, and go on where it was after a crash.
RUN = secrets.token_hex(4)


class Publisher:
    """Messages on their way: numbered once, kept until they are acknowledged."""

    def __init__(self, url: str, session: str, take_over: bool = False):
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query)) | {"session": session}
        self.url = urlunsplit(parts._replace(query=urlencode(query)))
        self.take_over = take_over  # replace another session that publishes, once
        self.kept = collections.deque()  # messages without an ack, oldest first: these are sent again
        self.seq = 0  # of the last message numbered
        self.sent = 0  # the greatest seq sent on the present connection
        self.unacked_max = 64  # until `welcome` says what the server takes
        self.welcomed = False  # whether the server has told where the session stands
        self.closing = False  # no more input: done when everything is acknowledged
        self.refused = 0
        self.moved = asyncio.Condition()  # something was added, acknowledged, or the input ended

    async def publish(self, message: dict) -> None:
        """Numbers `message` and queues it; waits while the window is full, so that memory stays bounded."""
        async with self.moved:
            await self.moved.wait_for(lambda: len(self.kept) < self.unacked_max)
            self.seq += 1
            self.kept.append({**message, "seq": self.seq})
            self.moved.notify_all()

    async def close(self) -> None:
        async with self.moved:
            self.closing = True
            self.moved.notify_all()

    @property
    def done(self) -> bool:
        return self.closing and not self.kept

    async def acknowledged(self, seq: int) -> None:
        async with self.moved:
            while self.kept and self.kept[0]["seq"] <= seq:
                self.kept.popleft()
            self.moved.notify_all()

    async def run(self) -> int:
        """Connects, and connects again, until everything is acknowledged or the server refuses for good."""
        tries = 0
        while not self.done:
            acknowledged_before = self.seq - len(self.kept)
            try:
                await self.connection()
            except websockets.ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                reason = closed.rcvd.reason if closed.rcvd else "connection lost"
                print(f"# {code} {reason}, {len(self.kept)} messages kept", file=sys.stderr)
                # Do not come again as you are. 4507: another session has our place, and the reason says which. (4005, which is
                # below: another session publishes. It may be gone when we come again.)
                if code == 1007 or code >= 4500:
                    return 2
            except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
                print(f"# {type(error).__name__}: {error}", file=sys.stderr)
            if self.done:
                break
            tries = 0 if self.seq - len(self.kept) > acknowledged_before else tries + 1
            await asyncio.sleep(min(15, 0.5 * 2**min(tries, 5)) * random.uniform(0.5, 1))
        return 1 if self.refused else 0

    async def connection(self) -> None:
        """One connection. The library's own pings find a dead one (after 20 s without a pong)."""
        async with websockets.connect(self.url + "&takeover=true" * self.take_over) as socket:
            welcome = json.loads(await asyncio.wait_for(socket.recv(), 20))
            self.take_over = False
            if not self.welcomed:
                # A session taken up from an earlier run (--session) has numbers behind it: go on above them. Nothing has
                # been sent yet, so what waits can still be numbered anew. (0 for a session that is new to the server.)
                for message in self.kept:
                    message["seq"] += welcome["seq"]
                self.seq += welcome["seq"]
                self.welcomed = True
            self.unacked_max = welcome["limits"]["unacked"]
            await self.acknowledged(welcome["seq"])
            self.sent = welcome["seq"]  # all above it goes out (again), in order
            sender = asyncio.create_task(self.send(socket))
            receiver = asyncio.create_task(self.receive(socket))
            try:
                finished, _ = await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()  # raises what ended it
            finally:
                sender.cancel()
                receiver.cancel()
                await asyncio.gather(sender, receiver, return_exceptions=True)

    async def send(self, socket) -> None:
        while True:
            async with self.moved:
                await self.moved.wait_for(lambda: self.done or (self.kept and self.kept[-1]["seq"] > self.sent))
                if self.done:
                    return
                waiting = [message for message in self.kept if message["seq"] > self.sent]
            for message in waiting:
                await socket.send(json.dumps(message, ensure_ascii=False))
                self.sent = message["seq"]

    async def receive(self, socket) -> None:
        async for text in socket:
            message = json.loads(text)
            match message["type"]:
                case "ack":
                    await self.acknowledged(message["seq"])
                case "nack":
                    # Nothing of it was kept. To mend it, publish it anew: it then takes a new seq.
                    self.refused += 1
                    print(f"# refused {message['seq']}: {message['code']}: {message['message']}", file=sys.stderr)
                case "warning":
                    print(f"# {message['code']}: {message['message']}", file=sys.stderr)
                case _:
                    pass  # status (who is on air), and types that a newer server may send
        # `async for` ends without an error on a normal close; the loop in `run` decides what to do.


async def read_input(publisher: Publisher, file, end: bool) -> None:
    began, count = time.monotonic(), 0
    try:
        while text := await asyncio.to_thread(file.readline):
            count += 1
            if text.strip():
                message = read_line(text.strip(), began)
                if message["type"] == "line":
                    # An id names the line for good: send it again under its id to correct it. It is not the seq.
                    message.setdefault("id", f"{RUN}-{count}")
                await publisher.publish(message)
        if end:
            await publisher.publish({"type": "end"})
    finally:
        await publisher.close()  # also after an unreadable line: what was read before it is still delivered


def read_line(text: str, began: float) -> dict:
    if text.startswith("{"):
        return {"type": "line"} | json.loads(text)
    speaker, colon, said = text.partition(": ")
    line = {"type": "line", "start_ms": int((time.monotonic() - began) * 1000), "text": said if colon else text}
    return line | ({"speaker": speaker} if colon else {})


async def main(arguments) -> None:
    publisher = Publisher(arguments.url, arguments.session or RUN, arguments.take_over)
    with open(arguments.file, encoding="utf-8") if arguments.file else sys.stdin as file:
        reading = asyncio.create_task(read_input(publisher, file, arguments.end))
        code = await publisher.run()
        if reading.done() and (error := reading.exception()):
            print(f"# the input stopped: {error}", file=sys.stderr)
            code = 2
        # Not a plain return: a thread that waits for standard input would keep the process here.
        os._exit(code)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Publish captions to a captionwire feed.")
    parser.add_argument("url", nargs="?", default="ws://127.0.0.1:7700/v1/feeds/demo/publish")
    parser.add_argument("file", nargs="?", help="lines of text or JSON; default: standard input")
    parser.add_argument("--session", help="keep one session over several runs of this program")
    parser.add_argument("--take-over", action="store_true", help="replace another session that publishes as this source")
    parser.add_argument("--end", action="store_true", help="end the source when the input ends")
    asyncio.run(main(parser.parse_args()))
