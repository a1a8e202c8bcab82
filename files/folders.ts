/** Paths of a folder's folders, by name; none where it is not there, or is no folder. */
export async function foldersIn(path: string): Promise<readonly string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    const names = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
    return names.sort().map((name) => `${path}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}
