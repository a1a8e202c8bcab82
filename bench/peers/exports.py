"""Runs exported networks on CIFAR-10's test images: what is wrong must be the same in each form.

    pip install torch==2.13.0 numpy onnxruntime==1.32.0
    pip install keras==3.15.1 h5py numpy jax       # for .keras; an environment of its own will do
    python3 bench/peers/exports.py --data cifar-10-batches-bin --depth 20 --zero-channels split \
        resnet20.onnx resnet20.pth resnet20.keras

Prints a line for each file: how many images are wrong, and the SHA-256 of their numbers. The images
are prepared by ImageNet's mean and deviation, as those of the published checkpoints were.
bench/peers/exports.ts prints the same for TensorFlow.js, and for each file read by this project.
"""

import argparse
import hashlib
import pathlib

import numpy as np

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
BATCH = 500


def read_images(path):
    rows = np.fromfile(path, np.uint8).reshape(-1, 3073)
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32)
    return (pixels / 255 - MEAN) / DEVIATION, rows[:, 0]


def channels_first(images):
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def onnx_runtime(path, options):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"input": channels_first(images)})[0]


def pytorch(path, options):
    import torch
    from resnet import ResNet

    state = torch.load(path, weights_only=True)
    net = ResNet(options.depth, options.shortcut, options.zero_channels)
    net.load_state_dict(state)
    net.eval()

    def run(images):
        with torch.inference_mode():
            return net(torch.from_numpy(channels_first(images))).numpy()

    return run


def keras(path, options):
    import os

    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    model = keras.saving.load_model(path)
    return lambda images: np.asarray(model.predict(images, batch_size=BATCH, verbose=0))


PROGRAMS = {
    ".onnx": ("ONNX Runtime", onnx_runtime),
    ".pth": ("PyTorch", pytorch),
    ".keras": ("Keras", keras),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--shortcut", default="A", choices=["A", "B"])
    parser.add_argument("--zero-channels", default="append", choices=["append", "split"])
    options = parser.parse_args()
    images, labels = read_images(pathlib.Path(options.data) / "test_batch.bin")
    for path in options.files:
        title, program = PROGRAMS[pathlib.Path(path).suffix]
        run = program(path, options)
        logits = [run(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
        (wrong,) = np.nonzero(np.concatenate(logits).argmax(1) != labels)
        digest = hashlib.sha256(",".join(map(str, wrong)).encode()).hexdigest()
        print(f"{path} in {title}: {len(wrong)} of {len(images)} wrong, list {digest[:16]}")


if __name__ == "__main__":
    main()
