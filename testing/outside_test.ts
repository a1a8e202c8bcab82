// What the README says to other projects, done as one of them.
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const ROOT = new URL("..", import.meta.url);

Deno.test("a project outside of the clone runs the README's example with the README's deno.json", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const section = readme.slice(readme.indexOf("## As a module"));
  const blockOf = (language: string) =>
    new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(section)?.[1] ?? "";
  const folder = await Deno.makeTempDir();
  try {
    const clone = fileURLToPath(ROOT).replace(/[/\\]$/, "");
    const settings = JSON.parse(blockOf("json"));
    assertEquals(settings.links[0], "../resnet-cifar");
    // Links are relative, and the clone may have any name.
    await Deno.symlink(clone, `${folder}/resnet-cifar`);
    await Deno.mkdir(`${folder}/project`);
    await Deno.writeTextFile(`${folder}/project/deno.json`, JSON.stringify(settings));
    const [name] = Object.keys(settings.imports);
    const example = blockOf("ts").replace(`"./mod.ts"`, `"${name}"`);
    assert(example.includes(name), example);
    await Deno.writeTextFile(`${folder}/project/example.ts`, example);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-check", "example.ts"],
      ...{ cwd: `${folder}/project`, stdin: "null", stdout: "piped", stderr: "piped" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const lines = new TextDecoder().decode(stdout).split("\n");
    assertEquals(lines[0], "464154");
    assert(lines.some((line) => line.startsWith("pass iterations")), lines.join("\n"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
