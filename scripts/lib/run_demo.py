"""What scripts/run does after the build: Discord's stand-in, the sidecar, the demo bot; one status line now and then; an
orderly stop. Exit status 0 after Ctrl-C, SIGTERM, SIGHUP or --seconds; 1 if a part did not start or ended by itself."""
import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

import processes

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
WEBHOOK = re.compile(r"http://\S+/webhooks/\S+")
STATUS_EVERY_S = 10
TITLE_COLOURS = {"Critical": "1;31", "Warning": "1;33", "Resolved": "1;32"}


class Terminal:
    """Coloured on a terminal, plain in a pipe; the end of the pipe ends the program in order."""

    def __init__(self):
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def Paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def Say(self, text=""):
        print(text, flush=True)

    def Item(self, name, text):
        self.Say(f"  {self.Paint('1', name.ljust(9))} {text}")

    def Line(self, name, colour, text):
        self.Say(f"{self.Paint(colour, name.rjust(8) + ' |')} {text}")


class Demo:
    def __init__(self, options, terminal):
        self.options = options
        self.terminal = terminal
        self.binaries = os.path.join(os.environ.get("SPANWATCH_BUILD_DIR") or os.path.join(ROOT, "build/release"), "bin")
        self.url = f"http://127.0.0.1:{options.port}"
        self.group = processes.Group()
        self.socket = ""
        self.state = tempfile.TemporaryDirectory(prefix="spanwatch-run-")  # a demo leaves nothing behind

    def Binary(self, name):
        path = os.path.join(self.binaries, name)
        if not os.access(path, os.X_OK):
            raise processes.Failed(f"{path} is not there: run scripts/run without --no-build")
        return path

    def StartDiscord(self, environment):
        if environment.get("DISCORD_WEBHOOK_URL"):
            return "alerts go to your Discord webhook"
        found = []

        def Show(line):
            match = WEBHOOK.search(line) if not found else None
            if match:
                found.append(match.group(0))
            else:
                title = re.match(r"\W*(Critical|Warning|Resolved): ", line)
                text = self.terminal.Paint(TITLE_COLOURS[title.group(1)], line) if title else line
                self.terminal.Line("discord", "35", text)

        child = self.group.Start("discord", [sys.executable, "-u", os.path.join(ROOT, "tests/e2e/discord_imitation.py"),
                                             "--port", "0", "--print"], Show)
        child.WaitUntil(lambda: found, 10, "the Discord imitation did not say its address")
        environment["DISCORD_WEBHOOK_URL"] = found[0]
        return "DISCORD_WEBHOOK_URL is not set: an imitation of Discord prints each card below"

    def StartSidecar(self, environment):
        command = [self.Binary("spanwatch"), "serve", "--config", os.path.join(ROOT, "config/spanwatch.yaml"),
                   "--set", f"http.listen=127.0.0.1:{self.options.port}", "--set", f"state_dir={self.state.name}"] + self.options.sidecar_flags

        def Show(line):
            match = re.search(r"ipc://[^\s\",;)\]]+", line)
            if match and not self.socket:
                self.socket = match.group(0)
            self.terminal.Line("sidecar", "36", line)

        child = self.group.Start("sidecar", command, Show, environment)
        child.WaitUntil(lambda: self.Get("/readyz") is not None, 20,
                        "the sidecar did not start: its last words, above, say why. If another program has a port: "
                        "scripts/run --port N, and after that -- --set otlp.listen=127.0.0.1:M")

    def StartBot(self, environment):
        command = [self.Binary("spanwatch-demo"), "--rate", str(self.options.rate), "--seed", str(self.options.seed)]
        self.group.Start("bot", command, lambda line: self.terminal.Line("bot", "32", line), environment)

    def Get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return answer.read().decode()
        except (OSError, urllib.error.URLError):
            return None

    def SayWhereToLook(self, discord):
        terminal = self.terminal
        terminal.Say()
        terminal.Say(terminal.Paint("1;32", "Spanwatch runs."))
        terminal.Item("bot", f"a Discord bot with {self.options.rate:g} messages a second; now and then slow, failing, too deep, leaking")
        terminal.Item("alerts", f"{discord}; also at {self.url}/api/v1/alerts")
        terminal.Item("metrics", f"{self.url}/metrics")
        terminal.Item("traces", f"{self.url}/  and  {self.url}/api/v1/traces?limit=5")
        terminal.Item("numbers", f"{self.url}/api/v1/stats")
        if self.socket:
            terminal.Item("socket", f"{self.socket}  (programs with the SDK find it by themselves)")
        end = f"after {self.options.seconds:g} s" if self.options.seconds else "with Ctrl-C"
        terminal.Item("stop", end)
        terminal.Say()

    def SayStatus(self):
        text = self.Get("/api/v1/stats")
        if text is None:
            return
        stats = json.loads(text)
        alerts = json.loads(self.Get("/api/v1/alerts") or "{}").get("data", {}).get("alerts", [])
        firing = sum(1 for alert in alerts if alert.get("state") == "firing")
        self.terminal.Line("status", "2", f"{stats.get('totalTraces', 0)} traces stored, {stats.get('avgSpansPerTrace', 0):.1f} spans a trace, "
                           f"{stats.get('memoryUsageMB', 0):.2f} MB, {firing} alerts firing")

    def Run(self):
        environment = dict(os.environ)
        discord = self.StartDiscord(environment)
        self.StartSidecar(environment)
        self.StartBot(environment)
        self.SayWhereToLook(discord)
        begin = time.monotonic()
        status_at = begin + STATUS_EVERY_S
        while not self.group.stop_requested:
            now = time.monotonic()
            if self.options.seconds and now - begin >= self.options.seconds:
                return
            if now >= status_at:
                status_at = now + STATUS_EVERY_S
                self.SayStatus()
            self.group.CheckAlive()
            self.group.Wait(0.2)


def Number(kind, least, most):
    def Parse(text):
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return value
    Parse.__name__ = kind.__name__
    return Parse


def ParseArguments():
    parser = argparse.ArgumentParser(prog="scripts/run", description="Runs the sidecar and the demo bot.")
    parser.add_argument("--seconds", type=Number(float, 0, 1e9), default=0, help="stop by itself after so many seconds")
    parser.add_argument("--rate", type=Number(float, 0.001, 100000), default=5, help="messages a second that the demo bot gets (5)")
    parser.add_argument("--seed", type=Number(int, 0, 2**63 - 1), default=1, help="of the demo bot's behaviour (1)")
    parser.add_argument("--port", type=Number(int, 1, 65535), default=9464, help="of /metrics, the API and the page (9464)")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)  # of scripts/run, before it builds
    parser.add_argument("sidecar_flags", nargs="*", help="after --: more flags for the sidecar")
    return parser.parse_args()


def main():
    terminal = Terminal()
    options = ParseArguments()
    if options.check:
        return 0
    demo = Demo(options, terminal)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: demo.group.RequestStop())
    status = 0
    try:
        demo.Run()
    except processes.Failed as failure:
        if not demo.group.stop_requested:
            print(f"scripts/run: {failure}", file=sys.stderr, flush=True)
            status = 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        # First the bot, so that its last spans are delivered; then the sidecar, so that its last cards are.
        if not demo.group.StopAll(["bot", "sidecar", "discord"]):
            status = 1
        demo.state.cleanup()
    return status


if __name__ == "__main__":
    sys.exit(main())
