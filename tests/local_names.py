"""Folders that are compiled as one source (cmake/JoinFolders.cmake) have different local names. GCC reports types and
variables that are there twice; of two functions with different parameters it may silently call the wrong one.
usage: local_names.py SOURCE_FOLDER"""
import pathlib
import re
import sys

LOCAL = re.compile(r"^namespace \{\n(.*?)^\}  // namespace$", re.M | re.S)
RAW_STRING = re.compile(r'R"(\w*)\(.*?\)\1"', re.S)
FUNCTION = re.compile(r"^(?!using |struct |class |template|namespace |static_assert|//)"
                      r"[\w:\[][^=;{}#]*?\b(\w+)\((?=[^;{]*[{;])", re.M)


def functions(file):
    """(name, whether only this file sees it) of each function that begins a line."""
    text = RAW_STRING.sub('""', file.read_text())
    if file.suffix == ".h":
        return {(name, False) for name in FUNCTION.findall(text)}
    statics = {found[1] for found in FUNCTION.finditer(text) if found[0].startswith("static ")}
    return {(name, True) for name in statics.union(*map(FUNCTION.findall, LOCAL.findall(text)))}


def clashes(files):
    found = [(name, is_local, file) for file in files for name, is_local in functions(file)]
    for name, _, file in (each for each in found if each[1]):
        for other, is_local, place in found:
            if other == name and place != file and (is_local or place.parent != file.parent):
                yield f"{file}: the local {name}() has the name of one in {place}"


root = pathlib.Path(sys.argv[1])
joins = re.findall(r"^join_folders\((.*?)\)$", (root / "cmake/JoinFolders.cmake").read_text(), re.M | re.S)
lines = {line for join in joins
         for line in clashes([file for folder in join.split() for file in sorted((root / folder).glob("*.*"))
                              if file.suffix in (".h", ".cpp")])}
print("\n".join(sorted(lines)))
sys.exit(1 if lines or not joins else 0)
