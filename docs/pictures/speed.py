"""Prints the tables of docs/results/speed.md from docs/results/speed: python docs/pictures/speed.py"""

import json
import pathlib

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "speed"
PROCESSORS = "intel", "amd"
PARTS = ("forward", "both")


def row(cells):
    print("|", " | ".join(cells), "|")


def operator(name):
    """A line a shape: threads, then of each processor ours in CPU ms and torchvision's time over it; memory."""
    results = [json.loads((RESULTS / processor / f"{name}.json").read_text()) for processor in PROCESSORS]
    for place, workload in enumerate(results[0]["timed"][0]["workloads"]):
        peak = (f"{max(result['peak_mib']['ours'][place][part] for result in results):.0f}" for part in PARTS)
        peak = " / ".join(peak)
        for number, timed in enumerate(results[0]["timed"]):
            cells = [described(workload) if number == 0 else "", str(timed["threads"])]
            for result in results:
                contenders = result["timed"][number]["workloads"][place]["contenders"]
                cells += [pair(contenders["ours"], "cpu_ms"), pair(contenders["torchvision"], "over_ours_cpu"),
                          pair(contenders["torchvision"], "over_ours_wall")]
            row([*cells, peak if number == 0 else ""])


def described(workload):
    boxes = f", boxes of {workload['box_cells']} x {workload['box_cells']} cells" if workload["box_cells"] else ""
    return f"{workload['features']} x {workload['rois']} @{workload['pooled_size']}{boxes}"


def pair(contender, value):
    return " / ".join(f"{contender[part][value]:.1f}" for part in PARTS)


def networks():
    """A line a task: threads, then of each processor ours in ms, and torch's time over it."""
    results = [json.loads((RESULTS / processor / "peer.json").read_text())["timed"] for processor in PROCESSORS]
    for of_processors in zip(*results):
        for tasks in zip(*(timed["rows"] for timed in of_processors)):
            cells = [f"{of_processors[0]['network']}, {tasks[0]['task']}, {tasks[0]['glimpses']}",
                     str(of_processors[0]["threads"])]
            for task in tasks:
                cells += [f"{task['ours']['cpu_ms']:.1f}", f"{task['ours']['wall_ms']:.1f}",
                          f"{task['torch']['over_ours_cpu']:.2f}", f"{task['torch']['over_ours_wall']:.2f}"]
            row(cells)


def main():
    operator("roi_align")
    operator("roi_pooling")
    networks()


if __name__ == "__main__":
    main()
