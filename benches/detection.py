#!/usr/bin/env python3
"""The labelled scenarios of ../shared/detection through `apitap analyze`, as tables.

usage: benches/detection.py [--seeds "1 2 3 4 5"] [--scale 3] [--strengths "1 .25"] [--quiet "1 2"]
Each seed at each strength is made, analysed and scored; recall is printed for each type of attack and for each
seed, then the false incidents, the time to detect, recall by chance and the peak of memory. Last, scenarios
without attacks under four budgets: what one asks for beside what one gets (incidents as the scorer counts them).
"""
import argparse
import collections
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "shared" / "detection"
APITAP = HERE.parent / "target" / "release" / "apitap"
BUDGETS = [0.5, 2, 10, 50]
QUIET = 6 * 3600
KINDS = "enumeration scan scraping credential volume exfiltration authorization source tampering".split()


def scenario(work, seed, scale, *more):
    prefix = work / "s"
    subprocess.run([sys.executable, FOLDER / "scenario.py", "--seed", str(seed), "--scale", str(scale),
                    "--out", prefix, *more], check=True, stdout=subprocess.DEVNULL)
    return prefix


def analyse(prefix, alerts, *more):
    """Alerts to a file; gives back the peak of memory so far in MiB, over all runs."""
    with open(alerts, "wb") as out:
        zcat = subprocess.Popen(["zcat", f"{prefix}.exchanges.jsonl.gz"], stdout=subprocess.PIPE)
        subprocess.run([APITAP, "analyze", "-", "--format", "alerts", *more], stdin=zcat.stdout, stdout=out, check=True)
        zcat.wait()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def score(prefix, alerts):
    done = subprocess.run([sys.executable, FOLDER / "score.py", prefix, alerts], check=True, capture_output=True)
    return json.loads(done.stdout)


def incidents(alerts):
    """As the scorer counts them: alerts of one kind and subject less than six hours apart are one. Findings of
    the catalogue and what is true of a server (availability) are no false alarms."""
    last, count = {}, 0
    for line in open(alerts):
        a = json.loads(line)
        if a["severity"] == "info" or a["kind"] not in KINDS:
            continue
        who = a.get("principal") or {}
        key = (a["kind"], who.get("identity") or who.get("client") or a.get("endpoint"))
        count += a["ts"] - last.get(key, -QUIET) >= QUIET
        last[key] = a["ts"]
    return count


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else float("nan")


def attacks(work, args):
    types = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0, []]))
    rows = []
    for strength in args.strengths.split():
        for seed in args.seeds.split():
            prefix = scenario(work, seed, args.scale, "--strength", strength)
            peak = analyse(prefix, work / "alerts")
            s = score(prefix, work / "alerts")
            rows.append((strength, seed, s, peak))
            for name, t in s["types"].items():
                cell = types[name][strength]
                cell[0] += t["typed"]
                cell[1] += t["n"]
                cell[2] += t["ttd_s"]
    strengths = args.strengths.split()
    print("recall of the right family and median seconds to detect, by type of attack")
    print(f"{'type':24}" + "".join(f"{'strength ' + s:>24}" for s in strengths))
    for name, by in sorted(types.items()):
        cells = []
        for s in strengths:
            typed, n, times = by[s]
            times.sort()
            after = f"{times[len(times) // 2]} s" if times else "-"
            cells.append(f"{f'{typed} of {n}, {after}':>24}")
        print(f"{name:24}" + "".join(cells))
    print("\nstrength seed recall plain/day all/day median s chance info/day peak MiB")
    for strength, seed, s, peak in rows:
        print(line(strength, seed, s, peak))
    for strength in strengths:
        of = [s for st, _, s, _ in rows if st == strength]
        print(line(strength, "mean", {k: mean(s[k] or 0 for s in of) for k in KEYS}, max(r[3] for r in rows)))


KEYS = ["recall_typed", "false_plain_per_day", "false_incidents_per_day", "median_ttd_s", "chance", "info_per_day"]


def line(strength, seed, s, peak):
    recall, plain, false, after, chance, info = (s[k] or 0 for k in KEYS)
    return f"{strength:>8} {seed:>4} {recall:>6.3f} {plain:>9.2f} {false:>7.2f} {after:>8.0f} {chance:>6.3f} {info:>8.2f} {peak:>8}"


def budgets(work, args):
    print("\nwithout attacks: incidents a week after the first day, asked for and had (all, and those of no look-alike)")
    for seed in args.quiet.split():
        prefix = scenario(work, seed, args.scale, "--no-attacks")
        weeks = (json.load(open(f"{prefix}.truth.json"))["days"] - 1) / 7
        for budget in BUDGETS:
            config = work / "config.toml"
            config.write_text(f"[detect]\nfalse_alarms_per_week = {budget}\n")
            analyse(prefix, work / "alerts", "--config", config)
            plain = score(prefix, work / "alerts")["false_plain_per_day"] * (weeks * 7 + 1) / weeks
            print(f"seed {seed}: asked {budget:>4}, had {incidents(work / 'alerts') / weeks:.1f} ({plain:.1f})")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    env = os.environ.get
    p.add_argument("--seeds", default=env("SEEDS", "1 2 3 4 5"))
    p.add_argument("--scale", default=env("SCALE", "3"))
    p.add_argument("--strengths", default=env("STRENGTHS", "1 .25"))
    p.add_argument("--quiet", default=env("QUIET", "1 2"))
    args = p.parse_args()
    if not FOLDER.is_dir():
        print(f"SKIPPED: {FOLDER} is absent")
        return
    with tempfile.TemporaryDirectory() as work:
        attacks(pathlib.Path(work), args)
        budgets(pathlib.Path(work), args)


main()
