"""What the campaigns and the soak share: arguments, what their figures depend on, and the pieces of a long run."""
import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[3]
BUILD = TREE / "build/release"


def some_of(known):
    """The type of an argument: some of these words, with commas between them."""
    def parse(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return names
    return parse


def positive(text):
    """The type of an argument that is a number from 1."""
    if not re.fullmatch("[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"a number is needed, not '{text}'")
    return int(text)


def output_of(*command):
    return subprocess.run(command, cwd=TREE, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def revision():
    """Of the tree, to be asked when it is built: others may commit to it while a campaign runs."""
    return output_of("git", "describe", "--always", "--dirty")


def build(groups, targets):
    """What the lab and these targets need of the release build, with what is missing of the packages of these groups."""
    subprocess.run([TREE / "tools/setup", *groups], check=True)
    subprocess.run(["cmake", "--preset", "release", "-DHAWSER_BUILD_TESTS=ON"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", "whole_xstate", *targets], cwd=TREE, check=True,
                   stdout=subprocess.DEVNULL)


def version_of(package):
    return output_of("dpkg-query", "-W", "-f", "${Version}", package)


def machine(packages):
    cpu = next(re.findall("^model name\\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M).__iter__(), "CPU")
    guest = max(pathlib.Path("/usr/lib/uml/modules").iterdir()).name
    return {
        "machine": f"{os.cpu_count()} cores of {cpu}, Linux {platform.release()}",
        "guest": f"user-mode Linux {guest} (user-mode-linux {version_of('user-mode-linux')}), one CPU, 768 MiB",
        "target": "the kernel's (LIO), files on tmpfs, four portals, its own network namespace",
        "hawser": output_of(str(BUILD / "tools/hawser/hawser"), "--version").split()[-1],
        **{package: version_of(package) for package in packages},
    }


def resumed(output, about):
    """The cycles that a campaign before left in this directory. It ends the program if they cannot stand beside new ones."""
    output.mkdir(parents=True, exist_ok=True)
    machine_file, cycles_file = output / "machine.json", output / "cycles.jsonl"
    if not machine_file.exists():
        machine_file.write_text(json.dumps(about, indent=1) + "\n")
        return []
    if json.loads(machine_file.read_text()) != about:
        sys.exit(f"{output} has figures of another machine or other versions")
    return [json.loads(line) for line in cycles_file.read_text().splitlines()] if cycles_file.exists() else []
