import { assertEquals, assertThrows } from "@std/assert";
import { type ModuleInfo, neededPackages } from "./_packages.ts";

const pack = (name: string, version: string, ...dependencies: string[]) => ({
  ...{ name, version, dependencies },
  localPath: `/cache/registry/${name}/${version}`,
});

const INFO: ModuleInfo = {
  modules: [
    {
      specifier: "file:///main.ts",
      dependencies: [
        { code: { specifier: "npm:a@1" } },
        { code: { specifier: "npm:@s/slow@2" }, isDynamic: true },
        { code: { specifier: "npm:both@1" }, isDynamic: true },
        { code: { specifier: "npm:both@1" } },
        {}, // of types alone: "npm:@types/a@1"
      ],
    },
    { specifier: "npm:/a@1.0.0", npmPackage: "a@1.0.0_peer@3.0.0" },
    { specifier: "npm:/@s/slow@2.0.0", npmPackage: "@s/slow@2.0.0" },
    { specifier: "npm:/both@1.0.0", npmPackage: "both@1.0.0" },
    { specifier: "npm:/@types/a@1.0.0", npmPackage: "@types/a@1.0.0" },
  ],
  redirects: {
    "npm:a@1": "npm:/a@1.0.0",
    "npm:@s/slow@2": "npm:/@s/slow@2.0.0",
    "npm:both@1": "npm:/both@1.0.0",
    "npm:@types/a@1": "npm:/@types/a@1.0.0",
  },
  npmPackages: {
    "a@1.0.0_peer@3.0.0": pack("a", "1.0.0", "peer@3.0.0"),
    "peer@3.0.0": pack("peer", "3.0.0", "a@1.0.0_peer@3.0.0"), // peers name each other
    "@s/slow@2.0.0": pack("@s/slow", "2.0.0", "large@1.0.0"),
    "large@1.0.0": pack("large", "1.0.0"),
    "both@1.0.0": pack("both", "1.0.0"),
    "@types/a@1.0.0": pack("@types/a", "1.0.0"),
  },
};
const LOCKED = [...Object.keys(INFO.npmPackages), "unrelated@0.1.0-rc.1_a@1.0.0"];

Deno.test("packages that are imported on demand, for types, or not at all travel empty", () => {
  assertEquals(neededPackages([INFO], LOCKED), {
    registry: "/cache/registry",
    whole: ["a/1.0.0", "both/1.0.0", "peer/3.0.0"],
    empty: ["@s/slow/2.0.0", "@types/a/1.0.0", "large/1.0.0", "unrelated/0.1.0-rc.1"],
  });
});

Deno.test("packages of a second registry are refused", () => {
  const npmPackages = {
    ...INFO.npmPackages,
    "both@1.0.0": { ...pack("both", "1.0.0"), localPath: "/cache/other/both/1.0.0" },
  };
  assertThrows(
    () => neededPackages([{ ...INFO, npmPackages }], LOCKED),
    TypeError,
    "of one registry, found /cache/other, /cache/registry",
  );
});
