"""Whether the pages agree with the tree: links lead to files and headings that exist, and docs/architecture.md says where
each public header is implemented.

python3 tests/docs/links.py [ROOT]"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)")


def without_code(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def faults_of(page):
    for link in LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.relative_to(ROOT)}: {link} does not exist"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{page.relative_to(ROOT)}: {link}: there is no such heading"


pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
faults = [fault for page in pages for fault in faults_of(page)]
architecture = (ROOT / "docs/architecture.md").read_text()
for header in sorted((ROOT / "include/pronghorn").glob("*.h")):
    if f"`{header.name}`" not in architecture:
        faults.append(f"docs/architecture.md: where is {header.name} implemented?")
print("\n".join(faults) or f"{len(pages)} pages: all links lead somewhere")
sys.exit(1 if faults else 0)
