#!/usr/bin/env python3
"""Checks that every link of the project's documents leads somewhere: to a file or folder, and to a heading in it.

Addresses of other hosts are not asked. Says each link that leads nowhere with file and line; ends with a line of counts.
"""

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"\s]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *$")


def lines(file: Path) -> list[str]:
    """The file's lines, with what stands in fences and inline code left empty: nothing there is a link or a heading."""
    found, fence = [], None
    for line in file.read_text(encoding="utf-8").splitlines():
        mark = re.match(r" *(`{3,}|~{3,})", line)
        if fence is None and mark:
            fence = mark.group(1)
        elif fence is not None and line.strip() == fence:
            fence = None
            mark = True
        found.append("" if fence is not None or mark else line)
    return found


def anchors(file: Path) -> set[str]:
    """The names by which GitHub leads to the file's headings; a second one of a name gets -1 behind it."""
    names: set[str] = set()
    for line in lines(file):
        if heading := HEADING.match(line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1)).lower()
            name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            names.add(next(one for one in [name, *(f"{name}-{n}" for n in range(1, 99))] if one not in names))
    return names


root = Path(__file__).resolve().parent.parent
listed = subprocess.run(
    ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
    check=True, capture_output=True, text=True,
).stdout
documents = sorted({root / name for name in listed.split("\0") if name and (root / name).is_file()})
checked, wrong = 0, 0
for document in documents:
    # A link may stand on two lines, so the whole text is looked at.
    text = "\n".join(re.sub(r"`[^`]*`", "", line) for line in lines(document))
    for link in LINK.finditer(text):
        target = link.group(1) or link.group(2)
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        checked += 1
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        why = None
        if not file.exists():
            why = f"there is no {path}"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            why = f"{file.relative_to(root)} has no heading #{anchor}"
        if why:
            wrong += 1
            line = text.count("\n", 0, link.start()) + 1
            print(f"documents: {document.relative_to(root)}:{line}: {target}: {why}", file=sys.stderr)
if wrong:
    sys.exit(1)
print(f"documents: {checked} links in {len(documents)} files lead somewhere")
