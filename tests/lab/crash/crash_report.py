"""What came of the crash campaign: the page, from one JSON document a cycle."""
import collections

OPERATIONS = {
    "attach": "over four portals, with node records",
    "attach-bare": "`--multipath off`",
    "detach": "of a volume that was written to",
    "detach-force": "`--force`, of one that somebody keeps open until the crash",
    "resize": "after the volume was grown",
    "join": "of a fourth portal to a volume that is attached over three",
    "recover": "of an attach that was killed before its commit",
}


class Figures:
    """The cycles of one operation, alone or beside another hawser. One that did not run has passed nothing."""

    def __init__(self, cycles):
        self.cycles = cycles
        self.ran = [cycle for cycle in cycles if cycle["ran"]]
        self.killed = [cycle for cycle in self.ran if cycle["killed"]]
        self.good = [cycle for cycle in self.ran if cycle["ok"]]

    def kills(self, at_record):
        return sum((":" in cycle["kill"]) == at_record for cycle in self.killed)

    def recovered(self, how):
        return sum(cycle["recovered"] == how for cycle in self.killed)

    def left(self):
        return sum(len(cycle["leftovers"]) for cycle in self.ran)

    def neighbour(self):
        return [cycle["neighbour"] for cycle in self.ran]

    def companion(self):
        return [cycle["companion"] for cycle in self.ran if cycle["companion"]]


def row(name, f):
    neighbour, companion = f.neighbour(), f.companion()
    interrupted = sum(not one["ok"] for one in neighbour)
    calls = sum(one["calls"] for one in companion)
    failed = sum(len(one["failed"]) for one in companion)
    return (f"| {name} | {f.kills(True)} | {f.kills(False)} | {f.recovered('undone')} | {f.recovered('completed')} "
            f"| {f.recovered('kept')} | {f.recovered('nothing')} | {f.left()} | {sum(len(c['problems']) for c in f.ran)} "
            f"| {sum(one.get('writes', 0) for one in neighbour)} | {max((one.get('longest_ms', 0) for one in neighbour), default=0)} "
            f"| {interrupted} | {f'{calls}, failed {failed}' if companion else '-'} |")


def missing(cycles):
    """What a whole run has besides."""
    there = {(cycle["operation"], cycle["beside"], cycle["how"]) for cycle in cycles}
    return [f"{operation}, {'beside another' if beside else 'alone'}, at {how}"
            for operation in OPERATIONS for beside in (False, True) for how in ("records", "instants")
            if (operation, beside, how) not in there]


def page(cycles, about):
    groups = collections.defaultdict(list)
    for cycle in cycles:
        groups[cycle["operation"], cycle["beside"]].append(cycle)
    dates = sorted({cycle["date"] for cycle in cycles})
    commits = sorted({cycle["commit"] for cycle in cycles})
    seeds = sorted({cycle["seed"] for cycle in cycles})
    not_there = missing(cycles)
    everything = Figures(cycles)
    lines = [
        "# Crash campaign", "",
        "Written by `tests/crash`; do not edit. In each cycle hawser is killed with SIGKILL in an operation, `hawser recover` "
        "runs, and the host is held against the state before: the volume is attached as it was in every respect, and "
        "detaches, or it is gone; sessions, disks, maps, links, node records, entries of wwids and logs are then what they "
        "were. It is killed right before and right after every single change of its transaction log, from the first to the "
        "one that it no longer makes, and from outside at random instants.", "",
        "All the while a neighbour, another volume of the same target that shares two of the four sessions, is written to "
        "and read back. It is interrupted if an I/O fails, is not what was written or takes over five seconds, if the kernel "
        "fails a path of it, or if one of its sessions, disks or maps is not the same one any more (which counts as left "
        "over). Beside: another hawser attaches and detaches a third volume of the target over three of the portals, again "
        "and again.", "",
        f"{len(everything.ran)} cycles, {len(everything.killed)} kills, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, hawser of commit "
        f"{', '.join(commits)}, seed {', '.join(map(str, seeds))}.", "",
        *([f"Not run: {'; '.join(not_there)}.", ""] if not_there else []),
        *[f"- {what}: {value}" for what, value in about.items()], "",
        *[f"- **{name}**: {what}" for name, what in OPERATIONS.items() if any(key[0] == name for key in groups)], "",
        "Undone, completed and kept are what recover said: the attach was undone, the detach completed, or the volume is "
        "attached still. Nothing: it was attached as a whole already, or not there at all.", "",
        "| operation | kills at records | at instants | undone | completed | kept | nothing | **things left** | **problems** "
        "| neighbour: blocks | slowest ms | **interrupted** | other hawser: calls |",
        "|" + "---|" * 13,
        *[row(f"{name}, {'beside another' if beside else 'alone'}", Figures(groups[name, beside]))
          for name in OPERATIONS for beside in (False, True) if (name, beside) in groups],
        row("all", everything), ""]
    bad = [cycle for cycle in cycles if not cycle["ran"] or not cycle["ok"]]
    for cycle in bad:
        where = f"{cycle['operation']}, {'beside another' if cycle['beside'] else 'alone'}"
        if not cycle["ran"]:
            lines.append(f"- {where}: did not run: {cycle['error']}")
            continue
        said = [*cycle["leftovers"], *cycle["problems"], *([] if cycle["neighbour"]["ok"] else [f"neighbour: {cycle['neighbour']}"])]
        lines.append(f"- {where}, {cycle['what'] or 'killed after ' + cycle['kill'] + ' ms'}: " + "; ".join(" ".join(s.split())[:300] for s in said))
    return "\n".join([*lines, ""] if bad else lines)
