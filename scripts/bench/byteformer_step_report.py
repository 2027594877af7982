"""Reads alternating rounds of byteformer-step.sh and prints a Markdown row for each opponent.

usage: byteformer_step_report.py LABEL ROUNDS_FILE     lines "cpp {json}", "published {json}" and "rewritten {json}"
"""
import json
import statistics
import sys

label, path = sys.argv[1:]
rounds = {"cpp": [], "published": [], "rewritten": []}
with open(path) as lines:
    for line in lines:
        side, text = line.split(" ", 1)
        rounds[side].append(json.loads(text))
show = lambda values: f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})"
milliseconds = {side: [statistics.median(r["seconds"]) * 1e3 for r in rs] for side, rs in rounds.items()}
fastest = {side: min(s for r in rs for s in r["seconds"]) for side, rs in rounds.items()}
peak = {side: statistics.median(r["peak_bytes"] for r in rs) / 2**30 for side, rs in rounds.items()}
for side in ("published", "rewritten"):
    for mine, theirs in zip(rounds["cpp"], rounds[side]):
        # bf16 rounds at other places; fp32 agrees far better than this.
        tolerance = 0.03 if "bf16" in label else 1e-3
        if any(abs(a - b) > tolerance * abs(b) for a, b in zip(mine["losses"], theirs["losses"])):
            sys.exit(f"{label}: the two sides do not compute the same: {mine['losses']} against {theirs['losses']} ({side})")
    ratios = [t / m for m, t in zip(milliseconds["cpp"], milliseconds[side])]
    print(f"| {label} | {show(milliseconds['cpp'])} | {side} | {show(milliseconds[side])} | {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) "
          f"| {fastest[side] / fastest['cpp']:.2f} | {peak['cpp']:.2f} / {peak[side]:.2f} |")
