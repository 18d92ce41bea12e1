#!/usr/bin/env python3
"""Which test keeps which promise: writes docs/promises.md from the markers in the tests.

    tests/promises.py           writes the page
    tests/promises.py --check   fails if the page is not what the tests say, or a marker names no promise

A lab scenario has a line `# Keeps: A7, D2`, and so has what makes another host for all of them; a test in C++
has `// Keeps: A6` in the comment right above its TEST. A marker that stands elsewhere, names no promise, or a promise
that no test keeps, is an error.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/promises.md"

PROMISES = {
    "Attach": {
        "A1": "A failed, cancelled or late attach leaves the host as it was, whatever step it was in.",
        "A2": "Logins run side by side: many portals take about as long as the slowest that is waited for.",
        "A3": "One path is enough, and gives a map that takes the others later; a bare device only when asked "
              "for, or with a warning when no map can be made.",
        "A4": "How often a LUN is looked for has nothing to do with how often a login is tried.",
        "A5": "Device and map are found through sysfs and device-mapper, never through a link or a name.",
        "A6": "Identity is what the kernel read, compared on every path, and with all that is known of the volume.",
        "A7": "A device that cannot be read, or dies after it appeared, stops nothing while another is good.",
        "A8": "A device left over from another volume at the same address is never handed out.",
        "A9": "One LUN is scanned, on the right host; no other appears.",
        "A10": "Without multipath the result is never a map, and what other portals left is cleaned up.",
        "A11": "Retries log one line; what is normal is no warning.",
        "A12": "All LUNs and both addressing modes, IPv6, host names, group tags, duplicates, several targets, "
               "discovery.",
        "A13": "CHAP, both ways and for discovery: refusals say whose; secrets show up nowhere.",
        "A14": "Read-only is read-only; read-write on a read-only unit fails.",
        "A15": "Sessions go through the interfaces that are named; iSER works.",
    },
    "Detach": {
        "D1": "One way for maps and bare devices, decided by what the kernel shows.",
        "D2": "Every device of the volume goes, and stays away, and so does its map.",
        "D3": "No tool is run, no INQUIRY sent, no link followed.",
        "D4": "What cannot be flushed is kept: the volume stays attached and works when the paths are back.",
        "D5": "Force cleans the host all the same, says what was lost, and never hangs.",
        "D6": "Flushes are tried again with growing pauses within the deadline.",
        "D7": "A volume in use is refused, with its users named; whoever only passes is waited for.",
        "D8": "A session is logged out only when nothing else uses it; node records likewise.",
        "D9": "What could be left is named, and recover deals with it.",
        "D10": "Another volume is never touched, whatever the specification says.",
    },
    "Around them": {
        "R1": "Resize: all paths show the new size, then that one map is reloaded.",
        "R2": "Paths that come late are joined, after the identity check.",
        "R3": "Many processes at once give the right result.",
        "R4": "multipathd in every mode, absent, restarted: nothing of it is left after detach.",
        "R5": "A restart of iscsid changes nothing for what is attached.",
        "R6": "After a reboot nothing claims to be attached, and identities are remembered.",
        "R7": "Debian 13's userland and kernel as well (`tests/run --suite trixie`).",
        "R8": "Two CPUs and sanitizers on a real kernel (`tests/run --lab qemu`).",
    },
    "Hostile surroundings": {
        "H1": "A target that answers rubbish, or loses a unit in the middle, gives a clear error; nothing is left.",
        "H2": "A database of open-iscsi that is full of rubbish is left alone.",
        "H3": "An iscsid that hangs up, or never says a word, gives a clear error by the deadline; nothing is left.",
        "H4": "Sixty dead portals of 64 do not keep the four that are good.",
        "H5": "Names at and over the limits of RFC 7143 are taken and refused.",
        "H6": "Another user of the host gets nothing out of hawser, and secrets do not stay in its memory.",
    },
}
KNOWN = {row for rows in PROMISES.values() for row in rows}


def tests_of(path, text):
    """Pairs of what stands behind a "Keeps:" and the name of the test."""
    if path.suffix == ".sh":
        return [(line, f"lab/{path.stem}") for line in re.findall(r"^# Keeps: (.+)$", text, re.M)]
    if path.name == "make_suite":
        return [(line, "trixie/*") for line in re.findall(r"^# Keeps: (.+)$", text, re.M)]
    where = f"{path.parent.name}/{path.stem}"
    if path.suffix == ".py":
        found = re.findall(r"^ *# Keeps: (.+)\n *def (\w+)", text, re.M)
        return [(line, f"{where}: {name}") for line, name in found]
    found = re.findall(r"^// Keeps: (.+)\n(?://.*\n)*TEST(?:_[FP])?\((\w+), (\w+)\)", text, re.M)
    return [(line, f"{where}: {suite}.{name}") for line, suite, name in found]


def markers():
    """Pairs of a promise and the name of a test."""
    lab = ROOT / "tests/lab"
    for path in [*sorted((lab / "scenarios").glob("*.sh")), lab / "make_suite",
                 *sorted((ROOT / "tests").rglob("*_test.cc")), *sorted((ROOT / "tests").rglob("*_test.py"))]:
        text = path.read_text()
        found = tests_of(path, text)
        if len(found) != len(re.findall(r"\bKeeps:", text)):
            sys.exit(f"promises: {path}: a marker does not stand where it has to")
        for line, test in found:
            for row in line.split(", "):
                yield row, test


def page(kept):
    text = ("# Promises, and the tests that keep them\n\n"
            "Written by `tests/promises.py` from the markers in the tests; not by hand.\n")
    for title, rows in PROMISES.items():
        text += f"\n## {title}\n\n| | promise | kept by |\n|---|---|---|\n"
        for row, promise in rows.items():
            tests = "<br>".join(f"`{test}`" for test in kept[row])
            text += f"| {row} | {promise} | {tests} |\n"
    return text


def main():
    kept = {}
    for row, test in markers():
        if row not in KNOWN:
            sys.exit(f"promises: {test} keeps {row}, which is no promise")
        if test not in kept.setdefault(row, []):
            kept[row].append(test)
    if missing := [row for rows in PROMISES.values() for row in rows if row not in kept]:
        sys.exit(f"promises: no test keeps {', '.join(missing)}")
    text = page(kept)
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("promises: docs/promises.md is out of date: run tests/promises.py")
        print(f"promises: {len(kept)} of {len(KNOWN)} are kept by a test")
        return
    PAGE.write_text(text)


main()
