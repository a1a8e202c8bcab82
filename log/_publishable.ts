/** An event as it may be published: what it says of somebody's computer is cut from it. */
import { withoutFolders, withoutFoldersIn } from "../text/mod.ts";
import type { EngineRecord, RunEvent } from "./events.ts";

/** An event, with its time or before it has one. */
type Line = RunEvent extends infer E ? E extends RunEvent ? Omit<E, "time" | "logSha256"> : never
  : never;

/**
 * The event with absolute paths cut to their last names: data is known by its
 * hashes, folders are shown relative to the run's.
 *
 * @param event Any event; one without paths is returned as it is.
 * @param own Absolute path of the run's folder, where it is known.
 */
export function publishable<T extends Line>(event: T, own?: string): T {
  const cut = (text: string) => withoutFolders(text, own);
  const line: Line = event;
  switch (line.type) {
    case "start":
    case "resume": {
      const command = line.command.map((argument) => withoutFoldersIn(argument, own));
      const engine = engineWithoutFolders(line.engine, cut);
      if (line.type === "resume" || !line.startWeights) return { ...event, command, engine };
      const path = withoutFoldersIn(line.startWeights.path, own);
      return { ...event, command, engine, startWeights: { ...line.startWeights, path } };
    }
    case "warning":
      return { ...event, message: cut(line.message) };
    case "stop":
    case "failure":
      return { ...event, reason: cut(line.reason) };
    default:
      return event;
  }
}

function engineWithoutFolders(engine: EngineRecord, cut: (text: string) => string): EngineRecord {
  const { name, reason, device: { summary, details } } = engine;
  return {
    name,
    reason: cut(reason),
    device: {
      summary: cut(summary),
      details: Object.fromEntries(
        Object.entries(details).map((
          [key, value],
        ) => [key, typeof value === "string" ? cut(value) : value]),
      ),
    },
  };
}
