"""What came of a campaign: the page and the picture, from one JSON document a cycle."""
import collections
import statistics

SUBJECTS = {
    "hawser": "as it is: waits up to five seconds for all paths",
    "hawser-min1": "`--min-paths 1 --grace 0`: returns with the first path",
    "os-brick": "its connector in process, as Cinder and Nova use it",
    "os-brick-tuned": "the same, with `initial_login_retry_max` 1 and `login_timeout` 5 in iscsid.conf",
    "shell": "the recipe of many a script: a login for each portal, rescan, `multipath -r`; `multipath -f`, "
             "delete, logout",
}

SCENARIOS = {
    "clean": "nothing wrong",
    "loss10": "10 % of the initiator's input lost, on all four paths",
    "loss20": "20 % lost on all paths",
    "loss30": "30 % lost on all paths",
    "loss40": "40 % lost on all paths",
    "loss20-first-half": "20 % lost on the paths 1 and 2",
    "loss20-second-half": "20 % lost on the paths 3 and 4",
    "loss100-first-half": "the paths 1 and 2 swallow everything",
    "loss100-second-half": "the paths 3 and 4 swallow everything",
    "loss100": "all paths swallow everything: no attach can succeed, and it has to leave nothing",
    "refused": "portal 1 refuses connections",
    "silent": "portal 1 swallows everything",
    "delay": "200 ms of delay with 50 ms of jitter",
    "reorder": "20 ms of delay, a quarter of the packets ahead of the others",
    "flap": "the link of portal 2 is down for two seconds, up for two seconds",
    "target-restart": "the target goes for three seconds when the first session is there",
    "dirty-queue": "all paths lost between attach and detach, with 8 MiB of dirty pages, in a map that queues; "
                   "detach is tried again when they are back",
    "dirty-fail": "the same, in a map with `no_path_retry fail`",
    "unmapped": "the LUN is unmapped on the target between attach and detach",
    "eight": "eight volumes of one target at once",
    "eight-delay": "the same, with 200 ms of delay with 50 ms of jitter",
}

# In these no path can work, so none has to be attached.
HOPELESS = {"loss100"}
# And in these nobody's write is through in the two minutes that it has: TCP does not get there.
NO_IO = HOPELESS | {"loss40"}

# gnuplot's colours, apart for everybody who can see them.
COLOURS = ["#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#888888"]


class Figures:
    """The cycles of one subject in one scenario. One that did not run has not passed anything."""

    def __init__(self, cycles):
        self.cycles = cycles
        self.ran = [cycle for cycle in cycles if cycle["ran"]]
        self.attached = [cycle for cycle in self.ran if cycle["attach"]["ok"]]
        self.mapped = [cycle for cycle in self.attached if cycle["map"]]
        self.working = [cycle for cycle in self.attached if cycle["device_works"]]
        self.detached = [cycle for cycle in self.attached if cycle["detaches"][-1]["ok"]]
        self.clean = [cycle for cycle in self.ran if not cycle["leftovers"]]
        self.lost = [cycle for cycle in self.attached if cycle.get("data_lost")]
        self.lost_in_silence = [cycle for cycle in self.attached if cycle.get("lost_in_silence")]
        self.attaches = [cycle["attach"] for cycle in self.ran]
        self.detaches = [cycle["detaches"][0] for cycle in self.attached]

    def share(self, cycles, of=None):
        of = self.cycles if of is None else of
        return f"{len(cycles)}/{len(of)}"

    def errors(self):
        """What was said, and how often, in the order of first sight."""
        said = collections.Counter()
        for cycle in self.cycles:
            if not cycle["ran"]:
                said["did not run: " + cycle["error"]] += 1
                continue
            if not cycle["attach"]["ok"]:
                said["attach: " + (cycle["attach"]["error"] or "no reason given")] += 1
            for detach in cycle.get("detaches", []):
                if not detach["ok"]:
                    said["detach: " + (detach["error"] or "no reason given")] += 1
            if cycle["leftovers"]:
                kinds = collections.Counter(leftover.split()[0] for leftover in cycle["leftovers"])
                said["left: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))] += 1
        return said


def spread(values, scale=1.0, digits=1):
    """Median, and the least and most where there are more than one."""
    if not values:
        return "-"
    values = [value / scale for value in values]
    text = f"{statistics.median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def counted(values):
    """4x3 1x1: how often which."""
    return " ".join(f"{value}×{n}" for value, n in sorted(collections.Counter(values).items(), reverse=True)) or "-"


def grouped(cycles):
    """(scenario, subject) to its Figures, in the order of the tables above."""
    by_pair = collections.defaultdict(list)
    for cycle in cycles:
        by_pair[cycle["scenario"], cycle["subject"]].append(cycle)
    return {(scenario, subject): Figures(by_pair[scenario, subject])
            for scenario in SCENARIOS for subject in SUBJECTS if (scenario, subject) in by_pair}


def totals(figures):
    lines = ["| subject | cycles | attached where a path can work | a map of these | device works | detached of the attached "
             "| cycles that left something | lost data, unsaid |", "|---|---|---|---|---|---|---|---|"]
    for subject in SUBJECTS:
        mine = {scenario: f for (scenario, who), f in figures.items() if who == subject}
        if not mine:
            continue
        everything = Figures([cycle for f in mine.values() for cycle in f.cycles])
        possible = Figures([cycle for name, f in mine.items() if name not in HOPELESS for cycle in f.cycles])
        lines.append(
            f"| {subject} | {len(everything.cycles)} | {possible.share(possible.attached)} "
            f"| {everything.share(everything.mapped, everything.attached)} "
            f"| {everything.share(everything.working, everything.attached)} "
            f"| {everything.share(everything.detached, everything.attached)} "
            f"| {len(everything.ran) - len(everything.clean)} | {len(everything.lost_in_silence)} |")
    return lines


def shortfalls(figures):
    """Where hawser did not do what it promises, in the words of the page's columns."""
    lines = []
    for (scenario, subject), f in figures.items():
        if not subject.startswith("hawser"):
            continue
        hopeful = scenario not in HOPELESS
        for what, is_short in (
                ("not run", len(f.ran) < len(f.cycles)),
                ("not attached", hopeful and len(f.attached) < len(f.ran)),
                ("attached, but with no path that can work", not hopeful and f.attached),
                ("without a map", len(f.mapped) < len(f.attached)),
                ("a device that does not work", scenario not in NO_IO and len(f.working) < len(f.attached)),
                ("not detached", len(f.detached) < len(f.attached)),
                ("something left", len(f.clean) < len(f.ran)),
                ("an entry left in wwids", any(c["wwids_left"] for c in f.ran)),
                ("not back in time", any(not call["in_time"] for c in f.ran for call in (c["attach"], *c.get("detaches", [])))),
                ("data lost, unsaid", f.lost_in_silence)):
            if is_short:
                lines.append(f"{scenario} {subject}: {what}")
    return lines


def attach_seconds(figures, scenario, subject):
    """The median attach, of those that succeeded."""
    f = figures.get((scenario, subject))
    return statistics.median(c["attach"]["ms"] for c in f.attached) / 1000 if f and f.attached else None


def own_cpu_seconds(figures, scenario, subject):
    """What the subject itself took for an attach, in the median of those that succeeded."""
    f = figures.get((scenario, subject))
    own = [c["attach"]["own_ms"] for c in f.attached if "own_ms" in c["attach"]] if f else []
    return statistics.median(own) / 1000 if own else None


def share_of_cpu(figures, scenario, subject):
    own = own_cpu_seconds(figures, scenario, subject)
    if own is None:
        return "-"
    return f"{100 * own / (statistics.median(c['attach']['cpu_ms'] for c in figures[scenario, subject].attached) / 1000):.0f}"


def ratios(figures):
    """What the campaign is to show of times: each only against another of the same run."""
    subjects = [s for s in SUBJECTS if any(who == s for _, who in figures)]
    lines = ["| time to attach | " + " | ".join(subjects) + " |", "|---" * (len(subjects) + 1) + "|"]
    for title, scenario, against in (
            ("half of the portals dead (1, 2), against hawser-min1", "loss100-first-half", "hawser-min1"),
            ("half of the portals dead (3, 4), against hawser-min1", "loss100-second-half", "hawser-min1"),
            ("half of the portals dead (1, 2), against hawser", "loss100-first-half", "hawser"),
            ("half of the portals dead (3, 4), against hawser", "loss100-second-half", "hawser")):
        base = attach_seconds(figures, scenario, against)
        lines.append(f"| {title} | " + " | ".join(
            ratio(attach_seconds(figures, scenario, subject), base) for subject in subjects) + " |")
    for title, seconds, scenario, one in (
            ("eight volumes at once, against one of its own", attach_seconds, "eight", "clean"),
            ("the same, in CPU of the subject itself", own_cpu_seconds, "eight", "clean"),
            ("eight at once where the network is what is slow, against one of its own there", attach_seconds,
             "eight-delay", "delay")):
        lines.append(f"| {title} | " + " | ".join(
            ratio(seconds(figures, scenario, subject), seconds(figures, one, subject)) for subject in subjects) + " |")
    lines.append("| its share of the CPU that eight cost the guest, % | " + " | ".join(
        share_of_cpu(figures, "eight", subject) for subject in subjects) + " |")
    return lines


def ratio(value, base):
    return f"{value / base:.1f}" if value and base else "-"


def own_seconds(calls):
    """Of the subject and what it started. Older cycles do not have it."""
    return spread([call["own_ms"] for call in calls if "own_ms" in call], 1000)


def row(subject, f):
    loss = "-"
    if any("data_lost" in cycle for cycle in f.attached):
        loss = f"{len(f.lost)}, unsaid {len(f.lost_in_silence)}"
    return (
        f"| {subject} | {len(f.cycles)} | {f.share(f.attached)} | {spread([a['ms'] for a in f.attaches], 1000)} "
        f"| {f.share(f.mapped, f.attached)} | {counted(c['attach']['paths'] for c in f.attached)} "
        f"| {counted(c['paths_later'] for c in f.attached)} | {f.share(f.working, f.attached)} "
        f"| {f.share(f.detached, f.attached)} | {spread([d['ms'] for d in f.detaches], 1000)} "
        f"| {len(f.ran) - len(f.clean)} | {sum(len(c['leftovers']) for c in f.ran)} | {loss} "
        f"| {spread([a['processes'] for a in f.attaches], 1, 0)} | {spread([d['processes'] for d in f.detaches], 1, 0)} "
        f"| {spread([a['cpu_ms'] for a in f.attaches], 1000)} | {spread([d['cpu_ms'] for d in f.detaches], 1000)} "
        f"| {own_seconds(f.attaches)} | {own_seconds(f.detaches)} |")


def page(cycles, machine, picture):
    figures = grouped(cycles)
    dates = sorted({cycle["date"] for cycle in cycles})
    commits = sorted({cycle["commit"] for cycle in cycles})
    bounds = sorted({cycle["bound_s"] for cycle in cycles})
    subjects = [s for s in SUBJECTS if any(who == s for _, who in figures)]
    lines = [
        "# Campaign", "",
        "Written by `tests/campaign`; do not edit. Each cycle: attach over four portals, write and read back, detach, "
        "count what is left ten seconds later. udevd, iscsid and multipathd run for everybody.", "",
        f"![success, leftovers, maps and times]({picture})", "",
        f"{len(cycles)} cycles, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}, hawser of commit {', '.join(commits)}. "
        f"A call that was not back after {' or '.join(map(str, bounds))} s was given up.", "",
        *[f"- {what}: {value}" for what, value in machine.items()], "",
        "Starting a process costs some fifty times more in this guest than on a host, so clean times flatter whoever starts "
        "few: compare success, waits, processes and leftovers. Where the seconds are those of the CPU, it is the guest's one "
        "processor that was measured, which most of the time runs what udev starts for each new disk. Seconds are from the "
        "request to the answer; for hawser the start of its command is in them, for os-brick the start of Python is not. "
        "Processes (threads among them) and CPU are the whole guest's during the call, udev's included; its own is what the "
        "subject used of that, with the programs that it started. Leftovers are sessions, disks, maps, links, node records "
        "and logs.", "",
        *[f"- **{subject}**: {SUBJECTS[subject]}" for subject in subjects], "",
        "## All", "", *totals(figures), "", "## Ratios", "", *ratios(figures), "",
    ]
    for scenario, what in SCENARIOS.items():
        mine = [(subject, f) for (name, subject), f in figures.items() if name == scenario]
        if not mine:
            continue
        lines += [
            f"## {scenario}", "", f"{what[0].upper()}{what[1:]}.", "",
            "| subject | cycles | attached | attach s | map | paths at return | 5 s later | device works | detached | detach s "
            "| cycles with leftovers | things left | data lost | processes attach | detach | CPU s attach | detach | its own attach | detach |",
            "|" + "---|" * 19, *[row(subject, f) for subject, f in mine], ""]
        said = [f"- {subject}, {n} ×: {' '.join(text.split())[:300]}" for subject, f in mine for text, n in f.errors().items()]
        wwids = [f"- {subject}: {sum(c['wwids_left'] > 0 for c in f.ran)} of {len(f.ran)} cycles left an entry in "
                 "/etc/multipath/wwids" for subject, f in mine if any(c["wwids_left"] for c in f.ran)]
        lines += [*said, *wwids, ""] if said or wwids else []
    return "\n".join(lines)


def plot(cycles, svg):
    """What gnuplot is to be given."""
    figures = grouped(cycles)
    scenarios = [s for s in SCENARIOS if any(name == s for name, _ in figures)]
    subjects = [s for s in SUBJECTS if any(who == s for _, who in figures)]

    def percent(part, whole):
        return 100.0 * len(part) / len(whole) if whole else None

    def seconds(calls):
        return statistics.median(call["ms"] for call in calls) / 1000 if calls else None

    panels = [
        ("attached, % of all cycles", False, lambda f: percent(f.attached, f.cycles)),
        ("a map was used, % of the attached", False, lambda f: percent(f.mapped, f.attached)),
        ("left something, % of the cycles", False, lambda f: percent([c for c in f.ran if c["leftovers"]], f.ran)),
        ("attach, median s", True, lambda f: seconds(f.attaches)),
        ("detach, median s", True, lambda f: seconds(f.detaches)),
    ]
    lines = [
        "set terminal svg size 1200,1500 font 'sans,12' background 'white'", f"set output '{svg}'",
        "set multiplot layout 5,1", "set style data histogram", "set style histogram clustered gap 1",
        "set style fill solid noborder", "set boxwidth 0.9", "set xtics rotate by -30 scale 0", "set grid y",
        "set key outside right top"]
    for number, (title, is_time, value) in enumerate(panels):
        lines.append(f"$panel{number} << EOD")
        cells = {scenario: [value(figures[scenario, s]) if (scenario, s) in figures else None for s in subjects]
                 for scenario in scenarios}
        for scenario, values in cells.items():
            lines.append(" ".join([scenario, *("?" if cell is None else f"{cell:.3f}" for cell in values)]))
        lines += ["EOD", "set datafile missing '?'", f"set title '{title}'"]
        lines += ["set logscale y", "set yrange [0.1:*]"] if is_time else ["unset logscale y", "set yrange [0:105]"]
        if all(cell is None for values in cells.values() for cell in values):
            lines.append("plot [-1:1] [0.1:1] NaN title 'none'")  # Without a point gnuplot fails.
            continue
        lines.append("plot " + ", ".join(
            f"$panel{number} using {column + 2}:xtic(1) title '{s}' linecolor rgb '{COLOURS[list(SUBJECTS).index(s)]}'"
            for column, s in enumerate(subjects)))
    return "\n".join([*lines, "unset multiplot", ""])
