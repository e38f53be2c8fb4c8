"""The public headers of the SDK, checked: a comment on every public name, the main header includes next to nothing, and what
is declared leaves the shared library.

    check_headers.py INCLUDE_DIRECTORY COMPILER
"""
import os
import re
import subprocess
import sys

# What costs users the most to include, or drags much else along.
HEAVY = {"algorithm", "chrono", "condition_variable", "coroutine", "deque", "filesystem", "fstream", "functional", "future", "iostream", "list",
         "map", "memory", "mutex", "optional", "random", "regex", "set", "sstream", "thread", "tuple", "unordered_map", "variant"}
MAX_LINES = 30_000  # after the preprocessor, standard library and all: <string> alone has 22,500
# A declaration begins so; other lines are the insides of functions, or go on with something.
DECLARATION = re.compile(r"^(?:(?:explicit|static|constexpr|inline|virtual|friend|extern|const|\[\[nodiscard\]\])\s+)*"
                         r"(?:template\b|class\b|struct\b|enum\b|union\b|using\b|[A-Za-z_][\w:<>,&* ]*?[\s&*>]~?\w+\s*[({;=]|[A-Z]\w*\()")
# These need no words.
OBVIOUS = re.compile(r"=\s*(?:delete|default)\b|\boperator\b|~\w+\(|^(?:class|struct|union) \w+;|^friend |^return\b|^using \w+::|^static_assert")


def Blank(text):
    """Texts in quotes without their insides, so that braces and slashes in them do not count."""
    return re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', lambda match: '"' + "_" * (len(match.group()) - 2) + '"', text)


class Scopes:
    """Where a line stands: namespaces, classes with their access, function bodies."""

    def __init__(self):
        self.stack = []  # ("namespace" or "class" or "body", public)
        self.depth = 0   # of parentheses

    def Public(self):
        return self.depth == 0 and all(kind != "body" and public for kind, public in self.stack)

    def Feed(self, code, declaration):
        access = re.match(r"\s*(public|protected|private):", code)
        if access and self.stack:
            self.stack[-1] = (self.stack[-1][0], access.group(1) == "public")
        for char in code:
            if char == "(":
                self.depth += 1
            elif char == ")":
                self.depth -= 1
            elif char == "{":
                self.stack.append(self.Kind(declaration))
                declaration = ""
            elif char == "}" and self.stack:
                self.stack.pop()

    def Kind(self, declaration):
        space = re.search(r"\bnamespace\s+([\w:]+)", declaration)
        if space:
            return "namespace", not space.group(1).endswith("internal")
        kind = re.search(r"(?:^|>\s*|\s)(class|struct|enum)\b(?![^{]*\()", declaration)
        if re.search(r"\b(?:class|struct) \w+<", declaration):
            return "body", True  # what a specialisation has is documented at the template
        if kind:
            return ("class", kind.group(1) == "struct") if kind.group(1) != "enum" else ("body", True)
        return "body", True


def Continues(lines, number, in_class):
    """Whether the declaration that begins in this line says nothing new: a member, documented by its class or where it is
    declared; what a language rule asks for."""
    text = " ".join(lines[number - 1:number + 4]).strip()
    head = re.split(r"[;{]", re.sub(r"^(?:template\s*<.*?>\s+)+(?=[A-Za-z])", "", text))[0]
    if in_class and "(" not in head.split("=")[0]:
        return True
    constructor = re.match(r"(?:explicit |constexpr |SPANWATCH_INLINE |static )*(\w+)\(", head)
    if re.match(r"(?:class|struct) \w+$", head) and ";" in text[:text.find(head) + len(head) + 1]:
        return True  # defined, and documented, further down
    specialised = text.startswith("template <>") or re.search(r"^(?:class|struct) \w+<", head)
    return bool(specialised or constructor or re.search(r"->\s*\w+<|\w+(<[\w:, ]*>)?::~?\w+\(|\bawait_|\bfriend\b", head))


def Uncommented(path):
    scopes = Scopes()
    declaration = ""    # text since the last ; or { or }
    covered = False     # the line before was a comment, or a declaration under one
    found = []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        code, slashes, comment = Blank(line).partition("//")
        stripped = code.strip()
        if not stripped:
            covered = bool(slashes) or (covered and False)
            continue
        if stripped.startswith("#"):
            continue
        begins = declaration == "" and scopes.Public() and not Continues(lines, number, bool(scopes.stack) and scopes.stack[-1][0] == "class")
        if begins and not re.match(r"(public|protected|private):|[}\])]|:", stripped):
            covered = covered or bool(slashes and comment.strip() and not comment.startswith(" NOLINT"))
            namespace = stripped.startswith("namespace")
            if DECLARATION.match(stripped) and not OBVIOUS.search(stripped) and not namespace and not covered:
                found.append(f"{path}:{number}: no comment on: {stripped}")
            if namespace:
                covered = False
        scopes.Feed(code, declaration + " " + stripped)
        declaration = "" if stripped[-1] in ";{}:" else declaration + " " + stripped
        if stripped.endswith(":") and not re.match(r"(public|protected|private):$", stripped):
            declaration += " " + stripped
    return found


def Included(header, directory, compiler):
    """(names of the standard headers that it brings along, lines after the preprocessor)"""
    command = [compiler, "-std=c++17", f"-I{directory}", "-x", "c++", "-"]
    source = f"#include <{header}>\n"
    depends = subprocess.run([*command[:-1], "-M", "-"], input=source, capture_output=True, text=True, check=True).stdout
    lines = subprocess.run([*command[:-1], "-E", "-"], input=source, capture_output=True, text=True, check=True).stdout.count("\n")
    return {os.path.basename(path) for path in depends.replace("\\\n", " ").split()}, lines


def main():
    directory, compiler = sys.argv[1:3]
    problems = []
    for name in sorted(os.listdir(os.path.join(directory, "spanwatch"))):
        path = os.path.join(directory, "spanwatch", name)
        problems += Uncommented(path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        declares = re.search(r"^namespace spanwatch", text, re.M)
        is_public = re.search(r"^namespace spanwatch \{\n(?!namespace internal)", text, re.M)
        if declares and is_public and ("#pragma GCC visibility push(default)" not in text or "#pragma GCC visibility pop" not in text):
            problems.append(f"{path}: its names do not leave the shared library: no #pragma GCC visibility push(default) ... pop")
    names, lines = Included("spanwatch/spanwatch.h", directory, compiler)
    for heavy in sorted(names & HEAVY):
        problems.append(f"spanwatch/spanwatch.h includes <{heavy}>")
    if lines > MAX_LINES:
        problems.append(f"spanwatch/spanwatch.h has {lines} lines after the preprocessor, at most {MAX_LINES}")
    if "zmq.h" in names:
        problems.append("spanwatch/spanwatch.h includes <zmq.h>")
    print("\n".join(problems) or f"ok: spanwatch/spanwatch.h has {lines} lines after the preprocessor")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
