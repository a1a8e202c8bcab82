"""TrainCheck (PyPI `traincheck`) on the bench's scripts: what it finds, and at what cost.

Its documented way: a trace of the right script, invariants inferred from it, a trace of each other
script with these invariants, and a check of that trace. The right script under another seed is
checked too: what is violated there is a false alarm, and counts as no finding elsewhere.

    deno task bench:silent-bugs --scripts-only --style loop,plain-loop --net resnet8
    python3 bench/silent_bugs/traincheck.py --data cifar-10-batches-bin

Its traces are large, so scripts take a few steps on the first images of each file. The mistakes come
in an order that --seed draws, until --seconds of processor time are spent. Every command's output is
in a file beside what it writes; results.json is written anew after each script.

It is installed into a virtual environment of its own, which takes PyTorch from the one around it.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

VERSION = "0.2.0"

# Where PyTorch is built for CUDA and no driver is there, TrainCheck stops while it looks at
# torch.backends.cuda; what a build for the CPU raises in that place it understands.
AS_CPU_BUILD = """import torch


def refuse():
    raise AssertionError("Torch not compiled with CUDA enabled")


if not torch.cuda.is_available():
    torch.cuda._lazy_init = refuse
"""


def environment(folder):
    """Python of a virtual environment that has TrainCheck; it is made where it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "bin" / "traincheck-collect").exists():
        subprocess.run(
            [sys.executable, "-m", "venv", "--system-site-packages", str(folder)], check=True
        )
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", f"traincheck=={VERSION}"], check=True
        )
    purelib = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.run(
        [str(python), "-c", purelib], check=True, capture_output=True, text=True
    ).stdout.strip()
    # Not a .pth file: those are read before the packages of the Python around it are there.
    Path(packages, "sitecustomize.py").write_text(AS_CPU_BUILD)
    return python


def run(command, cwd, limit):
    """Processor seconds that a command and what it starts take; RuntimeError if it fails.

    Its output goes into a file, and its whole session ends with it: TrainCheck starts the script by
    way of a shell, and what lives on there would hold a pipe open for ever."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = Path(cwd, f"{Path(command[0]).name}.txt")
    with output.open("w") as file:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not done after {limit} s") from None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    if status != 0:
        lines = output.read_text().strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"exit status {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_images(data, out, count):
    """A folder with the first images of each file."""
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(Path(data).glob("*.bin")):
        with file.open("rb") as stream:
            (out / file.name).write_bytes(stream.read(count * 3073))
    return out


class Bench:
    def __init__(self, python, options):
        self.python, self.options = python, options

    def tool(self, name):
        return str(self.python.parent / f"traincheck-{name}")

    def arguments(self, seed):
        options = self.options
        return f"--data {options.images} --seed {seed} --iterations {options.iterations}"

    def place(self, case, name):
        """A copy of a case's script, alone in a folder, with the shell script that runs it."""
        folder = self.options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in case.glob("*.py"):
            shutil.copy(file, folder)
        return folder

    def collect(self, folder, seed, invariants=None):
        line = f"{self.python} train.py {self.arguments(seed)}\n"
        (folder / "run.sh").write_text(line)
        command = [
            *[self.tool("collect"), "--pyscript", "train.py", "--shscript", "run.sh"],
            *["--copy-all-files", "--models-to-track", "model", "--output-dir", "trace"],
        ]
        if invariants is not None:
            command += ["--invariants", str(invariants)]
        return run(command, folder, self.options.limit)

    def check(self, folder, invariants):
        """Seconds, and the violated invariants as their descriptions."""
        command = [
            *[self.tool("check"), "-f", "trace", "-i", str(invariants)],
            *["--output-dir", "checked", "--no-html-report"],
        ]
        seconds = run(command, folder, self.options.limit)
        text = (folder / "checked" / "trace" / "failed.log").read_text()
        decoder, at, violated = json.JSONDecoder(), 0, []
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            result, at = decoder.raw_decode(text, at)
            violated.append(json.dumps(result["invariant"], sort_keys=True))
        return seconds, violated


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=os.path.abspath, help="binary files")
    parser.add_argument("--cases", type=Path, default=Path("runs/silent-bugs/0"))
    parser.add_argument("--clean", default="plain-loop", help="the right script of the style")
    parser.add_argument("--style", default="loop")
    parser.add_argument("--net", default="resnet8")
    parser.add_argument("--iterations", type=int, default=8, help="steps of each script")
    parser.add_argument("--count", type=int, default=210, help="images of each of the six files")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the mistakes")
    parser.add_argument("--seconds", type=int, default=1800, help="processor time for all")
    parser.add_argument("--limit", type=int, default=900, help="seconds for one command")
    parser.add_argument("--out", type=Path, default=Path("runs/silent-bugs/traincheck"))
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    right = options.cases / "clean" / options.clean / options.net
    mistakes = sorted(options.cases.glob(f"*/{options.style}/{options.net}/train.py"))
    random.Random(options.seed).shuffle(mistakes)
    options.images = first_images(options.data, options.out / "images", options.count)
    if not (right / "train.py").exists() or not mistakes:
        parser.error(f"{right} and */{options.style}/{options.net} must be there: see --help")

    bench = Bench(environment(options.out / "environment"), options)
    results = {"version": VERSION, "iterations": options.iterations, "seed": options.seed, "cases": []}
    print("in this order:", ", ".join(path.parts[-4] for path in mistakes), flush=True)

    reference = bench.place(right, "reference")
    arguments = bench.arguments(0).split()
    plain = run([str(bench.python), "train.py", *arguments], reference, options.limit)
    results["plainSeconds"] = plain
    results["referenceSeconds"] = bench.collect(reference, 0)
    results["referenceBytes"] = size(reference / "trace")
    infer = [bench.tool("infer"), "-f", "trace", "-o", "invariants.json"]
    results["inferSeconds"] = run(infer, reference, options.limit)
    print(json.dumps(results), flush=True)
    invariants = reference / "invariants.json"
    results["invariants"] = sum(1 for _ in invariants.open())

    false_alarms = set()
    scripts = [("another seed", right, 1)]
    scripts += [(path.parts[-4], path.parent, 0) for path in mistakes]
    for name, case, seed in scripts:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        if spent.ru_utime + spent.ru_stime > options.seconds:
            break
        result = {"id": name}
        try:
            folder = bench.place(case, name.replace(" ", "-"))
            result["collectSeconds"] = bench.collect(folder, seed, invariants)
            result["checkSeconds"], violated = bench.check(folder, invariants)
            if name == "another seed":
                false_alarms = set(violated)
            result["violated"] = len(violated)
            new = [text for text in violated if text not in false_alarms]
            result["violatedHereAlone"] = len(new)
            result["examples"] = [json.loads(text).get("text_description") for text in new[:5]]
        except (RuntimeError, OSError, ValueError) as error:
            result["failed"] = f"{type(error).__name__}: {error}"
        results["cases"].append(result)
        print(json.dumps(result), flush=True)
        (options.out / "results.json").write_text(json.dumps(results, indent=2))
    found = [case["id"] for case in results["cases"][1:] if case.get("violatedHereAlone")]
    print(f"something is violated that is not with another seed: {len(found)} of {len(results['cases']) - 1}")


if __name__ == "__main__":
    main()
