"""What Discord refuses in the body of a webhook message.

Lengths are counted in UTF-16 units after trimming: never fewer than Discord counts, so what passes here passes there.
Pure functions; an ApiError is what the endpoint answers.
"""

import re
from urllib.parse import urlsplit

MAX_CONTENT = 2000
MAX_EMBEDS = 10
MAX_TITLE = 256
MAX_DESCRIPTION = 4096
MAX_FIELDS = 25
MAX_FIELD_NAME = 256
MAX_FIELD_VALUE = 1024
MAX_FOOTER = 2048
MAX_AUTHOR = 256
MAX_TOTAL = 6000

SUPPRESS_EMBEDS = 1 << 2
SUPPRESS_NOTIFICATIONS = 1 << 12

MESSAGE_KEYS = {"content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "flags", "thread_name",
                "applied_tags", "components", "attachments", "poll"}
EMBED_KEYS = {"title", "type", "description", "url", "timestamp", "color", "footer", "image", "thumbnail", "video",
              "provider", "author", "fields"}
ISO_8601 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$")


class ApiError(Exception):
    """An answer of Discord's API that is not a success."""

    def __init__(self, status, code, message, errors=None):
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.body = {"message": message, "code": code}
        if errors:
            self.body["errors"] = errors


class Problems:
    """Collects the errors of a form by path, as Discord nests them."""

    def __init__(self):
        self.tree = {}

    def add(self, path, code, message):
        node = self.tree
        for part in path:
            node = node.setdefault(str(part), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def raise_if_any(self):
        if self.tree:
            raise ApiError(400, 50035, "Invalid Form Body", self.tree)


def units(text):
    """Length in UTF-16 units after trimming."""
    return len(text.strip().encode("utf-16-le", "surrogatepass")) // 2


def _text(problems, path, value, limit, required=False):
    """Checks one string; returns its length, 0 if it is missing or wrong."""
    if value is None:
        if required:
            problems.add(path, "BASE_TYPE_REQUIRED", "This field is required")
        return 0
    if not isinstance(value, str):
        problems.add(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
        return 0
    if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        problems.add(path, "STRING_TYPE_CONVERT", "Lone surrogate in string.")
        return 0
    length = units(value)
    if required and length == 0:
        problems.add(path, "BASE_TYPE_REQUIRED", "This field is required")
    elif length > limit:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
    return length


def _url(problems, path, value, attachment=False):
    if value is None or value == "":
        return
    if not isinstance(value, str):
        problems.add(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
        return
    schemes = ("http", "https", "attachment") if attachment else ("http", "https")
    try:
        parts = urlsplit(value)
        good = parts.scheme in schemes and bool(parts.hostname) and not re.search(r"\s", value)
    except ValueError:
        good = False
    if not good:
        problems.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
    elif len(value) > 2048:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", "Must be 2048 or fewer in length.")


def _is_timestamp(value):
    match = ISO_8601.match(value) if isinstance(value, str) else None
    if not match:
        return False
    month, day, hour, minute, second = (int(match.group(i)) for i in range(2, 7))
    return 1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 59


def _fields(problems, path, fields):
    if fields is None:
        return 0
    if not isinstance(fields, list):
        problems.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return 0
    if len(fields) > MAX_FIELDS:
        problems.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be {MAX_FIELDS} or fewer in length.")
    total = 0
    for i, field in enumerate(fields):
        where = path + [i]
        if not isinstance(field, dict):
            problems.add(where, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        total += _text(problems, where + ["name"], field.get("name"), MAX_FIELD_NAME, required=True)
        total += _text(problems, where + ["value"], field.get("value"), MAX_FIELD_VALUE, required=True)
        if "inline" in field and not isinstance(field["inline"], bool):
            problems.add(where + ["inline"], "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
    return total


def _part(problems, path, embed, key, inner, limit):
    """footer.text and author.name."""
    part = embed.get(key)
    if part is None:
        return 0
    if not isinstance(part, dict):
        problems.add(path + [key], "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return 0
    _url(problems, path + [key, "icon_url"], part.get("icon_url"), attachment=True)
    return _text(problems, path + [key, inner], part.get(inner), limit, required=True)


def _embed(problems, path, embed):
    """Checks one embed; returns the characters that count towards the sum."""
    if not isinstance(embed, dict):
        problems.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return 0
    total = _text(problems, path + ["title"], embed.get("title"), MAX_TITLE)
    total += _text(problems, path + ["description"], embed.get("description"), MAX_DESCRIPTION)
    total += _fields(problems, path + ["fields"], embed.get("fields"))
    total += _part(problems, path, embed, "footer", "text", MAX_FOOTER)
    total += _part(problems, path, embed, "author", "name", MAX_AUTHOR)
    _url(problems, path + ["url"], embed.get("url"))
    for key in ("image", "thumbnail"):
        if isinstance(embed.get(key), dict):
            _url(problems, path + [key, "url"], embed[key].get("url"), attachment=True)
    color = embed.get("color")
    if color is not None:
        if isinstance(color, bool) or not isinstance(color, int):
            problems.add(path + ["color"], "NUMBER_TYPE_COERCE", f'Value "{color}" is not int.')
        elif not 0 <= color <= 0xFFFFFF:
            problems.add(path + ["color"], "NUMBER_TYPE_MAX", "int value should be between 0 and 16777215.")
    if embed.get("timestamp") is not None and not _is_timestamp(embed["timestamp"]):
        problems.add(path + ["timestamp"], "DATE_TIME_TYPE_PARSE", "Could not parse value. Should be ISO8601.")
    return total


def embed_shows_something(embed):
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get(key) or {}).get(inner) for key, inner in (("footer", "text"), ("author", "name"))]
    if any(isinstance(t, str) and t.strip() for t in texts):
        return True
    return bool(embed.get("fields") or embed.get("image") or embed.get("thumbnail"))


def _embeds(problems, embeds):
    if embeds is None:
        return
    if not isinstance(embeds, list):
        problems.add(["embeds"], "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if len(embeds) > MAX_EMBEDS:
        problems.add(["embeds"], "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_EMBEDS} or fewer in length.")
    total = sum(_embed(problems, ["embeds", i], embed) for i, embed in enumerate(embeds))
    if total > MAX_TOTAL:
        problems.add(["embeds"], "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_TOTAL}")


def _allowed_mentions(problems, value):
    path = ["allowed_mentions"]
    if value is None:
        return
    if not isinstance(value, dict):
        problems.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    parse = value.get("parse", [])
    if not isinstance(parse, list):
        problems.add(path + ["parse"], "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        parse = []
    for i, kind in enumerate(parse):
        if kind not in ("users", "roles", "everyone"):
            problems.add(path + ["parse", i], "BASE_TYPE_CHOICES", "Value must be one of ('users', 'roles', 'everyone').")
    if len(set(map(str, parse))) != len(parse):
        problems.add(path + ["parse"], "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value.")
    for kind in ("users", "roles"):
        ids = value.get(kind, [])
        if not isinstance(ids, list) or not all(isinstance(i, str) and i.isdigit() for i in ids):
            problems.add(path + [kind], "NUMBER_TYPE_COERCE", "Value is not snowflake.")
            continue
        if len(ids) > 100:
            problems.add(path + [kind], "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
        if ids and kind in parse:
            problems.add(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                         f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.')
    if "replied_user" in value and not isinstance(value["replied_user"], bool):
        problems.add(path + ["replied_user"], "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")


def _username(problems, value):
    length = _text(problems, ["username"], value, 80, required=value is not None)
    if length and any(word in value.lower() for word in ("clyde", "discord")):
        word = "clyde" if "clyde" in value.lower() else "discord"
        problems.add(["username"], "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')


def _flags(problems, value, allowed):
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        problems.add(["flags"], "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
    elif value & ~allowed:
        problems.add(["flags"], "MESSAGE_FLAGS_INVALID", "These flags are not allowed here.")


def check_body(body, is_edit):
    """Raises ApiError for a body that is refused; whether anything is left to show is check_not_empty's matter."""
    if not isinstance(body, dict):
        raise ApiError(400, 50035, "Invalid Form Body",
                       {"_errors": [{"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}]})
    problems = Problems()
    _text(problems, ["content"], body.get("content"), MAX_CONTENT)
    _embeds(problems, body.get("embeds"))
    _allowed_mentions(problems, body.get("allowed_mentions"))
    _flags(problems, body.get("flags"), SUPPRESS_EMBEDS if is_edit else SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS)
    if not is_edit:
        _username(problems, body.get("username"))
        _url(problems, ["avatar_url"], body.get("avatar_url"))
        if body.get("tts") is not None and not isinstance(body["tts"], bool):
            problems.add(["tts"], "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
    problems.raise_if_any()
    if body.get("thread_name") and not is_edit:
        raise ApiError(400, 220003, "Webhooks can only create threads in forum channels")


def check_not_empty(content, embeds):
    if not (content or "").strip() and not any(embed_shows_something(embed) for embed in embeds or []):
        raise ApiError(400, 50006, "Cannot send an empty message")


def merge_embeds(embeds):
    """Of embeds with one url only the first is shown."""
    shown, urls = [], set()
    for embed in embeds or []:
        url = embed.get("url")
        if url and url in urls:
            continue
        urls.add(url)
        shown.append(dict(embed, type="rich"))
    return shown


def pings(content, allowed_mentions):
    """Whom the content would notify. Embeds never do."""
    allowed = allowed_mentions if allowed_mentions is not None else {"parse": ["users"]}
    parse = allowed.get("parse", [])
    found = []
    if "everyone" in parse:
        found += re.findall(r"@(?:everyone|here)", content or "")
    for kind, pattern in (("users", r"<@!?(\d+)>"), ("roles", r"<@&(\d+)>")):
        for who in re.findall(pattern, content or ""):
            if kind in parse or who in allowed.get(kind, []):
                found.append(f"{kind}:{who}")
    return found


def warnings(body):
    """What Discord swallows without a word but a client hardly means."""
    found = [f"unknown key {key}" for key in sorted(set(body) - MESSAGE_KEYS)]
    for i, embed in enumerate(body.get("embeds") or []):
        found += [f"unknown key embeds[{i}].{key}" for key in sorted(set(embed) - EMBED_KEYS)]
        for key in ("title", "description", "url"):
            if embed.get(key) == "":
                found.append(f"empty embeds[{i}].{key}")
    if "allowed_mentions" not in body:
        found.append("no allowed_mentions")
    return found
