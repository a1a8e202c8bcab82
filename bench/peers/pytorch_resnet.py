"""Training steps and evaluations of the paper's nets in PyTorch, timed on request.

The step is the paper's: cross entropy, momentum 0.9, weight decay 1e-4 on every
parameter. Images are random and lie on the device from the start. Without
--augment every step trains on the same prepared batch; with it each step also
draws, crops and mirrors its batch on the device, as our engines do.

--mode eager     one call after the other
       compile   torch.compile: on a GPU mode="max-autotune", which includes CUDA
                 graphs; on a CPU its default mode, since there is nothing to tune
                 for convolutions
       graphs    the whole step, its update included, as one CUDA graph
--precision fp32 IEEE single precision throughout
            tf32 convolutions and products in TensorFloat-32 (CUDA alone; what
                 PyTorch does by default for convolutions)
            bf16 convolutions and products in bfloat16, by autocast (CPU)
            fp16 the same in half precision, with a scaled loss (not on mps)

Prints a line of JSON when it is warm: what it runs and on what. Then reads
commands from standard input, one a line, and answers each with a line:

step N           milliseconds for N training steps, queued without waiting between them
evaluate N       milliseconds for N images through the network in test mode: of whole batches,
                 as far as N goes of what they hold
info             the first line again
quit             ends

What can't be run here is one line on standard error and exit status 2.

    python3 bench/peers/pytorch_resnet.py --architecture resnet20 --device cuda --mode graphs
"""

import argparse
import contextlib
import json
import sys
import time
import warnings

import torch
import torch.nn.functional as F

from resnet import network

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
AUTOCAST = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
COMPILE_MODE = {"cpu": "default", "cuda": "max-autotune", "mps": "default"}
TRAINING_IMAGES = 10_000
PADDING = 4
# Larger batches keep a GPU busy; on a processor they fall out of its caches.
EVALUATION_BATCH = {"cpu": 500, "cuda": 2000, "mps": 2000}
LARGE_EVALUATION_BATCH = {"cpu": 32, "cuda": 256, "mps": 64}
LARGE_CLASSES = 1000
# cuDNN, the compiler and the allocator settle in the first steps; a graph wants three before it.
WARM_UP = 3


class Parser(argparse.ArgumentParser):
    def error(self, message):
        """One line, without the usage: whoever drives this shows it as the reason."""
        self.exit(2, f"{message}\n")


def parse():
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="resnet20", help="resnet20, resnet32, ...")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, help="of random images of 1,000 classes; else CIFAR's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda", "mps"], default="cpu")
    parser.add_argument("--layout", choices=list(LAYOUTS), default="channels_last")
    parser.add_argument("--mode", choices=["eager", "compile", "graphs"], default="eager")
    parser.add_argument("--precision", choices=list(AUTOCAST), default="fp32")
    parser.add_argument("--augment", action="store_true", help="prepare each batch on the device")
    arguments = parser.parse_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device cuda: PyTorch {torch.__version__} finds no CUDA device")
    if device == "mps" and not torch.backends.mps.is_available():
        parser.error(f"--device mps: PyTorch {torch.__version__} finds no Metal device")
    if device != "cuda" and (arguments.mode == "graphs" or arguments.precision == "tf32"):
        parser.error(f"--mode graphs and --precision tf32 need --device cuda, found {device}")
    if device != "cpu" and arguments.precision == "bf16":
        parser.error(f"--precision bf16 is measured with --device cpu, found {device}")
    if device == "mps" and arguments.precision == "fp16":
        parser.error("--precision fp16 needs --device cuda or cpu, found mps")
    if arguments.augment and arguments.size:
        parser.error("--augment is CIFAR's, and --size asks for other images")
    if arguments.batch < 1 or arguments.threads < 1:
        parser.error("--batch and --threads must be 1 or more")
    return arguments


class Contender:
    """A network, its optimiser and its images on one device."""

    def __init__(self, arguments):
        self.device = torch.device(arguments.device)
        self.batch = arguments.batch
        self.augment = arguments.augment
        self.layout = LAYOUTS[arguments.layout]
        batches = LARGE_EVALUATION_BATCH if arguments.size else EVALUATION_BATCH
        self.evaluation_batch = batches[self.device.type]
        self.size = arguments.size or 32
        classes = LARGE_CLASSES if arguments.size else 10
        self.half = AUTOCAST[arguments.precision]
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=arguments.precision == "fp16"
        )  # One that is not enabled passes the loss and the step through.
        model = network(arguments.architecture, classes)
        self.model = model.to(self.device, memory_format=self.layout)
        self.optimiser = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4,
            # One kernel for all parameters, where it pays.
            fused=True if self.device.type == "cuda" else None,
        )
        self.images = self.random_images(self.batch)  # [N, 3, H, W]
        self.labels = torch.randint(classes, (self.batch,), device=self.device)  # [N]
        self.test_images = self.random_images(self.evaluation_batch)
        if self.augment:
            # Normalised and padded beforehand: a step has to gather and mirror alone.
            self.padded = F.pad(
                torch.randn(TRAINING_IMAGES, 32, 32, 3, device=self.device),
                (0, 0, PADDING, PADDING, PADDING, PADDING),
            )  # [N, 40, 40, 3]
            self.all_labels = torch.randint(10, (TRAINING_IMAGES,), device=self.device)
        self.compiled = arguments.mode == "compile"
        self.network = self.model
        if self.compiled:
            self.network = torch.compile(self.model, mode=COMPILE_MODE[self.device.type])
        self.train_step = self.step
        self.test_step = self.predict
        for _ in range(WARM_UP):
            self.step()
        if arguments.mode == "graphs":
            self.train_step = self.captured(self.step)
            self.test_step = self.captured(self.predict)
        else:
            self.predict()
        self.synchronise()

    def random_images(self, count):
        images = torch.randn(count, 3, self.size, self.size, device=self.device)
        return images.to(memory_format=self.layout)

    def autocast(self):
        return torch.autocast(self.device.type, self.half, enabled=self.half is not None)

    def draw(self):
        """A batch of random images, each cropped at random and mirrored half of the time."""
        def random(high):
            return torch.randint(high, (self.batch,), device=self.device)

        along = torch.arange(32, device=self.device)
        index = random(TRAINING_IMAGES)
        rows = random(2 * PADDING + 1)[:, None] + along  # [N, 32]
        mirrored = random(2)[:, None].bool()
        columns = random(2 * PADDING + 1)[:, None] + torch.where(mirrored, 31 - along, along)
        images = self.padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        self.images.copy_(images.permute(0, 3, 1, 2))
        self.labels.copy_(self.all_labels[index])

    def step(self):
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()  # Its graphs reuse the last step's memory.
        if self.augment:
            self.draw()
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        with self.autocast():
            loss = F.cross_entropy(self.network(self.images), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss.detach()

    @torch.no_grad()
    def predict(self):
        self.model.eval()
        with self.autocast():
            return self.network(self.test_images).argmax(1)

    def captured(self, work):
        """`work` as a CUDA graph; returns what replays it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = work()

        def replay():
            graph.replay()
            return result

        return replay

    def synchronise(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def train(self, steps):
        """Trains and reads the last loss, which waits for all steps; returns their number."""
        for _ in range(steps):
            loss = self.train_step()
        loss.item()
        return steps

    def evaluate(self, images):
        """Reads the wrong predictions of at least `images` images; returns how many were computed."""
        wrong = torch.zeros((), dtype=torch.int64, device=self.device)
        computed = 0
        while computed < images:
            wrong += (self.test_step() != 0).sum()
            computed += self.evaluation_batch
        wrong.item()
        return computed


def describe(arguments):
    cuda = arguments.device == "cuda"
    return {
        "version": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else arguments.device,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "mode": arguments.mode,
        "compileMode": COMPILE_MODE[arguments.device] if arguments.mode == "compile" else None,
        "layout": arguments.layout,
        "precision": arguments.precision,
        "augment": arguments.augment,
        "threads": torch.get_num_threads(),
    }


def main():
    arguments = parse()
    warnings.filterwarnings("ignore")  # Standard error ends with the line that says what failed.
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    tf32 = arguments.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.benchmark = True
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Compilers print what they tune.
            contender = Contender(arguments)
    except Exception as error:  # A missing compiler, too little memory, an unknown network, ...
        reason = next((line for line in str(error).splitlines() if line.strip()), "no message")
        print(f"--mode {arguments.mode}: {type(error).__name__}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    info = json.dumps(describe(arguments))
    print(info, flush=True)
    for line in sys.stdin:
        command, _, count = line.strip().partition(" ")
        if command == "quit":
            break
        if command == "info":
            print(info, flush=True)
        elif command in ("step", "evaluate") and count.isdecimal() and int(count) > 0:
            work = {"step": contender.train, "evaluate": contender.evaluate}[command]
            begun = time.perf_counter()
            done = work(int(count))
            print(1000 * (time.perf_counter() - begun) * int(count) / done, flush=True)
        else:
            print(f"step N, evaluate N, info or quit, found {line.strip()!r}", file=sys.stderr)
            raise SystemExit(2)


if __name__ == "__main__":
    main()
