"""Prints the tables of docs/results/speed.md from docs/results/speed: python docs/pictures/speed.py"""

import json
import pathlib

RESULTS = pathlib.Path(__file__).parents[1] / "results" / "speed"
PROCESSORS = "intel", "amd_zen4", "amd_zen3"  # the last has been measured at all shapes
PARTS = "forward", "both"


def row(cells):
    print("|", " | ".join(cells), "|")


def operator(name):
    """A line a shape and number of threads: of each processor ours in CPU ms and torchvision's time over it; memory."""
    results = [by_workload(json.loads((RESULTS / processor / f"{name}.json").read_text())) for processor in PROCESSORS]
    for what in results[-1]:
        measured = [result.get(what) for result in results]
        peaks = [peak for peak, _ in filter(None, measured)]
        peak = " / ".join(f"{max(peak[part] for peak in peaks):.0f}" for part in PARTS)
        for number, threads in enumerate(measured[-1][1]):
            cells = [what if number == 0 else "", str(threads)]
            for of_processor in measured:
                if of_processor is None:
                    cells += ["", "", ""]
                    continue
                contenders = of_processor[1][threads]
                cells += [pair(contenders["ours"], "cpu_ms"), pair(contenders["torchvision"], "over_ours_cpu"),
                          pair(contenders["torchvision"], "over_ours_wall")]
            row([*cells, peak if number == 0 else ""])


def by_workload(result):
    """{what is pooled: (its peak memory, {threads: contenders})}."""
    found = {}
    for timed in result["timed"]:
        for place, workload in enumerate(timed["workloads"]):
            _, of_threads = found.setdefault(described(workload), (result["peak_mib"]["ours"][place], {}))
            of_threads[timed["threads"]] = workload["contenders"]
    return found


def described(workload):
    boxes = workload["boxes"]
    boxes = "" if boxes is None else f" {boxes}" if isinstance(boxes, str) else f" of {boxes} x {boxes} cells"
    return f"{workload['features']} x {workload['rois']}{boxes} @{workload['pooled_size']}"


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
