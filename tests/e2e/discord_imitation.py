#!/usr/bin/env python3
"""A strict imitation of Discord's webhook endpoint on loopback: it refuses what Discord refuses, limits rates as Discord
does, keeps every message with its edits, and fails on request.

As a command:   python3 tests/e2e/discord_imitation.py --port 0 --print
                prints its webhook URL first, then every card as text.
In a test:      with DiscordImitation() as discord: ... discord.url ... discord.wait_for_messages(1)
From elsewhere: GET  /_control/state               messages with their edits, requests with their arrival times
                POST /_control/wait                {"messages": 1, "edits": 0, "requests": 0, "timeout": 30}: then as state
                POST /_control/faults              {"kind": "500", "count": 2, ...}, see Fault
                POST /_control/rate_limit          {"enabled": true, "limit": 5, "per": 2.0}
                POST /_control/delete_message      {"id": "..."}   as a moderator would
                POST /_control/delete_webhook, /_control/reset

Threads: one a connection; all state is under one condition variable.
"""

import argparse
import copy
import math
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import discord_http  # noqa: E402
import discord_rules as rules  # noqa: E402
import discord_text  # noqa: E402

DISCORD_EPOCH_MS = 1420070400000
BUCKET = "e5b4a1c03d7f42a8"


@dataclass
class Fault:
    """What the next `count` requests meet instead of an answer of the endpoint.

    kind: an HTTP status ("500", "502", "400", "401", "403", "404", "429"); "hang" (no answer for `seconds`); "close" (connection
    closed, nothing stored); "store_close" (stored, then closed without an answer); "no_id" (stored, 200 without an id);
    "slow" (answered after `seconds`).
    """
    kind: str
    count: int = 1
    method: str = ""            # only requests of this method; empty: any
    retry_after: float = 0.5    # 429
    is_global: bool = False     # 429
    html: bool = False          # 429 and 5xx: as the edge network answers, without JSON
    code: int = 0               # of the error body
    seconds: float = 60.0       # hang, slow
    body: str = ""              # instead of the usual one


@dataclass
class Message:
    id: str
    channel_id: str
    content: str
    embeds: list
    pings: list                 # whom it notified
    warnings: list
    created_ns: int             # monotonic
    deleted: bool = False
    edits: list = field(default_factory=list)   # {"at_ns", "content", "embeds", "pings"} in order, after the first state

    @property
    def title(self):
        return self.embeds[0].get("title", "") if self.embeds else ""

    @property
    def color(self):
        return self.embeds[0].get("color") if self.embeds else None

    def fields(self):
        return {f["name"]: f["value"] for f in self.embeds[0].get("fields", [])} if self.embeds else {}


class RateLimit:
    """A window of `per` seconds from its first request on; one bucket a webhook."""

    def __init__(self, enabled=True, limit=5, per=2.0):
        self.enabled, self.limit, self.per = enabled, limit, per
        self.begin, self.used = -math.inf, 0

    def take(self):
        """Returns (headers, seconds to wait or None)."""
        if not self.enabled:
            return {}, None
        now = time.monotonic()
        if now - self.begin >= self.per:
            self.begin, self.used = now, 0
        left = self.begin + self.per - now
        refused = self.used >= self.limit
        self.used += 0 if refused else 1
        headers = {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.limit - self.used),
                   "X-RateLimit-Reset": f"{time.time() + left:.3f}", "X-RateLimit-Reset-After": f"{left:.3f}",
                   "X-RateLimit-Bucket": BUCKET}
        return headers, (round(left, 3) + 0.001 if refused else None)


class DiscordImitation:
    """One webhook in one channel. Start it with start() or as a context manager."""

    def __init__(self, port=0, host="127.0.0.1", rate_limit=True, webhook_id="1234567890123456789",
                 token="imitation-Token_0123456789", threads=(), printer=None):
        self.webhook_id, self.token, self.threads = webhook_id, token, set(threads)
        self.channel_id, self.guild_id = "2222222222222222222", "3333333333333333333"
        self.changed = threading.Condition()
        self.rate_limit = RateLimit(rate_limit)
        self.messages, self.requests, self.faults = [], [], []
        self.exists = True
        self.printer = printer
        self._last_snowflake = 0
        self._stopping = threading.Event()
        self._server = discord_http.Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"{self.origin}/api/webhooks/{self.webhook_id}/{self.token}"

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()

    __enter__ = start

    def __exit__(self, *unused):
        self.stop()

    # What tests do to it.

    def fault(self, kind, count=1, **how):
        with self.changed:
            self.faults.append(Fault(str(kind), count, **how))

    def set_rate_limit(self, enabled=True, limit=5, per=2.0):
        with self.changed:
            self.rate_limit = RateLimit(enabled, limit, per)

    def delete_message(self, message_id):
        with self.changed:
            self._find(message_id).deleted = True

    def delete_webhook(self):
        with self.changed:
            self.exists = False

    def reset(self):
        with self.changed:
            self.messages, self.requests, self.faults, self.exists = [], [], [], True
            self.rate_limit = RateLimit(self.rate_limit.enabled, self.rate_limit.limit, self.rate_limit.per)

    # What tests see of it.

    def wait_until(self, condition, timeout=30.0, what="the condition"):
        """Waits until condition(self) holds and returns its value; condition runs under the lock."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), timeout):
                raise AssertionError(f"{what} did not come within {timeout} s; messages: "
                                     f"{[(m.title or m.content, len(m.edits)) for m in self.messages]}, "
                                     f"statuses: {[r.status for r in self.requests]}")
            return condition(self)

    def wait_for_messages(self, count, timeout=30.0):
        self.wait_until(lambda d: len(d.messages) >= count, timeout, f"{count} messages")
        return self.snapshot()

    def live(self):
        return [m for m in self.snapshot() if not m.deleted]

    def snapshot(self):
        with self.changed:
            return copy.deepcopy(self.messages)

    def state(self):
        with self.changed:
            return {"messages": [asdict(m) for m in self.messages], "requests": [asdict(r) for r in self.requests],
                    "faults": [asdict(f) for f in self.faults], "webhook_exists": self.exists}

    # What the handler does with it, all under the lock.

    def next_fault(self, method):
        for fault in self.faults:
            if fault.method in ("", method):
                fault.count -= 1
                if fault.count <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _snowflake(self):
        number = (time.time_ns() // 1_000_000 - DISCORD_EPOCH_MS) << 22
        self._last_snowflake = max(number, self._last_snowflake + 1)
        return str(self._last_snowflake)

    def _find(self, message_id):
        for message in self.messages:
            if message.id == message_id and not message.deleted:
                return message
        raise rules.ApiError(404, 10008, "Unknown Message")

    def channel(self, query):
        thread = query.get("thread_id", [""])[0]
        if thread and thread not in self.threads:
            raise rules.ApiError(400 if not thread.isdigit() else 404, 50035 if not thread.isdigit() else 10003,
                                 "Unknown Channel")
        return thread or self.channel_id

    def execute(self, body, query):
        rules.check_body(body, is_edit=False)
        rules.check_not_empty(body.get("content"), body.get("embeds"))
        content, embeds = (body.get("content") or "").strip(), rules.merge_embeds(body.get("embeds"))
        message = Message(self._snowflake(), self.channel(query), content, embeds,
                          rules.pings(content, body.get("allowed_mentions")), rules.warnings(body), time.monotonic_ns())
        self.messages.append(message)
        self._print(message, f"message {len(self.messages)}")
        return message

    def edit(self, message_id, body, query):
        rules.check_body(body, is_edit=True)
        message = self._find(message_id)
        if message.channel_id != self.channel(query):
            raise rules.ApiError(404, 10008, "Unknown Message")
        content = (body["content"] or "").strip() if "content" in body else message.content
        embeds = rules.merge_embeds(body["embeds"]) if "embeds" in body else message.embeds
        rules.check_not_empty(content, embeds)
        if "username" in body or "avatar_url" in body:
            message.warnings.append("username and avatar_url cannot be edited")
        message.warnings += rules.warnings(body)
        message.content, message.embeds = content, embeds
        # An edit is parsed anew but notifies nobody.
        message.edits.append({"at_ns": time.monotonic_ns(), "content": content, "embeds": embeds,
                              "pings": rules.pings(content, body.get("allowed_mentions"))})
        self._print(message, f"message {self.messages.index(message) + 1}, edit {len(message.edits)}")
        return message

    def delete(self, message_id):
        self._find(message_id).deleted = True

    def message_json(self, message):
        created_ms = (int(message.id) >> 22) + DISCORD_EPOCH_MS
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created_ms // 1000)) + f".{created_ms % 1000:03d}000+00:00"
        return {"id": message.id, "type": 0, "content": message.content, "channel_id": message.channel_id,
                "author": {"id": self.webhook_id, "username": "Spanwatch", "bot": True, "discriminator": "0000"},
                "attachments": [], "embeds": message.embeds, "mentions": [], "mention_roles": [], "components": [],
                "mention_everyone": any(p.startswith("@") for p in message.pings), "pinned": False, "tts": False,
                "timestamp": stamp, "edited_timestamp": stamp if message.edits else None, "flags": 0,
                "webhook_id": self.webhook_id}

    def webhook_json(self):
        return {"id": self.webhook_id, "type": 1, "name": "Spanwatch", "avatar": None, "channel_id": self.channel_id,
                "guild_id": self.guild_id, "application_id": None}

    def _print(self, message, headline):
        if self.printer:
            self.printer({"content": message.content, "embeds": message.embeds}, headline)


def main():
    parser = argparse.ArgumentParser(description="A strict imitation of Discord's webhook endpoint.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--print", action="store_true", help="print each message and each edit as text")
    parser.add_argument("--no-rate-limit", action="store_true")
    parser.add_argument("--webhook-id", default="1234567890123456789")
    parser.add_argument("--token", default="imitation-Token_0123456789")
    options = parser.parse_args()
    colour = sys.stdout.isatty()

    def show(message, headline):
        sys.stdout.write(discord_text.render(message, headline, colour))
        sys.stdout.flush()

    discord = DiscordImitation(options.port, rate_limit=not options.no_rate_limit, webhook_id=options.webhook_id,
                               token=options.token, printer=show if options.print else None)
    # Blocked before any thread exists, so that every thread leaves them to sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    print(discord.url, flush=True)
    with discord:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    sys.exit(main())
