#!/usr/bin/env python3
"""Hold the arrows: a file may include only the folders that src/LAYERS grants its own folder.

Also keeps each caged library in the rooms that may see it, and the engine away from clocks,
sockets and SQL. Prints one line per breach; exits 1 when there is any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "src"

# A library's header may be included only by files that match the pattern.
CAGES = {
    "jq.h": r"map/",
    "jv.h": r"map/",
    "sqlite3.h": r"(ledger|watch)/",
    "libpq-fe.h": r"(ledger|watch)/",
    "curl/curl.h": r"net/",
    "uv.h": r"(net|map|app|cli)/",
    "yaml.h": r"config/",
    "seccomp.h": r"map/",
}
# Calls that open outbound connections or resolve names: the gate's neighbours only.
NET_ONLY = re.compile(r"\b(connect|getaddrinfo|gethostbyname)\s*\(")
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|gmtime|localtime|alloca|system|popen|tmpnam|gets)\s*\(")
INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([a-z0-9_]+)/[^"]*"|<([^>]+)>)')


def main() -> int:
    allowed = {}
    for line in (ROOT / "LAYERS").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, uses = line.partition(":")
            allowed[folder.strip()] = set(uses.split()) | {folder.strip()}
    bad = 0

    def breach(path, no, text):
        nonlocal bad
        bad += 1
        print(f"{path.relative_to(ROOT.parent)}:{no}: {text}")

    for path in sorted(ROOT.rglob("*.[ch]")):
        rel = path.relative_to(ROOT)
        here = rel.parts[0]
        for no, text in enumerate(path.read_text().splitlines(), 1):
            m = INCLUDE.match(text)
            if m and m[1] and m[1] not in allowed[here]:
                breach(path, no, f"{here}/ may not include {m[1]}/ (src/LAYERS)")
            if m and m[2] in CAGES and not re.match(CAGES[m[2]], str(rel)):
                breach(path, no, f"<{m[2]}> is caged in {CAGES[m[2]]}")
            code = text.split("//")[0]
            if re.match(r"\s*(/?\*|//)", text):
                continue
            if NET_ONLY.search(code) and here != "net":
                breach(path, no, "only src/net opens connections or resolves names")
            call = BANNED.search(code)
            if call:
                breach(path, no, f"{call[1]}() is not used here: see CONTRIBUTING.md")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
