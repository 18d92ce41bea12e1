"""What came of the soak: the page, from one JSON document a round."""
import collections


def counts(calls):
    """calls: for each call how often it ended how. Gives how many were done, and what became of the others."""
    ends = collections.Counter()
    for by_end in calls.values():
        ends.update(by_end)
    failed = ", ".join(f"{number} {end}" for end, number in sorted(ends.items()) if end != "done")
    return ends["done"], failed or "-"


def total(rounds):
    calls = collections.defaultdict(collections.Counter)
    for one in rounds:
        for call, by_end in one["calls"].items():
            calls[call].update(by_end)
    return calls


def page(rounds, seconds, verdict, about):
    lines = [
        "# Soak", "",
        "Written by `tests/soak`; do not edit. One process attaches, writes to, reads, joins, grows and detaches 32 volumes of "
        "four targets at random over four portals, on two threads, and recovers in between; some calls get a deadline that "
        "is far too short or are cancelled. All the while something fails: portals are down, one, two or all, lose packets, "
        "refuse or are slow, iscsid says nothing, multipathd is restarted, a LUN is unmapped. After each round all is in "
        "order again, every volume is detached, and the host is held against the state before: sessions, disks, maps, "
        "links, node records, entries of wwids, logs. Memory, file descriptors and threads are those of the process then.", "",
        "What fails under a fault may fail; the columns in bold must be 0. A problem is an error that no fault explains, a "
        "block that is not what was written to it, or a volume that cannot be read or detached when all is in order.", "",
        f"{len(rounds)} rounds of {seconds} s of work: {verdict}.", "",
        *[f"- {what}: {value}" for what, value in about.items()], "",
        "| round | calls done | failed under a fault | blocks written | read back | latest return after its deadline or cancellation, ms "
        "| heap, KiB | resident, KiB | descriptors | threads | **left** | **problems** |",
        "|" + "---|" * 12]
    for one in rounds:
        done, failed = counts(one["calls"])
        held = one["figures"]
        lines.append(f"| {one['round']} | {done} | {failed} | {one['blocks_written']} | {one['blocks_checked']} | {one['late_ms']} "
                     f"| {held['heap_kib']} | {held['rss_kib']} | {held['fds']} | {held['threads']} "
                     f"| {len(one['leftovers'])} | {len(one['problems'])} |")
    lines += ["", "| call | done | failed |", "|---|---|---|"]
    for call, by_end in sorted(total(rounds).items()):
        done, failed = counts({call: by_end})
        lines.append(f"| {call} | {done} | {failed} |")
    lines += ["", "| fault | times |", "|---|---|"]
    faults = collections.Counter()
    for one in rounds:
        faults.update(one["faults"])
    lines += [f"| {fault} | {times} |" for fault, times in sorted(faults.items())]
    wrong = [f"- round {one['round']}: " + " ".join(what.split())[:300] for one in rounds for what in one["leftovers"] + one["problems"]]
    return "\n".join([*lines, *([""] + wrong if wrong else []), ""])
