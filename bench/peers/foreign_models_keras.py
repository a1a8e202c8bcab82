"""Makes two small residual nets by Keras and exports them through tf2onnx, for
foreign_models.py: option A by slicing, and option B with its defaults.

    pip install tensorflow-cpu==2.21.0 keras==3.15.1 tf2onnx==1.17.0
    python bench/peers/foreign_models_keras.py OUT
"""

import argparse
import json
import pathlib

import keras
import numpy
import tensorflow
import tf2onnx
from keras import layers


class ZeroPadding(layers.Layer):
    def __init__(self, filters):
        super().__init__()
        self.filters = filters

    def call(self, x):
        zeros = self.filters - x.shape[-1]
        return tensorflow.pad(x[:, ::2, ::2, :], [[0, 0], [0, 0], [0, 0], [0, zeros]])


def layer(x, filters, stride=1):
    x = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def net(projection, preprocessing):
    image = x = keras.Input((32, 32, 3))
    if preprocessing:
        x = layers.Rescaling([0.5, 1, 2], offset=[0.25, 0, -0.5])(x)
    x = layers.ReLU()(layer(x, 4))
    for filters, stride in ((4, 1), (8, 2), (16, 2)):
        y = layer(layers.ReLU()(layer(x, filters, stride)), filters)
        if stride > 1 and projection:
            x = layers.Conv2D(filters, 1, stride)(x)
        elif stride > 1:
            x = ZeroPadding(filters)(x)
        x = layers.ReLU()(layers.Add()([y, x]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(image, layers.Dense(10, activation="softmax" if projection else None)(x))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path, help="a folder outside of the repository")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(1)
    shapes = {}
    for name, options in {"kerasOptionA": (False, True), "kerasOptionB": (True, False)}.items():
        model = net(*options)
        for weight in model.weights:
            noise = random.normal(size=weight.shape) / 4
            positive = "gamma" in weight.path or "variance" in weight.path
            # Multiples of 1/8, so that gzip packs them.
            weight.assign(numpy.round(8 * (numpy.clip(noise, -0.5, 0.5) + positive)) / 8)
        signature = [tensorflow.TensorSpec((None, 32, 32, 3), tensorflow.float32, name="input")]
        function = tensorflow.function(lambda x: model(x, training=False), input_signature=signature)
        tf2onnx.convert.from_function(function, signature, opset=17, output_path=out / f"{name}.onnx")
        # As Keras 2 named them in its h5 files.
        shapes[name] = [[f"{w.path}:0", list(w.shape)] for w in model.weights]
    (out / "shapes.json").write_text(json.dumps(shapes))


if __name__ == "__main__":
    main()
