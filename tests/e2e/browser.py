"""A real browser for the tests of pages: Chromium without a window, driven over its debugging pipe (the DevTools
protocol: JSON messages, each ended by a zero byte, on descriptors 3 and 4). Python's standard library is enough.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import time
import unittest

DEADLINE_S = 60


class Browser:
    """One window. Everything that the page complains about is kept: console errors, exceptions, failed requests,
    refusals of its Content-Security-Policy."""

    def __init__(self, directory, width=1280, height=900):
        program = shutil.which("chromium")
        if program is None:
            raise unittest.SkipTest("skipped: chromium is not installed (scripts/deps --test)")
        to_read, self.output = os.pipe()
        self.input, to_write = os.pipe()
        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
                   f"--window-size={width},{height}", f"--user-data-dir={directory}", "--remote-debugging-pipe", "about:blank"]

        def Descriptors():
            # Both may stand where the other is to go.
            high_read, high_write = os.dup(to_read), os.dup(to_write)
            os.dup2(high_read, 3)
            os.dup2(high_write, 4)

        self.process = subprocess.Popen(command, preexec_fn=Descriptors, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.number = 0
        self.session = None
        self.problems = []
        self.loaded = False
        target = next(t for t in self.Call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.Call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.Call(domain + ".enable")

    def Close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.input)
        os.close(self.output)

    def _Read(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.input], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            part = os.read(self.input, 1 << 20)
            if not part:
                raise AssertionError("the browser has ended")
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def _Event(self, method, data):
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.problems.append(data["exceptionDetails"].get("text", "exception"))
        elif method == "Runtime.consoleAPICalled" and data["type"] in ("error", "assert"):
            self.problems.append(f"console: {data['args']}")
        elif method == "Log.entryAdded" and data["entry"]["level"] == "error":
            self.problems.append(f"{data['entry']['text']} {data['entry'].get('url', '')}")
        elif method == "Network.loadingFailed" and not data.get("canceled"):
            self.problems.append(f"request failed: {data['errorText']}")

    def Call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + DEADLINE_S
        while True:
            answer = self._Read(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self._Event(answer["method"], answer.get("params", {}))

    def _UntilLoaded(self):
        deadline = time.monotonic() + DEADLINE_S
        while not self.loaded:
            answer = self._Read(deadline)
            self._Event(answer.get("method", ""), answer.get("params", {}))

    def Open(self, url):
        self.loaded = False
        self.Call("Page.navigate", url=url)
        self._UntilLoaded()

    def Run(self, script):
        """The value of a JavaScript expression."""
        result = self.Call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def Follow(self, selector):
        """Clicks a link and waits for the page behind it."""
        self.loaded = False
        if not self.Run(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (e) e.click(); return !!e; }})()"):
            raise AssertionError(f"nothing matches {selector}: {self.Text()[:2000]}")
        self._UntilLoaded()

    def Text(self):
        return self.Run("document.body.innerText")

    def Resize(self, width, height):
        self.Call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def Picture(self, path):
        data = self.Call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
