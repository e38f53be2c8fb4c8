#!/usr/bin/env python3
"""Writes grafana/dashboards/overview.json. Change the dashboard here and run it again; --check only compares.

    python3 grafana/make_overview.py [--check]
"""
import json
import os
import sys

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dashboards/overview.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24

SELECTED = 'service_name=~"$service"'
CALLS = "traces_span_metrics_calls_total"
DURATION = "traces_span_metrics_duration_seconds"
FAILED = f'{SELECTED},status_code="STATUS_CODE_ERROR"'
OURS = "and on (job, instance) spanwatch_build_info"  # the sidecar's own process_* series, nobody else's

# Where the lines of the shipped thresholds stand: config/spanwatch.yaml, thresholds.
SLOW_S, ERROR_RATE, DEPTH, STORE_FILL = (1, 5), (0.1, 0.2), (15, 25), (0.9, 1)


def Rate(metric, labels="", by=None):
    inner = f"rate({metric}{{{labels}}}[$__rate_interval])" if labels else f"rate({metric}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def Quantile(quantile, by=""):
    return f"histogram_quantile({quantile}, {Rate(DURATION + '_bucket', SELECTED, 'le' + (', ' + by if by else ''))})"


def ErrorRatio(by=None):
    failed, all_calls = Rate(CALLS, FAILED, by), Rate(CALLS, SELECTED, by)
    return f"({failed} or 0 * {all_calls}) / ({all_calls} > 0)"


def Range(expr, legend, **more):
    return {"expr": expr, "legendFormat": legend, "range": True, "instant": False, **more}


def Instant(expr, legend="", **more):
    return {"expr": expr, "legendFormat": legend, "range": False, "instant": True, **more}


def Steps(*levels):
    """(value, colour)...; the first colour holds from below."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in levels]}


def Levels(pair):
    return Steps((None, "green"), (pair[0], "orange"), (pair[1], "red"))


def Panel(kind, title, description, targets, unit="short", **fields):
    """A panel without id and place, which Place() gives."""
    defaults = {"unit": unit, "thresholds": fields.pop("thresholds", Steps((None, "green"))), "mappings": [],
                "color": {"mode": "thresholds" if kind in ("stat", "gauge") else "palette-classic"}}
    for key in ("min", "max", "decimals", "custom"):
        if key in fields:
            defaults[key] = fields.pop(key)
    queries = [{"refId": chr(ord("A") + i), "datasource": SOURCE, "editorMode": "code", **target}
               for i, target in enumerate(targets)]
    return {"type": kind, "title": title, "description": description, "datasource": SOURCE, "targets": queries,
            "fieldConfig": {"defaults": defaults, "overrides": fields.pop("overrides", [])},
            "options": fields.pop("options", {}), **fields}


def Stat(title, description, expr, unit="short", **fields):
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
               "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto"}
    return Panel("stat", title, description, [Range(expr, "")], unit, options=options, **fields)


def Graph(title, description, targets, unit="short", thresholds=None, stacked=False, **fields):
    custom = {"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 60 if stacked else 10,
              "showPoints": "never", "spanNulls": False, "axisSoftMin": 0,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
              "thresholdsStyle": {"mode": "dashed" if thresholds else "off"}}
    if thresholds:
        fields["thresholds"] = Steps((None, "transparent"), (thresholds[0], "orange"), (thresholds[1], "red"))
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return Panel("timeseries", title, description, targets, unit, custom=custom, options=options, **fields)


def Heatmap():
    options = {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
               "yAxis": {"unit": "s", "axisPlacement": "left"}, "tooltip": {"mode": "single", "yHistogram": False},
               "legend": {"show": False}, "rowsFrame": {"layout": "auto"}}
    target = Range(f"sum by (le) (increase({DURATION}_bucket{{{SELECTED}}}[$__rate_interval]))", "{{le}}", format="heatmap",
                   exemplar=True)
    return Panel("heatmap", "Durations", "How many spans took how long. A second band is a second kind of request.", [target],
                 "s", options=options)


def OperationsTable():
    by = "service_name, span_name"
    columns = [("Value #A", "calls/s", "reqps", None), ("Value #B", "failed", "percentunit", Levels(ERROR_RATE)),
               ("Value #C", "p50", "s", None), ("Value #D", "p95", "s", Levels(SLOW_S)), ("Value #E", "p99", "s", Levels(SLOW_S))]
    overrides = []
    for name, _, unit, levels in columns:
        properties = [{"id": "unit", "value": unit}, {"id": "decimals", "value": 2}]
        if levels:
            properties += [{"id": "thresholds", "value": levels},
                           {"id": "custom.cellOptions", "value": {"type": "color-text"}}]
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    names = {"service_name": "service", "span_name": "operation", **{name: title for name, title, _, _ in columns}}
    # Overrides are matched after the columns were renamed.
    for override, (_, title, _, _) in zip(overrides, columns):
        override["matcher"]["options"] = title
    expressions = [Rate(CALLS, SELECTED, by), ErrorRatio(by), Quantile(0.5, by), Quantile(0.95, by), Quantile(0.99, by)]
    return Panel("table", "Operations", "Each operation of the chosen services: the busiest first.",
                 [Instant(expr, format="table") for expr in expressions],
                 overrides=overrides, options={"showHeader": True, "sortBy": [{"displayName": "calls/s", "desc": True}]},
                 custom={"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}},
                 transformations=[{"id": "merge", "options": {}},
                                  {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names,
                                                                 "indexByName": {name: i for i, name in enumerate(names)}}}])


def NowRow():
    lost = "sum(increase(spanwatch_spans_lost_total[$__range]))"
    return [
        (4, Stat("Spans a second", "Spans of the chosen services that ended.", Rate(CALLS, SELECTED), "reqps", decimals=1)),
        (4, Stat("Failed", "Share of spans with an error.", ErrorRatio(), "percentunit", decimals=1, min=0,
                 thresholds=Levels(ERROR_RATE))),
        (4, Stat("p95", "95 of 100 spans took less.", Quantile(0.95), "s", decimals=2, thresholds=Levels(SLOW_S))),
        (4, Stat("Alerts firing", "Incidents of all services that fire now.", 'sum(spanwatch_alerts{state="firing"})',
                 thresholds=Steps((None, "green"), (1, "red")))),
        (4, Stat("Spans lost", "In the time shown, for whatever reason, of all processes. Not 0: see Losses.", lost,
                 thresholds=Steps((None, "green"), (1, "orange")))),
        (4, Stat("Store", "Share of store.memory_limit that the stored traces take.",
                 "sum(spanwatch_store_bytes) / sum(spanwatch_store_memory_limit_bytes)", "percentunit", decimals=1, min=0, max=1,
                 thresholds=Levels(STORE_FILL))),
    ]


def RedRow():
    by = "service_name, span_name"
    return [
        (8, Graph("Rate", "The ten busiest operations.",
                  [Range(f"topk(10, {Rate(CALLS, SELECTED, by)})", "{{service_name}} {{span_name}}")], "reqps")),
        (8, Graph("Errors", "Share of each service's spans that failed; lines at the shipped thresholds.",
                  [Range(ErrorRatio("service_name"), "{{service_name}}")], "percentunit", thresholds=ERROR_RATE, max=1)),
        (8, Graph("Duration", "Of all spans of the chosen services; lines at the shipped thresholds.",
                  [Range(Quantile(0.5), "p50"), Range(Quantile(0.95), "p95", exemplar=True), Range(Quantile(0.99), "p99")], "s",
                  thresholds=SLOW_S)),
    ]


def SlowRow():
    slow = f"60 * {Rate('spanwatch_slow_spans_total', SELECTED, 'service_name, threshold')}"
    depth = "histogram_quantile(0.99, sum by (le) (rate(spanwatch_trace_depth_bucket[$__rate_interval])))"
    return [
        (8, Graph("Slow operations a minute", "Spans over thresholds.slow; a critical one counts as warning too.",
                  [Range(slow, "{{service_name}} {{threshold}}")], "opm", decimals=1)),
        (8, Heatmap()),
        (8, Graph("Depth of traces", "Levels, the root is 1; 99 of 100 traces are less deep. Of all services.",
                  [Range(depth, "p99")], thresholds=DEPTH)),
    ]


def AlertRow():
    counts = [Range(Rate(f"spanwatch_notifications_{what}_total", by="receiver"), what.replace("_", " ") + " {{receiver}}")
              for what in ("posted", "edited", "failed", "retried", "rate_limited", "dropped")]
    return [
        (16, Graph("Alerts", "Incidents that are pending or firing, by alert.",
                   [Range("sum by (alertname, severity, state) (spanwatch_alerts)", "{{alertname}} {{severity}} {{state}}")], stacked=True, decimals=0)),
        (8, Graph("Notifications", "Messages and requests to each receiver.", counts, "ops")),
    ]


def LossRow():
    ledger = [("ended in the programs", "spanwatch_spans_emitted_total"), ("arrived", "spanwatch_spans_applied_total"),
              ("sampled out", "spanwatch_spans_sampled_out_total"), ("lost", "spanwatch_spans_lost_total")]
    on_the_way = ("sum(spanwatch_spans_emitted_total) - sum(spanwatch_spans_applied_total)"
                  " - sum(spanwatch_spans_sampled_out_total) - sum(spanwatch_spans_lost_total)")
    reasons = [Range(Rate(f"spanwatch_{name}_total", by="reason"), legend + " {{reason}}") for name, legend in
               (("spans_lost", "lost"), ("rejected_spans", "rejected"), ("malformed_messages", "malformed"))]
    return [
        (8, Graph("Ledger", "Of programs with the SDK: ended = arrived + sampled out + lost.",
                  [Range(Rate(metric), name) for name, metric in ledger], "reqps")),
        (4, Stat("On the way", "Spans that programs ended and that are neither here nor lost.", on_the_way)),
        (8, Graph("Losses by reason", "What each reason means: docs/operations.md.", reasons, "reqps")),
        (4, Graph("Processes", "Traced programs, by state.", [Range("sum by (state) (spanwatch_processes)", "{{state}}")], stacked=True,
                  decimals=0)),
    ]


def StoreRow():
    evicted = Rate("spanwatch_evicted_traces_total", by="reason")
    return [
        (6, Graph("Stored traces", "Bytes of the store, and its limit.",
                  [Range("sum(spanwatch_store_bytes)", "stored"), Range("sum(spanwatch_store_memory_limit_bytes)", "limit")], "bytes")),
        (6, Graph("Evicted traces", "By the limit that demanded it.", [Range(evicted, "{{reason}}")], "ops", stacked=True)),
        (6, Graph("Memory of traced programs", "Resident memory, as the programs report it.",
                  [Range(f"max by (service_name, process) (spanwatch_process_resident_memory_bytes{{{SELECTED}}})",
                         "{{service_name}} {{process}}")], "bytes")),
        (6, Graph("The sidecar", "Resident memory and, on the right, CPU.",
                  [Range(f"process_resident_memory_bytes {OURS}", "memory {{instance}}"),
                   Range(f"rate(process_cpu_seconds_total[$__rate_interval]) {OURS}", "CPU {{instance}}")], "bytes",
                  overrides=[{"matcher": {"id": "byFrameRefID", "options": "B"},
                              "properties": [{"id": "unit", "value": "percentunit"}, {"id": "custom.axisPlacement", "value": "right"}]}])),
    ]


def Place(rows):
    """rows: (title or None, height, [(width, panel)])."""
    panels, y = [], 0

    def Add(panel, height, width, x):
        panels.append({"id": len(panels) + 1, **panel, "gridPos": {"h": height, "w": width, "x": x, "y": y}})

    for title, height, cells in rows:
        if title:
            Add({"type": "row", "title": title, "collapsed": False, "panels": []}, 1, COLUMNS, 0)
            y += 1
        x = 0
        for width, panel in cells:
            Add(panel, height, width, x)
            x += width
        y += height
    return panels


def Variables():
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
              "regex": "", "multi": False, "includeAll": False, "options": [], "current": {}}
    service = {"name": "service", "label": "Service", "type": "query", "datasource": SOURCE,
               "query": {"query": f"label_values({CALLS}, service_name)", "refId": "service"}, "refresh": 2, "hide": 0, "regex": "",
               "multi": True, "includeAll": True, "allValue": ".*", "sort": 1, "options": [],
               "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return [source, service]


def Dashboard():
    return {
        "uid": "spanwatch-overview", "title": "Spanwatch overview", "tags": ["spanwatch"], "timezone": "browser", "editable": True,
        "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-30m", "to": "now"}, "schemaVersion": 39, "version": 1,
        "description": "Rate, errors and duration of every traced service; slow operations, alerts, losses; the store and the sidecar.",
        "templating": {"list": Variables()}, "annotations": {"list": []}, "links": [],
        "panels": Place([
            (None, 4, NowRow()), ("Rate, errors, duration", 9, RedRow()), (None, 9, [(COLUMNS, OperationsTable())]),
            ("Slow and deep", 8, SlowRow()), ("Alerts", 8, AlertRow()), ("Losses", 8, LossRow()),
            ("Store and processes", 8, StoreRow()),
        ]),
    }


def main():
    text = json.dumps(Dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        with open(TARGET, encoding="utf-8") as file:
            if file.read() == text:
                return 0
        print("grafana/dashboards/overview.json is not what grafana/make_overview.py writes; run it", file=sys.stderr)
        return 1
    with open(TARGET, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
