import { assertRejects } from "@std/assert";
import { withFolder } from "../testing/files/mod.ts";
import { CommandError } from "./mod.ts";
import { requireApart } from "./_place.ts";

Deno.test("what is read is told by where its path leads", () =>
  withFolder(async (folder) => {
    const read = `${folder}/net.pth`;
    await Deno.writeTextFile(read, "weights");
    await Deno.writeTextFile(`${folder}/other.pth`, "weights");
    await Deno.symlink(read, `${folder}/link`);
    await Deno.mkdir(`${folder}/below`);
    for (
      const [source, target] of [[read, `${folder}/below/../net.pth`], [`${folder}/link`, read]]
    ) {
      await assertRejects(() => requireApart([source], undefined, target), CommandError, target);
    }
    await requireApart(
      [read, `${folder}/none`],
      undefined,
      `${folder}/other.pth`,
      `${folder}/none`,
    );
  }));
