/** Python as a subprocess: whether it is there with what a script needs, running it, and its tests. */

/** How a program ended. */
export interface Ended {
  /** Exit status. */
  readonly code: number;
  /** Its standard output. */
  readonly output: string;
  /** Its standard error. */
  readonly errors: string;
  /** Wall time. */
  readonly seconds: number;
}

/**
 * Runs a program to its end.
 *
 * @param program `python3`, or Deno's own path.
 * @param args Its arguments.
 * @param cwd The folder in which it works.
 * @param env Environment variables besides those that are there.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const began = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env,
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    code,
    output: text(stdout),
    errors: text(stderr),
    seconds: (performance.now() - began) / 1000,
  };
}

/**
 * Why Python can't run what the bench runs.
 *
 * @param modules What has to be importable.
 * @returns Undefined if it can.
 */
export function pythonObstacle(modules: readonly string[]): string | undefined {
  if (Deno.permissions.querySync({ name: "run", command: "python3" }).state !== "granted") {
    return "python3 may not be run";
  }
  // Found, not imported: that takes seconds.
  const program = "import importlib.util, sys; " +
    "print(*[m for m in sys.argv[1:] if importlib.util.find_spec(m) is None])";
  try {
    const { success, stdout } = new Deno.Command("python3", {
      args: ["-c", program, ...modules],
    }).outputSync();
    if (!success) return "python3 does not run";
    const missing = new TextDecoder().decode(stdout).trim();
    return missing === "" ? undefined : `python3 has no ${missing.replaceAll(" ", ", no ")}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no python3";
    if (error instanceof Deno.errors.NotCapable) return error.message;
    throw error;
  }
}

/** Names the modules that Python has to have here, separated by commas. */
const REQUIRED = "RESNET_REQUIRED_PYTHON";

/**
 * Registers a test that needs Python. Where it can't run it is reported by
 * name, and fails if the environment requires all that it needs.
 *
 * @param name The test's.
 * @param modules What has to be importable.
 * @param body The test.
 */
export function pythonTest(
  name: string,
  modules: readonly string[],
  body: (t: Deno.TestContext) => Promise<void>,
): void {
  const obstacle = pythonObstacle(modules);
  if (obstacle !== undefined && isRequired(modules)) {
    Deno.test(`${name} (required, can't run: ${obstacle})`, () => {
      throw new Error(
        `${REQUIRED} requires ${
          ["python3", ...modules].join(", ")
        }, and ${obstacle}; install what is missing, or don't require it`,
      );
    });
    return;
  }
  Deno.test({
    name: `${name}${obstacle ? ` (not run: ${obstacle})` : ""}`,
    ignore: obstacle !== undefined,
    fn: body,
  });
}

function isRequired(modules: readonly string[]): boolean {
  // Without the permission, as in a test run without flags, nothing is required.
  const { state } = Deno.permissions.querySync({ name: "env", variable: REQUIRED });
  const names = (state === "granted" ? Deno.env.get(REQUIRED) : undefined) ?? "";
  const required = names.split(",").map((name) => name.trim()).filter(Boolean);
  return required.length > 0 && modules.every((name) => required.includes(name));
}
