#!/usr/bin/env python3
"""Pictures of the messages in docs/pictures: what Spanwatch posts, in the shape of Discord's card, drawn by Chromium.

    SPANWATCH_BUILD_DIR=build/release tests/e2e/discord_pictures.py [DIRECTORY]

The bodies are those of spanwatch-e2e-cards; the page knows as much of Discord's markup as they use. Not a test.
"""
import base64
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import browser
import harness

OUTPUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(harness.ROOT, "docs/pictures")
NOW = 1_700_000_255  # of the messages, s since the epoch
WIDTH = 640
PICTURES = {"discord-warning": ["warning"], "discord-critical": ["cut", "critical"], "discord-resolved": ["resolved"],
            "discord-fold": ["fold"], "discord-health": ["health"], "discord-quiet": ["quiet"]}

STYLE = """
body { margin: 0; background: #313338; color: #dbdee1; font: 16px/1.375 "Noto Sans", "Helvetica Neue", Helvetica, Arial, sans-serif }
#all { padding: 14px 16px 16px; width: 600px }
.message { display: grid; grid-template-columns: 40px 1fr; column-gap: 16px; margin-bottom: 12px }
.face { width: 40px; height: 40px; border-radius: 50%; background: #5865f2; color: #fff; text-align: center; line-height: 40px; font-weight: 600 }
.who { font-weight: 500; color: #f2f3f5 } .who small { color: #949ba4; font-size: 12px; margin-left: 8px; font-weight: 400 }
.app { background: #5865f2; color: #fff; font-size: 10px; border-radius: 3px; padding: 1px 4px; margin-left: 6px; vertical-align: 1px }
.mention { background: #3c4270; color: #c9cdfb; border-radius: 3px; padding: 0 2px }
.embed { margin-top: 4px; background: #2b2d31; border-left: 4px solid; border-radius: 4px; padding: 8px 16px 14px 12px; max-width: 516px; box-sizing: border-box }
.title { font-weight: 600; margin-top: 8px; color: #f2f3f5; overflow-wrap: anywhere }
.description { font-size: 14px; line-height: 18px; margin-top: 8px; white-space: pre-line; overflow-wrap: anywhere }
.fields { display: grid; grid-template-columns: repeat(12, 1fr); gap: 8px; margin-top: 8px; font-size: 14px; line-height: 18px }
.name { font-weight: 600; color: #f2f3f5; margin-bottom: 2px } .value { white-space: pre-line; overflow-wrap: anywhere }
.footer { font-size: 12px; margin-top: 8px; color: #dbdee1 }
a { color: #00a8fc; text-decoration: none } code { background: #1e1f22; border-radius: 4px; padding: 0 3px; font: 12px monospace }
.time { background: #3b3d44; border-radius: 3px; padding: 0 2px }
"""


def Ago(seconds):
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return f"{seconds} seconds ago"


def Times(match):
    at, style = int(match.group(1)), match.group(2)
    formats = {"d": "%d/%m/%Y", "t": "%H:%M"}
    text = Ago(NOW - at) if style == "R" else time.strftime(formats[style], time.gmtime(at))
    return f'<span class="time">{text}</span>'


def Markup(text):
    """Links, times, bold, code, mentions and escapes, as Discord shows them."""
    kept = []

    def Keep(match):
        kept.append(html.escape(match.group(1)))
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\\([^\w\s])", Keep, text)
    text = html.escape(text, quote=False)
    text = re.sub(r"&lt;t:(\d+):(\w)&gt;", Times, text)
    text = re.sub(r"&lt;@&amp;\d+&gt;", '<span class="mention">@on-call</span>', text)
    text = re.sub(r"\[([^\]]+)\]\((https?://[^)]+)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"(^|\s)(https?://discord\.com/channels/\S+)", r'\1<a href="\2"># alerts › message</a>', text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match.group(1))], text)


def Columns(fields):
    """Up to three fields that may stand beside others share a row."""
    rows, row = [], []
    for field in fields:
        if not field["inline"] or len(row) == 3:
            rows.append(row)
            row = []
        if field["inline"]:
            row.append(field)
        else:
            rows.append([field])
    rows.append(row)
    return [(field, 12 // len(row)) for row in rows if row for field in row]


def Embed(embed):
    fields = "".join(f'<div style="grid-column: span {span}"><div class="name">{Markup(field["name"])}</div>'
                     f'<div class="value">{Markup(field["value"])}</div></div>' for field, span in Columns(embed["fields"]))
    at = time.strptime(embed["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")
    description = f'<div class="description">{Markup(embed["description"])}</div>' if "description" in embed else ""
    return (f'<div class="embed" style="border-color: #{embed["color"]:06x}"><div class="title">{Markup(embed["title"])}</div>'
            f'{description}<div class="fields">{fields}</div>'
            f'<div class="footer">{Markup(embed["footer"]["text"])} • {time.strftime("%H:%M", at)}</div></div>')


def Message(body):
    content = f'<div>{Markup(body["content"])}</div>' if body.get("content") else ""
    return ('<div class="message"><div class="face">S</div><div><span class="who">Spanwatch<span class="app">APP</span>'
            f'<small>Today at 22:13</small></span>{content}{"".join(map(Embed, body.get("embeds", [])))}</div></div>')


def Main():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([harness.Binary("spanwatch-e2e-cards"), directory, "0", "1"], check=True)
        window = browser.Browser(os.path.join(directory, "profile"), WIDTH, 900)
        try:
            for picture, names in PICTURES.items():
                messages = ""
                for name in names:
                    with open(os.path.join(directory, name + ".json"), encoding="utf-8") as file:
                        messages += Message(json.load(file))
                page = os.path.join(directory, "page.html")
                with open(page, "w", encoding="utf-8") as file:
                    file.write(f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><div id="all">{messages}</div>')
                window.Open("file://" + page)
                height = window.Run("Math.ceil(document.getElementById('all').getBoundingClientRect().height)")
                shot = window.Call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                                   clip={"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1})
                with open(os.path.join(OUTPUT, picture + ".png"), "wb") as file:
                    file.write(base64.b64decode(shot["data"]))
                print(os.path.join(OUTPUT, picture + ".png"))
        finally:
            window.Close()


if __name__ == "__main__":
    Main()
