import { assertEquals } from "@std/assert";

interface Lock {
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

const lockAt = async (path: string): Promise<Lock> =>
  JSON.parse(await Deno.readTextFile(new URL(path, import.meta.url)));

Deno.test("no task fetches TensorFlow.js but those that are told its lock", async () => {
  const { npm } = await lockAt("../../../deno.lock");
  assertEquals(Object.keys(npm).filter((name) => name.includes("tensorflow")), []);
});

Deno.test("both locks fix the same packages to the same bytes", async () => {
  const [project, packages] = await Promise.all(["../../../deno.lock", "deno.lock"].map(lockAt));
  for (const [name, { integrity }] of Object.entries(project.npm)) {
    assertEquals(
      packages.npm[name]?.integrity,
      integrity,
      `${name}: run \`deno task test\` to lock it`,
    );
  }
});
