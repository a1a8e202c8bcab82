"""Writes testing/files/_array_file_fixtures.ts: small residual nets in the files of
Keras and Flax with what these compute, and arrays in the files of h5py and NumPy.

    pip install keras==3.15.1 jax==0.10.2 flax==0.12.8 h5py==3.16.0 numpy==2.4.6
    python bench/peers/array_files.py > testing/files/_array_file_fixtures.ts
    deno fmt testing/files/_array_file_fixtures.ts

With a folder as an argument, the files are written there as they are instead.
"""

import base64
import gzip
import io
import json
import os
import pathlib
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "jax"

import flax
import flax.linen as nn
import h5py
import jax
import keras
import numpy
from flax import serialization
from keras import layers, ops

STAGES = ((4, 1), (8, 2), (16, 2))


def images():
    """As testing/files/foreign_models.ts: [2, 32, 32, 3]."""
    values = (numpy.arange(2 * 3 * 32 * 32) * 7919 % 251 - 125) / 64
    return values.reshape(2, 3, 32, 32).transpose(0, 2, 3, 1).astype("float32")


def weight(path, shape, random):
    """Multiples of 1/8, so that gzip packs them."""
    noise = random.normal(size=shape) / 4
    positive = any(word in path for word in ("gamma", "variance", "scale", "var"))
    return (numpy.round(8 * (numpy.clip(noise, -0.5, 0.5) + positive)) / 8).astype("float32")


def convolution(x, filters, stride=1, kernel=3):
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def option_a():
    """Shortcuts of option A by Keras's own operations, compiled as the paper trains."""
    image = x = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(x, 4))
    for filters, stride in STAGES:
        y = convolution(layers.Activation("relu")(convolution(x, filters, stride)), filters)
        if stride > 1:
            zeros = filters // 4
            x = ops.pad(x[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [zeros, zeros]])
        x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    model.compile(keras.optimizers.SGD(0.1, 0.9, weight_decay=1e-4), "categorical_crossentropy")
    return model


def nested():
    """Each block a model of its own; the input is scaled, zeros stand around it, nothing follows."""
    image = x = keras.Input((32, 32, 3))
    x = layers.Rescaling([0.5, 1, 2], offset=[0.25, 0, -0.5])(x)
    x = layers.Conv2D(4, 3, use_bias=False, name="stem")(layers.ZeroPadding2D(1)(x))
    x = layers.ReLU()(layers.BatchNormalization(name="stem_norm")(x))
    for i, (filters, stride) in enumerate(STAGES):
        inner = keras.Input(x.shape[1:])
        y = convolution(layers.ReLU()(convolution(inner, filters, stride)), filters)
        beside = convolution(inner, filters, stride, 1) if stride > 1 else inner
        block = keras.Model(inner, layers.ReLU()(layers.Add()([beside, y])), name=f"block{i}")
        x = block(x)
    x = layers.AveragePooling2D(8)(x)
    return keras.Model(image, layers.Dense(10)(layers.Flatten()(x)))


def custom():
    """Shortcuts by a class of the user's own."""

    @keras.saving.register_keras_serializable("mine")
    class ZeroChannels(layers.Layer):
        def call(self, x):
            return ops.pad(x[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [0, x.shape[-1]]])

    image = x = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(x, 4))
    for filters, stride in STAGES:
        y = convolution(layers.ReLU()(convolution(x, filters, stride)), filters)
        x = layers.ReLU()(layers.Add()([y, x if stride == 1 else ZeroChannels()(x)]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def keras_files(folder):
    random = numpy.random.default_rng(1)
    made = {}
    for name, make, suffixes in (
        ("kerasOptionA", option_a, (".keras", ".h5", ".weights.h5")),
        ("kerasNested", nested, (".keras", ".h5")),
        ("kerasCustom", custom, (".keras",)),
    ):
        keras.utils.clear_session()
        model = make()
        for array in model.weights:
            array.assign(weight(array.path, array.shape, random))
        logits = numpy.asarray(model(images(), training=False))
        for suffix in suffixes:
            path = folder / f"{name}{suffix}"
            model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
            made[name + {".keras": "", ".h5": "Legacy", ".weights.h5": "Weights"}[suffix]] = (
                path.read_bytes(),
                logits,
            )
    return made


class FlaxNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        def convolution(x, filters, stride=1):
            x = nn.Conv(filters, (3, 3), (stride, stride), padding=1, use_bias=False)(x)
            return nn.BatchNorm(use_running_average=True, epsilon=1e-5)(x)

        x = nn.relu(convolution(x, 4))
        for filters, stride in STAGES:
            y = convolution(nn.relu(convolution(x, filters, stride)), filters)
            if stride > 1:
                zeros = [(0, 0), (0, 0), (0, 0), (0, filters // 2)]
                x = jax.numpy.pad(x[:, ::2, ::2], zeros)
            x = nn.relu(x + y)
        return nn.Dense(10)(x.mean((1, 2)))


def flax_files():
    random = numpy.random.default_rng(2)
    net = FlaxNet()
    variables = net.init(jax.random.key(0), images())
    flat = flax.traverse_util.flatten_dict(variables, sep="/")
    flat = {name: weight(name, array.shape, random) for name, array in flat.items()}
    variables = flax.traverse_util.unflatten_dict(flat, sep="/")
    logits = numpy.asarray(net.apply(variables, images()))
    archive = io.BytesIO()
    numpy.savez(archive, **flat)
    state = {"step": 64000, "variables": variables, "half": jax.numpy.ones(2, "bfloat16")}
    return {
        "flaxVariables": (serialization.to_bytes(variables), logits),
        "flaxState": (serialization.to_bytes(state), logits),
        "flaxNpz": (archive.getvalue(), logits),
    }


ARRAY = numpy.arange(60, dtype="float32").reshape(3, 4, 5) / 8 - 2


def hdf5_file(**options):
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as opened:
        opened.attrs["text"] = "a\u00e9"
        opened.attrs["fixed"] = numpy.array([b"ab", b"cde"])
        opened.attrs["number"] = 3
        group = opened.create_group("group/inner")
        group["plain"] = ARRAY
        opened.create_dataset("packed", data=ARRAY, chunks=(2, 3, 5), compression="gzip", shuffle=True)
        opened.create_dataset("chunked", data=ARRAY, chunks=(3, 2, 2), fletcher32=True)
        opened["half"] = ARRAY.astype("float16")
        opened["double"] = ARRAY.astype("float64")
        opened["long"] = numpy.arange(-2, 3)
        opened["scalar"] = numpy.float32(0.5)
        opened["empty"] = numpy.zeros((0, 3), "float32")
    return file.getvalue()


def array_files():
    def npy(array, **options):
        file = io.BytesIO()
        numpy.save(file, array, **options)
        return file.getvalue()

    packed = io.BytesIO()
    numpy.savez_compressed(packed, a=ARRAY, b=ARRAY.astype("float16"), c=numpy.arange(-2, 3))
    plain = hdf5_file()
    return {
        "hdf5": plain,
        "hdf5UserBlock": hdf5_file(userblock_size=512),
        "npy": npy(ARRAY),
        "npyFortran": npy(numpy.asfortranarray(ARRAY)),
        "npyBigEndian": npy(ARRAY.astype(">f4")),
        "npyObjects": npy(numpy.array([{}, None]), allow_pickle=True),
        "npz": packed.getvalue(),
    }


def encoded(content):
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def main():
    with tempfile.TemporaryDirectory() as folder:
        models = keras_files(pathlib.Path(folder)) | flax_files()
    files = array_files()
    if len(sys.argv) > 1:
        out = pathlib.Path(sys.argv[1])
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
        for name, (content, logits) in models.items():
            (out / name).write_bytes(content)
        return
    print("/**")
    print(" * Small residual nets of 4, 8 and 16 filters in the files of Keras and Flax, and")
    print(" * arrays in those of h5py and NumPy. Written by bench/peers/array_files.py, which")
    print(f" * shows how each was made, with Keras {keras.__version__} on JAX {jax.__version__},")
    print(f" * Flax {flax.__version__}, h5py {h5py.__version__} and NumPy {numpy.__version__}.")
    print(" */")
    print()
    print("/** A file packed by gzip, in base64, and what it computes from the script's `images()`. */")
    print("export const ARRAY_MODELS = {")
    for name, (content, logits) in models.items():
        values = json.dumps([float(f"{value:.8g}") for value in logits.flatten()])
        print(f'  {name}: {{ file: "{encoded(content)}", logits: {values} }},')
    print("} as const;")
    print()
    print("/** Files packed by gzip, in base64; `ARRAY` of the script is the first array of each. */")
    print("export const ARRAY_FILES = {")
    for name, content in files.items():
        print(f'  {name}: "{encoded(content)}",')
    print("} as const;")


if __name__ == "__main__":
    main()
