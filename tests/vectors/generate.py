#!/usr/bin/env python3
"""Writes the wire vectors of this folder: envelopes (frame 1) and answers, byte by byte, as docs/wire.proto has them.

One file a message: hexadecimal, a field a line, `#` and what it is behind it. Written by hand-made protobuf, so that
they do not depend on the code that they test. `generate.py --check` only compares.
"""
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).parent
PROCESS_ID = bytes(range(16))
SEND_TIME = 1700000000123456789


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def double(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def drop(reason, spans):
    return data(1, reason) + number(2, spans)


def totals(sequence, batched, sampled_out, drops):
    body = number(1, sequence) + number(2, batched) + number(3, sampled_out)
    return body + b"".join(data(4, drop(*one)) for one in drops)


def head(kind, name):
    return [(number(1, 1), "version 1"), (number(2, kind), f"kind {name}"), (data(3, PROCESS_ID), "process id 00..0f")]


SENT = (fixed64(11, SEND_TIME), f"send time {SEND_TIME}")

VECTORS = {
    "hello": head(1, "HELLO") + [(number(5, 1), "oldest held 1: nothing is held, 1 comes next"), SENT],
    "spans": head(2, "SPANS") + [
        (number(4, 300), "sequence 300"),
        (number(5, 299), "oldest held 299"),
        (data(6, totals(298, 11900, 40, [("ring_full", 7)])), "acknowledged: 298, 11900 batched, 40 sampled out, ring_full 7"),
        (number(7, 11950), "batched before 11950"),
        (number(8, 50), "span count 50"),
        (data(9, drop("ring_full", 7)), "drops: ring_full 7"),
        (data(9, drop("no_ring", 2)), "drops: no_ring 2"),
        (number(10, 41), "sampled out 41"),
        SENT,
    ],
    "heartbeat": head(4, "HEARTBEAT") + [
        (number(5, 301), "oldest held 301"),
        (number(7, 12000), "batched 12000"),
        SENT,
        (data(13, number(1, 52428800) + number(2, 300000) + number(3, 1234567)
              + data(4, data(1, "circuit_breaker") + data(2, data(1, "name") + data(2, "gemini")) + double(3, 1.0))
              + data(4, data(1, "queue")) + double(5, 0.75) + double(6, 0.25)),
         'heartbeat: rss 52428800, sdk 300000, cpu 1234567, circuit_breaker{name="gemini"} 1, queue 0, ring fill 0.75, sample rate 0.25'),
    ],
    "goodbye": head(5, "GOODBYE") + [
        (number(5, 301), "oldest held 301: nothing is held"),
        (data(6, totals(300, 12000, 41, [("ring_full", 7)])), "acknowledged: 300, 12000 batched, 41 sampled out, ring_full 7"),
        (number(7, 12000), "batched 12000"),
        (data(9, drop("ring_full", 7)), "drops: ring_full 7"),
        (data(9, drop("shutdown", 3)), "drops: shutdown 3"),
        (number(10, 41), "sampled out 41"),
        SENT,
    ],
    "welcome": [
        (number(1, 1), "version 1"),
        (number(2, 1), "kind WELCOME"),
        (data(3, PROCESS_ID), "process id 00..0f"),
        (number(4, 298), "applied 298"),
        (data(5, double(1, 0.25) + number(2, 1000000000)), "settings: sample rate 0.25, slow threshold 1 s"),
    ],
    "refused": [
        (number(1, 1), "version 1"),
        (number(2, 5), "kind REFUSED"),
        (data(3, PROCESS_ID), "process id 00..0f"),
        (data(6, "bad_version"), "reason bad_version"),
    ],
}


def text(fields):
    return "".join(f"{piece.hex(' ')}  # {meaning}\n" for piece, meaning in fields)


def main():
    wrong = []
    for name, fields in VECTORS.items():
        path = HERE / f"{name}.hex"
        if "--check" not in sys.argv:
            path.write_text(text(fields))
        elif not path.exists() or path.read_text() != text(fields):
            wrong.append(name)
    if wrong:
        sys.exit("differ from generate.py: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
