"""Evaluations of a network in ONNX Runtime on a CPU, timed on request.

Reads from standard input a line with the length of an ONNX file in bytes, then the file; its
input is [N, 3, H, W]. Images are random. Prints a line of JSON when it is warm, then reads
commands, one a line, and answers each with a line:

evaluate N       milliseconds for N images
quit             ends

What can't be run here is one line on standard error and exit status 2.
"""

import argparse
import json
import sys
import time

import numpy as np

# Larger batches fall out of a processor's caches.
BATCH = 500
LARGE_BATCH = 32


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--size", type=int, help="height and width of large images; else CIFAR's")
    arguments = parser.parse_args()
    size = arguments.size or 32
    batch = LARGE_BATCH if arguments.size else BATCH
    try:
        import onnxruntime
    except ImportError:
        print("python3 has no onnxruntime", file=sys.stderr)
        raise SystemExit(2) from None
    file = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = np.random.default_rng(0).standard_normal((batch, 3, size, size), dtype=np.float32)

    def evaluate(count):
        wrong = 0
        for _ in range(0, count, batch):
            (scores,) = session.run(None, {name: images})
            wrong += int((scores.argmax(1) != 0).sum())
        return wrong

    evaluate(batch)
    print(json.dumps({"version": onnxruntime.__version__, "threads": arguments.threads}), flush=True)
    for line in sys.stdin.buffer:
        command, _, count = line.decode().strip().partition(" ")
        if command == "quit":
            break
        if command != "evaluate" or not count.isdecimal() or int(count) < 1:
            print(f"evaluate N or quit, found {line!r}", file=sys.stderr)
            raise SystemExit(2)
        begun = time.perf_counter()
        evaluate(int(count))
        print(1000 * (time.perf_counter() - begun), flush=True)


if __name__ == "__main__":
    main()
