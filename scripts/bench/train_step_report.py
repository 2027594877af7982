"""Reads alternating rounds of train-step.sh and prints one Markdown row: medians, spread, ratio, and the
ratio of the fastest steps, which other users of the machine disturb least, and peak memory in GiB.

usage: train_step_report.py LABEL ROUNDS_FILE     lines "cpp {json}" and "python {json}", in turn
"""
import json
import statistics
import sys

label, path = sys.argv[1:]
rounds = {"cpp": [], "python": []}
with open(path) as lines:
    for line in lines:
        side, text = line.split(" ", 1)
        rounds[side].append(json.loads(text))
for mine, theirs in zip(rounds["cpp"], rounds["python"]):
    # bf16 rounds at other places, and five steps amplify it; fp32 agrees far better than this.
    tolerance = 0.05 if "bf16" in label else 0.02
    if any(abs(a - b) > tolerance * abs(b) + 1e-3 for a, b in zip(mine["losses"], theirs["losses"])):
        sys.exit(f"{label}: the two sides do not compute the same: {mine['losses']} against {theirs['losses']}")
medians = {side: [statistics.median(r["seconds"]) * 1e3 for r in rs] for side, rs in rounds.items()}
ratios = [c / p for c, p in zip(medians["cpp"], medians["python"])]
fastest = [min(s for r in rounds[side] for s in r["seconds"]) for side in ("cpp", "python")]
peaks = {side: statistics.median(r["peak_bytes"] for r in rs) / 2**30 for side, rs in rounds.items()}
show = lambda values: f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"
print(f"| {label} | {show(medians['cpp'])} | {show(medians['python'])} | {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f}) "
      f"| {fastest[0] / fastest[1]:.3f} | {peaks['cpp']:.2f} / {peaks['python']:.2f} |")
