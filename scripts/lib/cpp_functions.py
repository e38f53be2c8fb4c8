"""Finds function bodies and their lengths in clang-formatted C++. Not a parser: it blanks comments and literals, counts
braces, and takes a brace at namespace or class level for a function's if the statement before it has parentheses."""
import re

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.S)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
_NAME = re.compile(r"([~\w:]+|operator\s*\S+?)\s*\(")


def _Blanked(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def Blank(text):
    """The text with comments and literals (then preprocessor lines) replaced by blanks; line numbers stay."""
    return _PREPROCESSOR.sub(_Blanked, _TOKEN.sub(_Blanked, text))


def _WithoutTemplate(statement):
    return re.sub(r"template\s*<[^{}]*?>\s*(?=[\w\[])", "", statement)


def _IsFunction(statement):
    if "(" not in statement or statement.rstrip().endswith("="):
        return False
    # A name with parentheses after class or struct is an attribute macro's.
    return not _CONTAINER.search(_WithoutTemplate(statement).split("(", 1)[0])


def _IsContainer(statement):
    statement = _WithoutTemplate(statement)
    return bool(_CONTAINER.search(statement)) and "=" not in statement


def Functions(text):
    """[(name, first line, lines)] of every function body at namespace or class level."""
    code = Blank(text)
    found = []
    stack = []  # of (is_container, start of the statement, name or None)
    start, parens, line = 0, 0, 1
    for i, c in enumerate(code):
        if c == "\n":
            line += 1
        elif c == "(":
            parens += 1
        elif c == ")":
            parens = max(0, parens - 1)
        elif c == "{":
            outer = all(container for container, _, _ in stack)
            statement = code[start:i]
            function = outer and parens == 0 and _IsFunction(statement)
            container = outer and not function and _IsContainer(statement)
            stack.append((container, start, parens))
            parens = 0
            if container:
                start = i + 1
            elif function:
                found_name = _NAME.search(statement)
                first = line - statement.lstrip().count("\n")
                found.append([found_name.group(1) if found_name else "?", first, None, len(stack)])
        elif c == "}" and stack:
            container, _, parens = stack.pop()
            for item in found[-1:]:
                if item[2] is None and item[3] == len(stack) + 1:
                    item[2] = line - item[1] + 1
            rest = code[i + 1:i + 200].lstrip()
            in_initializers = not container and rest[:1] in (",", "{")
            if all(c for c, _, _ in stack) and parens == 0 and not in_initializers:
                start = i + 1
        elif c == ";" and parens == 0 and all(container for container, _, _ in stack):
            start = i + 1
    return [(name, first, length) for name, first, length, _ in found if length is not None]
