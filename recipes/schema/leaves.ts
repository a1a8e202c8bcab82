/**
 * What numbers and texts of a recipe, a log or a plan may be: each a type, for
 * those who read the documentation, with its schema.
 */
import { z } from "zod";
import {
  DATASET_NAMES,
  type DatasetName as Dataset,
  PHOTOGRAPHS,
  type SetName,
} from "../../data/mod.ts";
import type { DeviceDescription as Device } from "../../engine/mod.ts";
import { isArchitecture } from "../../resnet/mod.ts";

/** A whole number from 0. */
export type Count = number;
/** The schema of {@link Count}. */
export const count: z.ZodType<Count> = z.int().nonnegative();

/** A whole number from 1. */
export type PositiveCount = number;
/** The schema of {@link PositiveCount}. */
export const positiveCount: z.ZodType<PositiveCount> = z.int().positive();

/** A number above 0. */
export type Positive = number;
/** The schema of {@link Positive}. */
export const positive: z.ZodType<Positive> = z.number().positive();

/** A number from 0. */
export type NonNegative = number;
/** The schema of {@link NonNegative}. */
export const nonNegative: z.ZodType<NonNegative> = z.number().nonnegative();

/** A part of a whole: from 0 to 1. */
export type Share = number;
/** The schema of {@link Share}. */
export const share: z.ZodType<Share> = z.number().min(0).max(1);

/** A whole number from 0 to 2^32 - 1. */
export type Seed = number;
/** The schema of {@link Seed}. */
export const seed: z.ZodType<Seed> = z.int().min(0).max(0xffffffff);

/** Images in a batch, of which the plan is made at once: from 1 to 50,000. */
export type BatchSize = number;
/** The schema of {@link BatchSize}. */
export const batchSize: z.ZodType<BatchSize> = z.int().positive().max(50_000);

/** Zeros on each side of an image: from 0 to 127, since crops are counted in a byte. */
export type CropPadding = number;
/** The schema of {@link CropPadding}. */
export const cropPadding: z.ZodType<CropPadding> = z.int().nonnegative().max(127);

/** A moment: ISO 8601, UTC. */
export type Time = string;
/** The schema of {@link Time}. */
export const time: z.ZodType<Time> = z.iso.datetime({ offset: true });

/** SHA-256: 64 lower-case hexadecimal digits. */
export type Sha256Text = string;
/** The schema of {@link Sha256Text}. */
export const sha256Text: z.ZodType<Sha256Text> = z.string()
  .regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");

/** Bytes in base64. */
export type Base64 = string;
/** The schema of {@link Base64}. */
export const base64: z.ZodType<Base64> = z.base64();

/** The path of a file in a run's folder, relative to it, with `/`. */
export type InnerPath = string;
/** The schema of {@link InnerPath}. */
export const innerPath: z.ZodType<InnerPath> = z.string().min(1).refine(
  (path) => !/^[/\\]|^[a-z]:|\\/i.test(path) && !path.split("/").includes(".."),
  "expected a path inside the run's folder",
);

/** The names of a data set's classes, in label order: 2 to 1,000. */
export type ClassNames = readonly string[];
/** The schema of {@link ClassNames}. */
export const classNames: z.ZodType<ClassNames> = z.array(z.string().max(200)).min(2).max(1_000);

/** Most layers of a network that a file may name; the paper's deepest net has 1,202. */
const MOST_LAYERS = 2_000;

/** The name of a network, as `architecture()` takes it: `resnet32`, `plain20`, ... */
export type ArchitectureName = string;
/** The schema of {@link ArchitectureName}. */
export const architectureName: z.ZodType<ArchitectureName> = z.string().max(40)
  .refine(isArchitecture, "expected an architecture of the module")
  .refine(
    (name) => Number(/\d+/.exec(name)?.[0] ?? 0) <= MOST_LAYERS,
    `expected at most ${MOST_LAYERS} layers`,
  );

/**
 * A value that decides something: of the validation images in test mode, or the mean over the
 * training's own steps since it was last looked at.
 */
export type WatchedValue =
  | "validation-loss"
  | "validation-error"
  | "validation-accuracy"
  | "training-loss"
  | "training-error"
  | "training-accuracy";
/** All of them. */
export const WATCHED_VALUES: readonly WatchedValue[] = [
  "validation-loss",
  "validation-error",
  "validation-accuracy",
  "training-loss",
  "training-error",
  "training-accuracy",
];
/** The schema of {@link WatchedValue}. */
export const watchedValue: z.ZodType<WatchedValue> = z.enum(WATCHED_VALUES);

/** The schema of the name of a data set of the registry. */
export const datasetName: z.ZodType<Dataset> = z.enum(DATASET_NAMES);

/** The schema of what a recipe may train on. */
export const setName: z.ZodType<SetName> = z.enum([...DATASET_NAMES, PHOTOGRAPHS]);

/** The schema of what an engine says of its device. */
export const deviceDescription: z.ZodType<Device> = z.strictObject({
  summary: z.string(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
