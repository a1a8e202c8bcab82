"""A training step and an evaluation in PyTorch on the CPU, timed on request.

Reads commands from standard input, one a line, and answers each with a line of
milliseconds: `step` trains on one batch (augmentation excluded, as the images
are there already), `evaluate` runs `--evaluate` images through the network in
test mode, `quit` ends. `bench/step.ts` drives it in turn with our engines.

    python3 bench/peers/pytorch_step.py --architecture resnet20 --batch 128 --threads 2
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F

from resnet import ResNet


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
    parser.add_argument("--evaluate", type=int, default=10000, help="images of one evaluation")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    layout = {
        "channels_last": torch.channels_last,
        "contiguous": torch.contiguous_format,
    }[arguments.layout]
    model = ResNet(int(arguments.architecture.removeprefix("resnet")), "A", "append")
    model = model.to(memory_format=layout)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x = torch.randn(arguments.batch, 3, 32, 32).to(memory_format=layout)
    y = torch.randint(10, (arguments.batch,))

    def step():
        model.train()
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        return loss.item()

    @torch.no_grad()
    def evaluate():
        model.eval()
        errors = 0
        for _ in range(0, arguments.evaluate, 500):
            images = torch.randn(500, 3, 32, 32).to(memory_format=layout)
            errors += (model(images).argmax(1) != 0).sum().item()
        return errors

    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        work = {"step": step, "evaluate": evaluate}.get(line.strip())
        if work is None:
            break
        begun = time.perf_counter()
        work()
        print(1000 * (time.perf_counter() - begun), flush=True)


if __name__ == "__main__":
    main()
