"""grafana/: every query of every dashboard runs against a real Prometheus that scrapes the sidecar while bots run, and gives
series. What Grafana itself would do (variables, $__rate_interval) is done here."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

import harness

GRAFANA = os.path.join(harness.ROOT, "grafana")
SCRAPE_S = 0.5
# At least four scrape intervals; ten, as in a wider view, so that a busy machine may miss some scrapes.
BUILT_IN = {"__rate_interval": f"{int(10 * SCRAPE_S * 1000)}ms", "__range": "5m"}


def Read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


def Dashboards():
    return {os.path.basename(path): json.loads(Read(path)) for path in sorted(glob.glob(f"{GRAFANA}/dashboards/*.json"))}


def Panels(dashboard):
    """Also those inside collapsed rows."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def Variables(dashboard):
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def Interpolate(text, values):
    """$name and ${name}, as Grafana does. A name without value is a mistake in the dashboard."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values[match.group(1) or match.group(2)], text)


class FilesTest(unittest.TestCase):
    def testTheScriptWroteTheDashboard(self):
        result = subprocess.run([sys.executable, "-B", os.path.join(GRAFANA, "make_overview.py"), "--check"], capture_output=True,
                                text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def testDashboardsAreWellFormed(self):
        dashboards = Dashboards()
        self.assertIn("overview.json", dashboards)
        self.assertEqual(len({dashboard["uid"] for dashboard in dashboards.values()}), len(dashboards))
        for name, dashboard in dashboards.items():
            with self.subTest(name):
                self.assertNotIn("__inputs", dashboard)  # filled by the import dialog alone, never from files
                self.assertLessEqual(len(dashboard["uid"]), 40)
                self.assertIn(dashboard["schemaVersion"], range(39, 42))
                panels = list(Panels(dashboard))
                self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
                self.AssertNoOverlap(dashboard["panels"])
                for panel in panels:
                    if panel["type"] != "row":
                        self.AssertPanel(panel)

    def AssertNoOverlap(self, panels):
        taken = {}
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])):
                self.assertIsNone(taken.get(cell), f"{panel['title']} lies over {taken.get(cell)}")
                taken[cell] = panel["title"]

    def AssertPanel(self, panel):
        title = panel["title"]
        self.assertTrue(title and panel["description"], title)
        self.assertTrue(panel["targets"], title)
        self.assertIn("unit", panel["fieldConfig"]["defaults"], title)
        self.assertEqual(len({target["refId"] for target in panel["targets"]}), len(panel["targets"]), title)
        for target in [panel, *panel["targets"]]:
            self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${datasource}"}, title)
        for target in panel["targets"]:
            self.assertNotEqual(target["range"], target["instant"], title)

    def testProvisioning(self):
        source = Read("grafana/provisioning/datasources/spanwatch.yaml")
        self.assertIn("uid: spanwatch-prom", source)
        self.assertIn("uid: spanwatch-traces", source)
        # Grafana replaces $NAME in these files by its environment: what is meant for Grafana has two.
        names = set(re.findall(r"(?<!\$)\$\{?(\w+)", re.sub(r"(?m)#.*$", "", source)))
        self.assertEqual(names, {"PROMETHEUS_URL", "SPANWATCH_URL", "SPANWATCH_API_URL"})
        self.assertIn("$${__value.raw}", source)
        provider = Read("grafana/provisioning/dashboards/spanwatch.yaml")
        self.assertIn("path: /var/lib/grafana/dashboards", provider)
        interval = re.search(r"timeInterval: (\w+)", source).group(1)
        for config in ("config/prometheus.yml", "config/docker/prometheus.yml"):
            self.assertIn(f"scrape_interval: {interval} ", Read(config), f"timeInterval is {config}'s scrape interval")


    def testPromtoolAcceptsTheConfigurations(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("skipped promtool: not installed (scripts/deps --test)")
        for config in ("config/prometheus.yml", "config/docker/prometheus.yml"):
            result = subprocess.run([promtool, "check", "config", "--lint-fatal", os.path.join(harness.ROOT, config)],
                                    capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)


class QueriesTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        prometheus = shutil.which("prometheus")
        if prometheus is None:
            self.skipTest("skipped prometheus: not installed (scripts/deps --test)")
        self.StartEverything(prometheus)

    def StartEverything(self, prometheus):
        discord = self.Discord()
        self.sidecar = self.Sidecar(rules=self.FastRules(), discord=discord.url, sets=["thresholds.slow=[50ms, 200ms]"])
        self.port = harness.FreePort()
        config = Read("config/prometheus.yml")
        interval = f"{int(SCRAPE_S * 1000)}ms"
        for old, new in (("127.0.0.1:9464", f"127.0.0.1:{self.sidecar.port}"),
                         ("scrape_interval: 15s", f"scrape_interval: {interval}"),
                         ("scrape_timeout: 10s", f"scrape_timeout: {interval}")):
            self.assertEqual(config.count(old), 1, old)
            config = config.replace(old, new)
        self.prometheus = self.Start([prometheus, f"--config.file={self.Write('prometheus.yml', config)}",
                                      f"--storage.tsdb.path={self.Path('tsdb')}", "--enable-feature=exemplar-storage",
                                      f"--web.listen-address=127.0.0.1:{self.port}"])
        self.Bot("--rate", 20, "--time-scale", 10, "--misbehave", "errors")
        self.Bot("--rate", 10, "--time-scale", 2, "--misbehave", "slow", "--service", "slow-bot")

    def Ask(self, path, **parameters):
        """Prometheus' answer, also that it refuses; None while it does not answer yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error) if error.code in (400, 422) else None
        except OSError:
            return None

    def Series(self, expr, instant):
        """[(labels, [values])] of now or of the last 30 s; values that are no numbers are left out."""
        def Look():
            if instant:
                return self.Ask("query", query=expr)
            now = float(self.Ask("query", query="time()")["data"]["result"][1])
            return self.Ask("query_range", query=expr, start=now - 30, end=now, step=1)

        answer = harness.wait_until(Look, f"an answer to {expr}", also=self.prometheus.Output)
        self.assertEqual(answer["status"], "success", f"{expr}\n{answer.get('error')}")
        found = []
        for series in answer["data"]["result"]:
            values = [float(value) for _, value in (series["values"] if "values" in series else [series["value"]])]
            values = [value for value in values if value == value]
            if values:
                found.append((series["metric"], values))
        return found

    def WaitForSeries(self, what, expr, instant=False):
        return harness.wait_until(lambda: self.Series(expr, instant), f"{what}: no such series: {expr}", also=self.Situation)

    def Situation(self):
        return f"{self.sidecar.Output()}\n{self.prometheus.Output()}"

    def testEveryQueryGivesSeries(self):
        harness.wait_until(lambda: self.Ask("query", query="up"), "Prometheus", also=self.prometheus.Output)
        self.WaitForSeries("the sidecar is scraped", 'up{job="spanwatch"} == 1')
        for name, dashboard in Dashboards().items():
            for services in (".*", "slow-bot"):
                values = {**BUILT_IN, **self.Values(name, dashboard, services)}
                for panel in Panels(dashboard):
                    for target in panel.get("targets", []):
                        with self.subTest(f"{name}, {panel['title']}, {target['refId']}, service={services}"):
                            self.CheckTarget(panel, target, values)
        self.CheckThatTheyShowWhatHappens()

    def Values(self, name, dashboard, services):
        """A value for each variable; that those which ask the data source find one is a test of its own."""
        values = {}
        for variable in Variables(dashboard).values():
            if variable["type"] == "datasource":
                self.assertEqual(variable["query"], "prometheus")
                values[variable["name"]] = "spanwatch-prom"
                continue
            self.assertEqual(variable["type"], "query", f"{name}: a kind of variable that this test does not know")
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            harness.wait_until(lambda: {"discord-bot", "slow-bot"} <= set(
                self.Ask(f"label/{label}/values", **{"match[]": metric})["data"]), f"values of {label}", also=self.sidecar.Output)
            self.assertEqual(variable["allValue"], ".*")
            values[variable["name"]] = services
        return values

    def CheckTarget(self, panel, target, values):
        expr = Interpolate(target["expr"], values)
        series = self.WaitForSeries(panel["title"], expr, target["instant"])
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            self.assertTrue(all(label in labels for labels, _ in series), f"legend {label}, but {series[0][0]}")
        if panel["fieldConfig"]["defaults"]["unit"] == "percentunit":
            self.assertTrue(all(0 <= value <= 1 for _, found in series for value in found), f"not shares: {series}")

    def CheckThatTheyShowWhatHappens(self):
        """The bots fail and are slow: the panels that say so are not at 0."""
        values = {**BUILT_IN, "service": ".*"}
        panels = {panel["title"]: panel for panel in Panels(Dashboards()["overview.json"])}

        def AboveZero(title):
            return any(value > 0 for target in panels[title]["targets"]
                       for _, found in self.Series(Interpolate(target["expr"], values), target["instant"]) for value in found)

        for title in ("Spans a second", "Failed", "p95", "Alerts firing", "Store", "Rate", "Errors", "Duration", "Operations",
                      "Slow operations a minute", "Durations", "Depth of traces", "Alerts", "Notifications", "Ledger", "Processes",
                      "Stored traces", "Memory of traced programs", "The sidecar"):
            with self.subTest(title):
                harness.wait_until(lambda: AboveZero(title), f"{title}: all its series are at 0", also=self.Situation)


if __name__ == "__main__":
    unittest.main()
