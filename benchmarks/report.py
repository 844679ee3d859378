"""From the benchmarks' raw figures to what people read: a JSON file, a chart, and the README's table.

    pytest benchmarks/bench_*.py --benchmark-json=FILE
    python benchmarks/report.py FILE

Writes ``benchmarks/results/cpu.json`` and ``cpu.svg``, and the text between the README's markers, which also shows
what ``make gpu`` has left in ``benchmarks/results/gpu-*.json``. Figures of a scaled-down run are only printed,
unless ``--results`` names a folder to put them in.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any

import joblib
from matplotlib import rcParams
from matplotlib.figure import Figure

import fastml
from fastml.kernels.cpu import _runtime

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
MARKERS = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba")

Record = dict[str, Any]


def summarise(runs: Sequence[Record]) -> Record:
    """What the runs' ``extra_info`` comes down to, by kind."""
    by_kind: dict[str, list[Record]] = {}
    for run in runs:
        by_kind.setdefault(run["kind"], []).append(run)
    return {
        "fits": [timed for run in by_kind.get("fit", []) for timed in summarise_fit(run)],
        "custom_losses": [summarise_custom_loss(run) for run in by_kind.get("custom loss", [])],
        "custom_kernels": [summarise_custom_kernel(run) for run in by_kind.get("custom kernel", [])],
        "accuracy": [summarise_accuracy(run) for run in by_kind.get("accuracy", [])],
        "seeds": [without(run, "kind", "scale") for run in by_kind.get("seeds", [])],
        "memory": [without(run, "kind", "scale") for run in by_kind.get("memory", [])],
        "kernels": [without(run, "kind", "scale") for run in by_kind.get("kernel", [])],
        "passes": [without(run, "kind", "scale") for run in by_kind.get("pass", [])],
        "probability": [without(run, "kind", "scale") for run in by_kind.get("probability", [])],
        "svm_memory": [without(run, "kind", "scale") for run in by_kind.get("svm memory", [])],
    }


PREDICTIONS = "predict_ours_s", "predict_theirs_s"


def summarise_fit(run: Record) -> Iterable[Record]:
    """The fit, and the prediction after it where that was timed."""
    fit = {"peer": "scikit-learn", **without(run, "kind", "scale", *PREDICTIONS)}
    yield {**fit, **compared(run["ours_s"], run["theirs_s"], run["statistic"])}
    if PREDICTIONS[0] in run:
        ours, theirs = (run[name] for name in PREDICTIONS)
        named = {"workload": f"{fit['workload']} predict", "title": f"{fit['title']}; predict"}
        yield {**fit, **named, "ours_s": ours, "theirs_s": theirs, **compared(ours, theirs, run["statistic"])}


def compared(ours: Sequence[float], theirs: Sequence[float], statistic: str) -> Record:
    """The best round of each side; or the medians, and the median of the rounds' ratios."""
    if statistic == "median":
        ratio = median(their / our for our, their in zip(ours, theirs))
        figures = {"seconds": median(ours), "peer_seconds": median(theirs), "ratio": ratio}
    else:
        figures = {"seconds": min(ours), "peer_seconds": min(theirs), "ratio": min(theirs) / min(ours)}
    return {"rounds": len(ours), **figures}


def summarise_custom_loss(run: Record) -> Record:
    custom, built_in = min(run["ours_s"]), min(run["theirs_s"])
    return {
        "workload": run["workload"],
        "loss": run["loss"],
        "seconds": custom,
        "built_in_seconds": built_in,
        "ratio_to_built_in": custom / built_in,
    }


def summarise_custom_kernel(run: Record) -> Record:
    """Beside the built-in kernel, the median of the rounds' ratios; the peer has one fit, of seconds."""
    return {
        **without(run, "kind", "scale", "ours_s", "built_in_s", "peer_s"),
        "rounds": len(run["ours_s"]),
        "seconds": median(run["ours_s"]),
        "built_in_seconds": median(run["built_in_s"]),
        "peer_seconds": run["peer_s"],
        "ratio_to_built_in": median(ours / theirs for ours, theirs in zip(run["ours_s"], run["built_in_s"])),
        "ratio": run["peer_s"] / median(run["ours_s"]),
    }


def summarise_accuracy(run: Record) -> Record:
    ours, theirs = fmean(run["ours"]), fmean(run["theirs"])
    return {
        **without(run, "kind", "scale"),
        "mean": ours,
        "peer_mean": theirs,
        "points_below_peer": 100 * (theirs - ours),
    }


def without(figures: Record, *names: str) -> Record:
    return {name: value for name, value in figures.items() if name not in names}


def machine() -> Record:
    """Where the figures come from."""
    return {
        "processor": processor_name(),
        "instruction_set": f"{platform.machine()} {_runtime.level_name()}",
        "cores": joblib.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "fastml": fastml.__version__,
        **{package: importlib.metadata.version(package) for package in PACKAGES},
    }


def processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def render_cpu(results: Record) -> str:
    """The CPU part of the README, in Markdown."""
    where, fits = results["machine"], results["fits"]
    parts = [
        f"Seconds of a whole `fit` (or `predict`) beside scikit-learn {where['scikit-learn']}, scikit-learn-intelex, "
        "TensorFlow or PyTorch, the two taking turns in one run with two threads each, a peer with `n_jobs=2` where "
        f"that helps. Measured on {results['date'][:10]} on {where['cores']} cores of an {where['processor']} "
        f"({where['instruction_set']}), {where['memory_gib']:.0f} GiB, Python {where['python']}, "
        f"NumPy {where['numpy']}.",
        markdown_table(
            ("workload", "", "peer", "peer's time", "fastml", "ratio", "rounds"),
            [
                (
                    f"`{fit['workload']}`",
                    fit["title"],
                    fit["peer"],
                    seconds(fit["peer_seconds"]),
                    seconds(fit["seconds"]),
                    f"**{times(fit['ratio'])}**",
                    f"{fit['statistic']} of {fit['rounds']}",
                )
                for fit in fits
            ],
            numeric_from=3,
        ),
        "![How many times sooner each fit ends](benchmarks/results/cpu.svg)",
        "\n".join(f"- {line}" for line in remarks(results)),
    ]
    return "\n\n".join(part for part in parts if part)


def remarks(results: Record) -> Iterable[str]:
    for accuracy in results["accuracy"]:
        yield (
            f"Mean test accuracy on `{accuracy['workload']}` over {len(accuracy['ours'])} seeds: "
            f"{accuracy['mean']:.2%}, scikit-learn {accuracy['peer_mean']:.2%}."
        )
    yield from network_remarks(results)
    yield from pass_remarks(results["passes"])
    if results["memory"]:
        rises = "; ".join(
            f"`{memory['workload']}` {memory['ours_mb']:.1f} MB ({memory.get('peer', 'scikit-learn')} "
            f"{memory['theirs_mb']:.1f} MB)"
            for memory in results["memory"]
        )
        yield f"Rise of peak resident memory during `fit`, in a fresh process: {rises}."
    if results["custom_losses"]:
        ratios = ", ".join(
            f"{loss['loss']} {loss['ratio_to_built_in']:.2f}×" for loss in results["custom_losses"]
        )
        yield f"A `fastml.Loss` takes, beside the built-in loss of its formula, on `sgd-dense`: {ratios}."
    yield from custom_kernel_remarks(results["custom_kernels"])
    for priced in results["probability"]:
        yield (
            f"`SVC(probability=True)` on `{priced['workload']}`: "
            f"{priced['seconds'] / priced['plain_seconds']:.2f}× the time of a plain fit."
        )
    if results["svm_memory"]:
        rises = "; ".join(
            f"`{memory['workload']}` {memory['ours_mb']:.0f} MB" for memory in results["svm_memory"]
        )
        yield f"Rise of peak resident memory during a kernel machine's `fit`, with its default cache: {rises}."


def network_remarks(results: Record) -> Iterable[str]:
    for seeds in results.get("seeds", []):
        of_each = {"fastml": seeds["scores"], **seeds.get("peer_scores", {})}
        ranges = "; ".join(
            f"{name} {min(scores):.2%} to {max(scores):.2%}, mean {sum(scores) / len(scores):.2%}"
            for name, scores in of_each.items()
        )
        yield f"Test accuracy on `{seeds['workload']}` over {len(seeds['scores'])} seeds: {ranges}."
    rates = {
        fit["workload"]: f"`{fit['workload']}` {fit['gflops']:.0f} of {fit['peak_gflops']:.0f}"
        for fit in results["fits"]
        if "gflops" in fit and not fit["workload"].endswith(" predict")
    }
    if rates:
        yield (
            "GFLOP/s of whole fits of networks (counting what gradients through max pooling need not compute, too), "
            "beside multiply-adds in registers on as many threads: "
            f"{'; '.join(rates.values())}."
        )


def pass_remarks(passes: Sequence[Record]) -> Iterable[str]:
    def listed(figure: str, form: str) -> str:
        return "; ".join(form.format(**run) for run in passes if figure in run)

    if not passes:
        return
    yield (
        "A pass of linear models over 1,000,000 × 100, loss and gradient, of the rate at which as many threads read: "
        f"{listed('gb_per_s', '{title} {share_of_bandwidth:.0%}')}. GFLOP/s of one over MNIST, beside multiply-adds in "
        f"registers: {listed('gflops', '{title} {gflops:.0f} of {gflops_at_peak:.0f}')}. Nanoseconds per non-zero of "
        f"CSR 500,000 × 100,000: {listed('ns_per_nonzero', '{title} {ns_per_nonzero:.2f}')}."
    )


def custom_kernel_remarks(kernels: Sequence[Record]) -> Iterable[str]:
    if not kernels:
        return
    workload = f"`{kernels[0]['workload']}`"
    to_built_in = ", ".join(f"{kernel['function']} {kernel['ratio_to_built_in']:.2f}×" for kernel in kernels)
    to_peer = ", ".join(f"{kernel['function']} {times(kernel['ratio'])}" for kernel in kernels)
    longest = max(kernel["first_s"] for kernel in kernels)
    yield (
        f"A fit with a `fastml.Kernel` takes, beside the built-in kernel of its formula, on {workload} (median of "
        f"{kernels[0]['rounds']}): {to_built_in}. The first one, which compiles, takes up to {longest:.1f} s."
    )
    yield (
        f"The same fit ends sooner than scikit-learn's `SVC` fed by `pairwise_kernels` of the same function: {to_peer}."
    )


def render_gpu(results: Record) -> str:
    """What `make gpu` measured on one card, in Markdown."""
    rows = results["benchmarks"]
    contenders = list(
        dict.fromkeys(name for row in rows for name in row if name not in ("benchmark", "unit"))
    )
    table = markdown_table(
        ("benchmark", "unit", *contenders),
        [
            (
                row["benchmark"],
                row["unit"],
                *(f"{row[name]:g}" if name in row else "–" for name in contenders),
            )
            for row in rows
        ],
        numeric_from=2,
    )
    return f"On an {results['card']}, {results['date'][:10]}; lower is better:\n\n{table}"


def seconds(value: float) -> str:
    return f"{1e3 * value:.2f} ms" if value < 0.01 else f"{value:.3f} s"


def times(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio >= 10 else f"{ratio:.2f}×"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int) -> str:
    rule = ["---"] * numeric_from + ["---:"] * (len(header) - numeric_from)
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))


INK, MUTED, ACCENT = "#1f2933", "#7b8794", "#2a78b5"


def draw(results: Record) -> Figure:
    """Draw the fits' ratios as bars."""
    fits = results["fits"]
    rcParams["svg.hashsalt"] = "fastml"  # the same figures make the same file
    figure = Figure(figsize=(9, 1.2 + 0.55 * len(fits)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    ratios = [fit["ratio"] for fit in fits]
    names = [f"{fit['workload']} | {fit['peer'].removeprefix('scikit-learn-')}" for fit in fits]
    axes.barh(names, ratios, height=0.55, color=ACCENT)
    axes.axvline(1, color=MUTED, linestyle="--", linewidth=1)
    for row, fit in enumerate(fits):
        axes.annotate(
            f"{times(fit['ratio'])}  ({seconds(fit['seconds'])}, not {seconds(fit['peer_seconds'])})",
            (max(fit["ratio"], 1), row),
            xytext=(6, 0),
            textcoords="offset points",
            verticalalignment="center",
            color=INK,
        )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * max(1.0, *ratios))  # room for the text after the longest bar
    axes.set_xlabel("the peer's time / fastml's time (dashed: equal)", color=INK)
    axes.set_title("fit and predict: how many times sooner", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def put_between_markers(text: str, content: str) -> str:
    """``text`` with ``content`` in the place of what stands between the markers.

    Raises
    ------
    ValueError
        If the markers are not there once each, in their order.
    """
    begin, end = MARKERS
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{README.name} must contain {begin} and, after it, {end}, once each")
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{content}\n{end}{after}"


def readme_section(results: Path) -> str:
    """Everything between the markers, from the files in the results' folder."""
    parts = [render_cpu(json.loads((results / "cpu.json").read_text()))]
    parts += [render_gpu(json.loads(path.read_text())) for path in sorted(results.glob("gpu-*.json"))]
    return "\n\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="what pytest --benchmark-json wrote")
    parser.add_argument("--results", type=Path, help=f"folder to write to (default: {RESULTS})")
    options = parser.parse_args()
    raw = json.loads(options.raw.read_text())
    # Of what kind a run is, say those that belong in the tables; others have printed their figures.
    runs = [benchmark["extra_info"] for benchmark in raw["benchmarks"] if "kind" in benchmark["extra_info"]]
    scale = min((run["scale"] for run in runs), default=None)
    if scale is None:
        parser.error(f"{options.raw} has no benchmarks")
    results: Record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": scale,
        "machine": machine(),
        **summarise(runs),
    }
    if not results["fits"]:
        parser.error(f"{options.raw} has no fits: run all of the benchmarks")
    print(re.sub(r"\n+!\[.*\n", "\n", render_cpu(results)))
    if scale != 1 and options.results is None:
        print(f"\nOnly {scale:g} of the rows: nothing written.", file=sys.stderr)
        return 0

    folder = options.results or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.json").write_text(json.dumps(results, indent=2) + "\n")
    draw(results).savefig(folder / "cpu.svg", metadata={"Date": None})
    if folder == RESULTS:
        README.write_text(put_between_markers(README.read_text(), readme_section(folder)))
    print(f"\nwrote {folder / 'cpu.json'}, {folder / 'cpu.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
