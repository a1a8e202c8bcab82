/** What the registry says of a data set. */
import type { ByteImages } from "../engine/mod.ts";
import type { DownloadProgress } from "../files/mod.ts";
import type { ChannelStatistics } from "./normalisation.ts";

/** A data set: all that is known of it before it is loaded, and how it is loaded. */
export interface DatasetDefinition {
  /** As people write it. */
  readonly title: string;
  /** In label order. */
  readonly classNames: readonly string[];
  /** Images in the training part, of which a split may hold some back. */
  readonly trainingImages: number;
  /** Images in the test part. */
  readonly testImages: number;
  /** How recipes split the training part, unless they say otherwise. */
  readonly split: { readonly training: number; readonly validation: number };
  /** SHA-256 of each source file, or of the generated pixels and labels, by name. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Mean and standard deviation of the training part, where they are published. */
  readonly channels?: ChannelStatistics;
  /** Set where this program draws the images itself: nothing is read, nothing downloaded. */
  readonly builtIn?: true;
  /** Reads, downloads or makes the images. */
  readonly load: (options: LoadOptions) => Promise<LoadedImages>;
}

/** The images of a set, and what is known of these very images alone. */
export interface LoadedImages {
  /** The training part, its files one after the other: [N, H, W, C]. */
  readonly train: ByteImages;
  /** The test part: [N, H, W, C]. */
  readonly test: ByteImages;
  /** SHA-256 of each source file, or of the generated pixels and labels, by name. */
  readonly hashes: Readonly<Record<string, string>>;
  /** To be shown with every result: that built-in data is not CIFAR, what a folder is tested on. */
  readonly notice?: string;
  /** Built-in data: the share of wrong test labels, the error of a perfect model. */
  readonly errorFloor?: number;
  /** Built-in data: the test error of a linear softmax model on the pixels. */
  readonly linearModelError?: number;
}

/** Where a data set comes from. */
export interface LoadOptions {
  /**
   * A folder with the files, a folder with the set's folder in it, or the
   * `.tar.gz` archive. When undefined: the cache, filled by a download first.
   */
  readonly path?: string;
  /** Folder for downloads, in place of `RESNET_CACHE` or the user's cache folder. */
  readonly cache?: string;
  /** Called as bytes of a download arrive. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Built-in data: the seed that it is made from; 0 when undefined. Not a run's seed. */
  readonly seed?: number;
}
