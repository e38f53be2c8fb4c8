"""The imitation itself: it refuses what Discord refuses, limits, keeps edits, and fails on request."""

import http.client
import json
import os
import subprocess
import sys
import time
import unittest
from urllib.parse import urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from discord_imitation import DiscordImitation  # noqa: E402
import discord_text  # noqa: E402

HEADERS = {"Content-Type": "application/json", "User-Agent": "DiscordBot (https://example.org, 1.0)"}


class ImitationTest(unittest.TestCase):
    def setUp(self):
        self.discord = DiscordImitation(rate_limit=False, threads=["777"]).start()
        self.addCleanup(self.discord.stop)

    def call(self, method, body=None, suffix="", query="?wait=true", headers=HEADERS, path=None, timeout=10):
        url = urlsplit(self.discord.url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
        self.addCleanup(connection.close)
        data = body if isinstance(body, (bytes, str)) else json.dumps(body) if body is not None else None
        connection.putrequest(method, (path or url.path + suffix) + query, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        payload = (data or "").encode() if not isinstance(data, bytes) else data
        connection.putheader("Content-Length", str(len(payload)))
        connection.endheaders(payload)
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
        return answer.status, (json.loads(text) if is_json and text else text), dict(answer.getheaders())

    def refuses(self, body, code=50035, status=400, contains=None, **how):
        got, answer, _ = self.call(how.pop("method", "POST"), body, **how)
        self.assertEqual((got, answer["code"]), (status, code), answer)
        if contains:
            self.assertIn(contains, json.dumps(answer))

    def accepts(self, body, **how):
        status, answer, _ = self.call(how.pop("method", "POST"), body, **how)
        self.assertEqual(status, 200, answer)
        return answer

    def embed(self, **parts):
        return {"embeds": [parts]}

    def test_each_length_on_both_sides_of_its_limit(self):
        for limit, make in ((2000, lambda t: {"content": t}), (256, lambda t: self.embed(title=t)),
                            (4096, lambda t: self.embed(description=t)),
                            (2048, lambda t: self.embed(footer={"text": t})), (256, lambda t: self.embed(author={"name": t})),
                            (256, lambda t: self.embed(fields=[{"name": t, "value": "v"}])),
                            (1024, lambda t: self.embed(fields=[{"name": "n", "value": t}]))):
            self.accepts(make("x" * limit))
            self.accepts(make("  " + "x" * limit + "\n"))
            self.accepts(make("\U0001F600" * (limit // 2)))
            self.refuses(make("x" * (limit + 1)), contains="BASE_TYPE_MAX_LENGTH")
            self.refuses(make("\U0001F600" * (limit // 2 + 1)), contains="BASE_TYPE_MAX_LENGTH")

    def test_the_sum_counts_over_all_embeds(self):
        six = [{"description": "x" * 1000} for _ in range(6)]
        self.accepts({"embeds": six})
        self.refuses({"embeds": six + [{"title": "y"}]}, contains="MAX_EMBED_SIZE_EXCEEDED")
        self.refuses({"embeds": [{"description": "x"}] * 11})
        self.refuses(self.embed(fields=[{"name": "n", "value": "v"}] * 26))

    def test_empty_and_wrongly_typed_values(self):
        for body in ({}, {"content": " \n"}, {"embeds": []}, {"embeds": [{}]}, {"embeds": [{"color": 1}]}):
            self.refuses(body, code=50006)
        for body in (self.embed(fields=[{"name": "", "value": "v"}]), self.embed(fields=[{"name": "n", "value": " "}]),
                     self.embed(fields=[{"name": "n"}]), self.embed(title="t", footer={"text": ""}),
                     self.embed(title="t", color="123"), self.embed(title="t", color=1 << 24), self.embed(title="t", color=-1),
                     self.embed(title="t", timestamp="yesterday"), self.embed(title="t", timestamp=1700000000),
                     self.embed(title="t", url="javascript:1"), self.embed(title=5), {"content": 5}, {"embeds": "x"}, [],
                     {"content": "x", "username": "My Discord"}, {"content": "x", "username": "x" * 81},
                     {"content": "x", "flags": 1}, {"content": "x", "tts": "yes"}):
            self.refuses(body)
        self.accepts(self.embed(title="t", color=0xFFFFFF, timestamp="2026-01-02T03:04:05.000Z", url="https://a.b/c"))

    def test_allowed_mentions(self):
        for bad in ([], {"parse": "users"}, {"parse": ["all"]}, {"parse": ["users"], "users": ["1"]}, {"users": [1]},
                    {"roles": [str(i) for i in range(101)]}):
            self.refuses({"content": "x", "allowed_mentions": bad})
        content = "@everyone <@1> <@&2>"
        self.accepts({"content": content})
        self.accepts({"content": content, "allowed_mentions": {"parse": []}})
        self.accepts({"content": content, "allowed_mentions": {"parse": ["everyone"], "roles": ["2"]}})
        pings = [m.pings for m in self.discord.snapshot()]
        self.assertEqual(pings, [["users:1"], [], ["@everyone", "roles:2"]])

    def test_headers_body_and_paths(self):
        agent = {"User-Agent": HEADERS["User-Agent"]}
        self.refuses({"content": "x"}, headers=agent, contains="CONTENT_TYPE_INVALID")
        self.refuses({"content": "x"}, headers=dict(agent, **{"Content-Type": "text/plain"}))
        self.refuses({"content": "x"}, code=40333, status=403, headers={"Content-Type": "application/json"})
        self.refuses("{", code=50109)
        self.refuses(b'{"content": "\xff"}', code=50109)
        self.refuses({"content": "x"}, code=10015, status=404, path="/api/webhooks/1/x")
        self.refuses({"content": "x"}, code=50027, status=401, path=f"/api/v10/webhooks/{self.discord.webhook_id}/wrong")
        self.refuses({"content": "x"}, code=0, status=404, path="/api/v99/webhooks/1/x")
        self.refuses({"content": "x"}, code=10003, status=404, query="?thread_id=778")
        self.assertEqual(self.accepts({"content": "x"}, query="?wait=true&thread_id=777")["channel_id"], "777")
        self.assertEqual(self.call("POST", {"content": "x"}, query="")[0], 204)
        self.discord.delete_webhook()
        self.refuses({"content": "x"}, code=10015, status=404)

    def test_edits_are_kept_and_deleted_messages_unknown(self):
        first = self.accepts(self.embed(title="one"))["id"]
        path = "/messages/" + first
        self.accepts({"content": "two"}, method="PATCH", suffix=path, query="")
        self.refuses({"content": "", "embeds": []}, code=50006, method="PATCH", suffix=path, query="")
        edited = self.accepts({"embeds": []}, method="PATCH", suffix=path, query="")
        self.assertEqual((edited["content"], edited["embeds"]), ("two", []))
        message = self.discord.snapshot()[0]
        self.assertEqual([e["content"] for e in message.edits], ["two", "two"])
        self.assertEqual(message.edits[0]["embeds"][0]["title"], "one")
        self.assertEqual(self.accepts(None, method="GET", suffix=path)["id"], first)
        self.assertEqual(self.accepts(None, method="GET")["guild_id"], self.discord.guild_id)
        self.discord.delete_message(first)
        self.refuses({"content": "x"}, code=10008, status=404, method="PATCH", suffix=path, query="")
        same = self.accepts({"embeds": [{"title": "a", "url": "https://x.y"}, {"title": "b", "url": "https://x.y"}]})
        self.assertEqual([e["title"] for e in same["embeds"]], ["a"])

    def test_rate_limit(self):
        self.discord.set_rate_limit(limit=2, per=300.0)
        self.assertEqual(self.call("POST", {"content": "x"})[2]["X-RateLimit-Remaining"], "1")
        self.assertEqual(self.call("POST", {"content": "x"})[2]["X-RateLimit-Remaining"], "0")
        status, body, headers = self.call("POST", {"content": "x"})
        self.assertEqual((status, body["global"], headers["X-RateLimit-Scope"]), (429, False, "user"))
        self.assertAlmostEqual(body["retry_after"], float(headers["X-RateLimit-Reset-After"]), delta=0.1)
        self.assertGreaterEqual(int(headers["Retry-After"]), body["retry_after"])
        self.assertEqual(len(self.discord.snapshot()), 2)

    def test_faults(self):
        self.discord.fault("429", retry_after=1.5, is_global=True)
        self.discord.fault("502")
        self.discord.fault("400", code=50035)
        status, body, headers = self.call("POST", {"content": "x"})
        self.assertEqual((status, body["retry_after"], headers["X-RateLimit-Global"]), (429, 1.5, "true"))
        self.assertEqual(self.call("POST", {"content": "x"})[0], 502)
        self.refuses({"content": "x"})
        for kind, stored in (("close", 0), ("store_close", 1)):
            self.discord.fault(kind)
            with self.assertRaises((http.client.HTTPException, OSError)):
                self.call("POST", {"content": "x"})
            self.assertEqual(len(self.discord.snapshot()), stored)
        self.discord.fault("hang")
        with self.assertRaises(TimeoutError):
            self.call("POST", {"content": "x"}, timeout=0.2)
        self.accepts({"content": "x"})
        self.assertEqual(len(self.discord.snapshot()), 2)

    def test_arrival_times_and_control(self):
        before = time.monotonic_ns()
        self.accepts({"content": "x"})
        self.call("POST", {"kind": "500", "count": 1}, path="/_control/faults", query="")
        self.assertEqual(self.call("POST", {"content": "x"})[0], 500)
        _, state, _ = self.call("GET", path="/_control/state", query="")
        self.assertEqual([r["status"] for r in state["requests"]], [200, 500])
        self.assertTrue(before <= state["requests"][0]["arrived_ns"] <= time.monotonic_ns())
        self.assertNotIn(self.discord.token, json.dumps([r["path"] for r in state["requests"]]))

    def test_text(self):
        card = self.embed(title="Slow\\_Op \\<x\\>", color=1, fields=[{"name": "T", "value": "**3 s** [open](http://a/b) `c`"}])
        text = discord_text.render(dict(card, content=""), "message 1")
        self.assertIn("Slow_Op <x>", text)
        self.assertIn("3 s open http://a/b c", text)
        self.assertNotIn("\x1b", text)
        self.assertIn("\x1b[38;2;0;0;1m", discord_text.render(dict(card, content=""), "message 1", colour=True))

    def test_as_a_command(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "discord_imitation.py")
        child = subprocess.Popen([sys.executable, script, "--port", "0", "--print"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.kill)
        url = urlsplit(child.stdout.readline().strip())
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        connection.request("POST", url.path + "?wait=true", json.dumps({"content": "hello"}), HEADERS)
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.assertIn("message 1", child.stdout.readline())
        self.assertEqual(child.stdout.readline(), "hello\n")
        child.terminate()
        self.assertEqual(child.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
