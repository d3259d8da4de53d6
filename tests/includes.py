"""Each folder includes only headers of the folders that its target links (docs/architecture.md). The include paths see
to that where each folder is compiled alone, but not where several are one source (cmake/JoinFolders.cmake).
usage: includes.py SOURCE_FOLDER"""
import pathlib
import re
import sys

LIBRARY = re.compile(r"^pronghorn_library\((.*?)\)$", re.M | re.S)
INCLUDE = re.compile(r'^#include "([\w/]+)/\w+\.h"$', re.M)

root = pathlib.Path(sys.argv[1])
links = {}  # target: those that it links, and of these the public ones
folders = {}  # target: its folder
for top in ("common", "distributor", "server", "supervisor", "worker"):
    for file in (root / top).rglob("CMakeLists.txt"):
        for call in LIBRARY.findall(file.read_text()):
            folder, *words = re.sub(r"#.*", "", call).split()
            target = "pronghorn_" + folder.replace("/", "_")
            linked = {"PUBLIC": set(), "PRIVATE": set()}
            section = ""
            for word in words:
                section = word if word in linked else section
                linked.get(section, set()).add(word)
            links[target] = (linked["PUBLIC"] | linked["PRIVATE"], linked["PUBLIC"])
            folders[target] = folder


def visible(target):
    """The folders whose headers the target sees: what it links, and what those link publicly."""
    seen, left = {target}, list(links[target][0])
    while left:
        other = left.pop()
        if other in links and other not in seen:
            seen.add(other)
            left += links[other][1]
    return {folders[each] for each in seen}


known = set(folders.values())
lines = [f"{file.relative_to(root)} includes a header of {include}, which {target} does not link"
         for target, folder in folders.items()
         for file in sorted((root / folder).glob("*.*")) if file.suffix in (".h", ".cpp")
         for include in INCLUDE.findall(file.read_text()) if include in known - visible(target)]
print("\n".join(lines))
sys.exit(1 if lines or not links else 0)
