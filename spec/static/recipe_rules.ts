/** What a recipe says of itself: where it leaves the paper. */
import { departuresOf, isOpen, paper, type Recipe, UNSTATED, vary } from "../../recipes/mod.ts";
import { depthOf, type Graph, ofKind } from "../../resnet/mod.ts";
import { branchesOf, simplified, withoutDropout } from "../_graphs.ts";
import { badRecipe, goodRecipe } from "./_bad.ts";
import { isPlain, namedForm } from "./_form.ts";
import { pickedFirst, swapped } from "./_rewritings.ts";
import { defineRules, type Finding, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject, subjectOf } from "../subject.ts";

/** The rules on what a recipe says of itself. */
export const RECIPE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "declared",
    section: "all",
    requirement: "Where the recipe leaves the paper it says so, with a reason.",
    tier: "static",
    check: needing(["recipe"], ({ recipe }) => judgeDepartures(recipe)),
    rejects: [
      badRecipe("an undeclared batch size", "a command-line flag", () => ({ batchSize: 64 })),
      badRecipe("a field that no recipe has", "an option of a later version", () => ({
        labelSmoothing: 0.1,
      })),
      badRecipe("a departure without a reason", "it seemed to be a detail", (recipe) => {
        const changed = { ...recipe, batchSize: 64 };
        return { ...changed, departures: departuresOf(changed) };
      }),
      badRecipe("a reason of blanks", "the form asked for one", (recipe) => {
        const changed = { ...recipe, batchSize: 64 };
        const departures = departuresOf(changed).map((one) => ({ ...one, reason: "  " }));
        return { ...changed, departures };
      }),
      badRecipe("a departure that is none", "the recipe was changed back", () => ({
        departures: [{ field: "batchSize", paper: "128", here: "64", reason: "memory" }],
      })),
      badRecipe("batch-norm statistics over 32 images", "no reading of the paper", () => ({
        batchNormImages: 32,
      })),
    ],
    accepts: [
      goodRecipe("all 50,000 images, undeclared", "what the paper leaves open is no departure", {
        data: { split: { training: 50_000, validation: 0 } },
      }),
      goodRecipe("zero channels on both sides, undeclared", "as in a public implementation", {
        architecture: { zeroChannels: "split" },
      }),
    ],
  },
  {
    id: "batch-norm-constants",
    section: "4.2, 3.4, [16]",
    requirement:
      "Batch normalisation's constants, and the images that its statistics are of, are those that the paper can be read as.",
    tier: "static",
    check: needing(["recipe"], ({ recipe }) => {
      const { batchNorm: { epsilon, momentum }, batchNormImages } = recipe;
      return finding(
        departuresOf(recipe)
          .filter(({ field }) => field.startsWith("batchNorm") && !isOpen(recipe, field))
          .map(({ field, paper, here }) => `${field} is ${here}, not ${paper}`),
        `epsilon ${epsilon}, running statistics move by ${momentum}, ${batchNormImages} images`,
      );
    }),
    rejects: [
      badRecipe("an epsilon of 0.001", "Keras's default", ({ batchNorm }) => ({
        batchNorm: { ...batchNorm, epsilon: 1e-3 },
      })),
      badRecipe("statistics that move by 0.9", "TensorFlow's sense of it", ({ batchNorm }) => ({
        batchNorm: { ...batchNorm, momentum: 0.9 },
      })),
      badRecipe(
        "statistics over 32 images, declared",
        "four devices",
        (recipe) => vary(recipe, { batchNormImages: 32 }, "four devices"),
      ),
    ],
    accepts: [
      goodRecipe("statistics over 64 images", "the paper's two GPUs", { batchNormImages: 64 }),
    ],
  },
  {
    id: "graph-stated",
    section: "all",
    requirement:
      "A recipe states what its graph is: the depth, and the shortcuts where the shape changes.",
    tier: "static",
    check: needing(["graph", "recipe"], ({ graph: written, recipe: { architecture: stated } }) => {
      const graph = simplified(withoutDropout(written));
      const form = namedForm(stated.name);
      const problems: string[] = [];
      if (form.depth !== depthOf(graph)) {
        problems.push(`the recipe says ${stated.name}, the graph has ${depthOf(graph)} layers`);
      }
      if (form.plain !== undefined && form.plain !== isPlain(graph)) {
        problems.push(
          `the recipe says ${stated.name}, the graph has ${ofKind(graph, "add").length} shortcuts`,
        );
      }
      const found = shortcutsIn(graph);
      for (const field of ["shortcut", "zeroChannels"] as const) {
        if (stated[field] === found[field]) continue;
        problems.push(
          `the recipe says ${field} "${stated[field]}", the graph has "${found[field]}"`,
        );
      }
      return finding(
        problems,
        `${stated.name}: ${
          depthOf(graph)
        } layers, shortcut "${found.shortcut}", zero channels "${found.zeroChannels}"`,
      );
    }),
    rejects: [
      {
        name: "option A stated, projections built",
        why: "the layout has projections by its name",
        kind: "recipe",
        spoil: (good) => {
          const name = "resnet18-cifar";
          const architecture = { ...good.recipe.architecture, name };
          return { ...subjectOf(paper(name)), recipe: { ...good.recipe, architecture } };
        },
      },
      badRecipe("zero channels on the other side", "a flag that the graph never saw", (recipe) => ({
        architecture: { ...recipe.architecture, zeroChannels: "split" },
      })),
      badRecipe("another depth", "the recipe of another run is copied", (recipe) => ({
        architecture: { ...recipe.architecture, name: "resnet32" },
      })),
      {
        name: "shortcuts stated of a plain net",
        why: "one recipe for all nets",
        kind: "recipe",
        spoil: (good) => ({
          ...subjectOf(paper("plain20")),
          recipe: {
            ...good.recipe,
            architecture: { ...good.recipe.architecture, name: "plain20" },
          },
        }),
      },
    ],
    accepts: [
      goodRecipe("a plain net", "it states that it has no shortcuts", {}, "plain20"),
      goodRecipe(
        "ResNet-18 with a CIFAR stem",
        "its recipe states projections",
        {},
        "resnet18-cifar",
      ),
      {
        name: "option A in two steps, the shortcut first",
        why: "another way to write the same graph",
        make: (good) => ({ ...good, graph: swapped(pickedFirst(good.graph)) }),
      },
    ],
  },
]);

/** The shortcuts that a graph has where the shape changes. */
function shortcutsIn(graph: Graph) {
  const changing = ofKind(graph, "add").map((add) => branchesOf(graph, add).between)
    .filter((between) => between.length > 0);
  const options = new Set(changing.map((nodes) => {
    const kinds = new Set(nodes.map(({ kind }) => kind));
    return kinds.has("convolution")
      ? "B"
      : kinds.has("shortcut-a")
      ? "A"
      : [...kinds].join(" and ");
  }));
  const zeros = new Set(ofKind(graph, "shortcut-a").map(({ zeroChannels }) => zeroChannels));
  return {
    shortcut: isPlain(graph) ? "none" : [...options].sort().join(" and "),
    zeroChannels: [...zeros].sort().join(" and ") || "none",
  };
}

/**
 * Whether a recipe says, with a reason, where it leaves the paper, and only
 * there. A reading of what the paper leaves open is no departure: it may be
 * declared, and need not be.
 */
export function judgeDepartures(recipe: Recipe): Finding {
  // Without the recipe's own words every reason is the one that stands for none.
  const bare = departuresOf({ ...recipe, departures: [] });
  const actual = bare.map((departure) => departure.field);
  const declared = recipe.departures.map((departure) => departure.field);
  const problems = [
    ...actual.filter((name) => !declared.includes(name) && !isOpen(recipe, name))
      .map((name) => `${name} differs, which is not declared`),
    ...declared.filter((name) => !actual.includes(name))
      .map((name) => `${name} is declared to differ, and does not`),
    ...recipe.departures
      .filter(({ field, reason }) =>
        (reason === UNSTATED || reason.trim() === "") && actual.includes(field) &&
        !isOpen(recipe, field)
      )
      .map((departure) => `${departure.field} differs without a reason`),
  ];
  return finding(problems, `${declared.length} departures: ${declared.join(", ") || "none"}`);
}
