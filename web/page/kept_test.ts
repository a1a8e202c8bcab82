import { assertEquals } from "@std/assert";
import { keptFiles } from "./kept.ts";

/** A browser's private folder with these files in the folder of what is kept. */
async function keeping<T>(files: Readonly<Record<string, string>>, use: () => Promise<T>) {
  const folder = {
    getDirectoryHandle: () => Promise.resolve(folder),
    getFileHandle: (name: string) =>
      name in files
        ? Promise.resolve({ getFile: () => Promise.resolve(new File([files[name]], name)) })
        : Promise.reject(new DOMException("it is not there", "NotFoundError")),
  };
  Object.defineProperty(navigator, "storage", {
    configurable: true,
    value: { getDirectory: () => Promise.resolve(folder) },
  });
  try {
    return await use();
  } finally {
    Reflect.deleteProperty(navigator, "storage");
  }
}

Deno.test("of images that are not kept whole none are there", async () => {
  const names = async (files: Readonly<Record<string, string>>) =>
    (await keeping(files, keptFiles)).map(([path]) => path);
  const whole = JSON.stringify(["a.bin", "b.bin"]);
  assertEquals(await names({ "whole.json": whole, "a.bin": "a", "b.bin": "b" }), [
    "cifar-10/a.bin",
    "cifar-10/b.bin",
  ]);
  assertEquals(await names({ "whole.json": whole, "a.bin": "a" }), []);
  assertEquals(await names({ "a.bin": "a", "b.bin": "b" }), []);
});
