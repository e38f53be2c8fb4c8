"""A Discord message as text for a terminal: coloured there, plain in a pipe."""

import re
import time

RESET = "\x1b[0m"
BOLD = "\x1b[1m"
DIM = "\x1b[2m"


def _colour(number):
    return f"\x1b[38;2;{number >> 16 & 255};{number >> 8 & 255};{number & 255}m"


def _time(match):
    seconds, style = int(match.group(1)), match.group(2)
    if style == "R":
        ago = int(time.time()) - seconds
        return f"{ago} s ago" if ago >= 0 else f"in {-ago} s"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def plain(text):
    """What a reader sees: times written out, links with their address, markup and its escapes gone."""
    text = re.sub(r"<t:(\d{1,12}):([tTdDfFsSR])>", _time, text)
    text = re.sub(r"(?<!\\)\[((?:[^\]\\]|\\.)*)\]\((https?://[^)\s]+)\)", r"\1 \2", text)
    text = re.sub(r"(?<!\\)(\*\*|`)", "", text)
    text = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text)
    return "".join(c for c in text if c == "\n" or c.isprintable()).replace("\u200b", "")


def render(message, headline, colour=False):
    """`message` has content and embeds as Discord stores them."""
    paint = (lambda code, text: f"{code}{text}{RESET}") if colour else (lambda code, text: text)
    lines = [paint(DIM, f"── {headline} ".ljust(72, "─"))]
    if message.get("content"):
        lines.append(plain(message["content"]))
    for embed in message.get("embeds") or []:
        bar = paint(_colour(embed.get("color") or 0), "┃") + " "
        if embed.get("title"):
            lines.append(bar + paint(BOLD, plain(embed["title"])))
        for line in plain(embed.get("description") or "").splitlines():
            lines.append(bar + line)
        for field in embed.get("fields") or []:
            value = plain(field["value"]).splitlines()
            lines.append(bar + paint(DIM, (plain(field["name"]) + ":").ljust(15)) + value[0])
            lines += [bar + " " * 15 + line for line in value[1:]]
        if (embed.get("footer") or {}).get("text"):
            lines.append(bar + paint(DIM, embed["footer"]["text"]))
    return "\n".join(lines) + "\n"
