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
    # bf16 sums in another order on each side, and five steps on one batch amplify it while the loss falls to a tenth: there the
    # first loss is the scale. fp32, compared on the same network, agrees far better than 2 % of each loss.
    scales = [theirs["losses"][0]] * len(theirs["losses"]) if "bf16" in label else theirs["losses"]
    if any(abs(a - b) > 0.02 * scale + 1e-3 for a, b, scale in zip(mine["losses"], theirs["losses"], scales)):
        sys.exit(f"{label}: the two sides do not compute the same: {mine['losses']} against {theirs['losses']}")
medians = {side: [statistics.median(r["seconds"]) * 1e3 for r in rs] for side, rs in rounds.items()}
ratios = [c / p for c, p in zip(medians["cpp"], medians["python"])]
fastest = [min(s for r in rounds[side] for s in r["seconds"]) for side in ("cpp", "python")]
peaks = {side: statistics.median(r["peak_bytes"] for r in rs) / 2**30 for side, rs in rounds.items()}
show = lambda values: f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"
print(f"| {label} | {show(medians['cpp'])} | {show(medians['python'])} | {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f}) "
      f"| {fastest[0] / fastest[1]:.3f} | {peaks['cpp']:.2f} / {peaks['python']:.2f} |")
