/**
 * A data set on the device, and its batches as the network sees them.
 *
 * A batch is one gather of whole images; its crops and mirrorings are one projective transform a
 * batch, whose nearest pixel is exact for whole offsets:
 *
 *   out[y, x] = in[y + cropY - padding, x' + cropX - padding], x' = x, or W - 1 - x if mirrored,
 *
 * and 0 outside. It is applied to the normalised image or to the bytes, as the normalisation says.
 * TensorFlow's GPU kernels gather no bytes, so four of them travel as the bits of one float.
 */
import { imageMeans } from "../_stored.ts";
import type { BatchPlan, ByteImages, Normalisation } from "../engine.ts";
import type { Attribute, Handle, Operations } from "./_operations.ts";

const BYTES_PER_FLOAT = 4;

/** A set of images on the device. */
export class DeviceImages {
  #count: number;
  readonly #tf: Operations;
  readonly #shape: readonly [number, number, number];
  /** [N, ceil(H W C / 4)]: each row an image's bytes. */
  #rows: Handle;
  readonly #rowBytes: number;
  readonly #normalisation: { scale: Handle; mean: Handle; std: Handle; beforePadding: boolean };
  readonly #perImage: Pick<Normalisation, "scale" | "perImage">;
  /** [N, C], where something of each image's own is subtracted. */
  #own: Float32Array | undefined;
  readonly #attributes: Readonly<Record<string, readonly Attribute[]>>;

  constructor(tf: Operations, images: ByteImages, normalisation: Normalisation) {
    const { count, height, width, channels } = images;
    this.#tf = tf;
    this.#count = count;
    this.#shape = [height, width, channels];
    this.#rowBytes = Math.ceil(height * width * channels / BYTES_PER_FLOAT) * BYTES_PER_FLOAT;
    this.#rows = this.#kept(images);
    const kept = (shape: readonly number[], values: Float32Array) =>
      tf.keep(tf.floats(shape, values));
    const { scale, mean, std, beforePadding, perImage } = normalisation;
    this.#perImage = { scale, ...(perImage ? { perImage } : {}) };
    this.#normalisation = {
      scale: kept([], Float32Array.of(scale)),
      mean: kept(this.#shape, mean.slice()),
      std: kept([channels], std.slice()),
      beforePadding,
    };
    this.#own = imageMeans(images, normalisation);
    const float = tf.typeFloat();
    this.#attributes = {
      float: [float],
      gather: [
        tf.typeFloat("Tparams"),
        ...[tf.typeInteger("Tindices"), tf.typeInteger("Taxis")],
        tf.attributeInteger("batch_dims", 0),
      ],
      bits: [float, tf.typeByte("type")],
      shape: [float, tf.typeInteger("Tshape")],
      cut: [float, tf.typeInteger("Index")],
      cast: [tf.typeByte("SrcT"), tf.typeFloat("DstT")],
      transform: [
        tf.typeFloat("dtype"),
        tf.attributeText("interpolation", "NEAREST"),
        tf.attributeText("fill_mode", "CONSTANT"),
      ],
    };
  }

  /** Other images, with what is added to the channels of each. */
  replace(images: ByteImages, shifts: Float32Array | undefined): void {
    // Operations that read the others hold on to them.
    this.#tf.release(this.#rows);
    this.#rows = this.#kept(images);
    this.#count = images.count;
    this.#own = imageMeans(images, this.#perImage, shifts);
  }

  #kept({ count, pixels }: ByteImages): Handle {
    const [height, width, channels] = this.#shape;
    const imageBytes = height * width * channels;
    const rows = new Uint8Array(count * this.#rowBytes);
    for (let n = 0; n < count; n++) {
      rows.set(pixels.subarray(n * imageBytes, (n + 1) * imageBytes), n * this.#rowBytes);
    }
    const shape = [count, this.#rowBytes / BYTES_PER_FLOAT];
    return this.#tf.keep(this.#tf.floats(shape, new Float32Array(rows.buffer)));
  }

  /** Bytes on the device. */
  get bytes(): number {
    return this.#count * this.#rowBytes;
  }

  /** The images of a plan as the network sees them, [N, H, W, C]. */
  batch(plan: BatchPlan, padding: number): Handle {
    const images = this.#floats(plan.indices);
    const transforms = this.#transforms(plan, padding);
    return this.#normalisation.beforePadding
      ? this.#transformed(this.#normalised(images, plan.indices), transforms)
      : this.#normalised(this.#transformed(images, transforms), plan.indices);
  }

  /** Images without augmentation, [N, H, W, C]. */
  plain(indices: Uint32Array): Handle {
    return this.#normalised(this.#floats(indices), indices);
  }

  /** The bytes of images as floats, [N, H, W, C]. */
  #floats(indices: Uint32Array): Handle {
    const tf = this.#tf;
    const { gather, bits, shape, cut, cast } = this.#attributes;
    const count = indices.length;
    const positions = tf.integers([count], Int32Array.from(indices));
    const rows = tf.run("GatherV2", [this.#rows, positions, tf.integer(0)], gather);
    const bytes = tf.run("Bitcast", [rows], bits); // [N, ceil(H W C / 4), 4]
    let pixels = tf.run("Cast", [bytes], cast);
    const [height, width, channels] = this.#shape;
    const imageBytes = height * width * channels;
    if (imageBytes !== this.#rowBytes) {
      const whole = tf.run("Reshape", [pixels, tf.vector(count, this.#rowBytes)], shape);
      pixels = tf.run("Slice", [whole, tf.vector(0, 0), tf.vector(count, imageBytes)], cut);
    }
    return tf.run("Reshape", [pixels, tf.vector(count, ...this.#shape)], shape);
  }

  #normalised(images: Handle, indices: Uint32Array): Handle {
    const { scale, mean, std } = this.#normalisation;
    const { float } = this.#attributes;
    const scaled = this.#tf.run("Mul", [images, scale], float);
    let centred = this.#tf.run("Sub", [scaled, mean], float);
    if (this.#own) {
      const [, , channels] = this.#shape;
      const own = this.#own;
      const means = Float32Array.from(
        { length: indices.length * channels },
        (_, i) => own[indices[Math.floor(i / channels)] * channels + i % channels],
      );
      const here = this.#tf.floats([indices.length, 1, 1, channels], means);
      centred = this.#tf.run("Sub", [centred, here], float);
    }
    return this.#tf.run("RealDiv", [centred, std], float);
  }

  /** Rows [a, b, c, d, e, f, 0, 0]: the pixel (x, y) comes from (a x + b y + c, d x + e y + f). */
  #transforms({ indices, cropX, cropY, flip }: BatchPlan, padding: number): Handle {
    const [, width] = this.#shape;
    const rows = new Float32Array(indices.length * 8);
    indices.forEach((_, n) => {
      const x = cropX[n] - padding, y = cropY[n] - padding;
      rows.set(flip[n] ? [-1, 0, width - 1 + x, 0, 1, y] : [1, 0, x, 0, 1, y], n * 8);
    });
    return this.#tf.floats([indices.length, 8], rows);
  }

  #transformed(images: Handle, transforms: Handle): Handle {
    const [height, width] = this.#shape;
    return this.#tf.run(
      "ImageProjectiveTransformV3",
      [images, transforms, this.#tf.vector(height, width), this.#tf.float(0)],
      this.#attributes.transform,
    );
  }
}
