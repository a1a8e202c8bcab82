/** Pages that commands serve: where they can be reached, and what is said where they can't. */
import { CommandError } from "./_main.ts";

/** Serves the page of a command until it is ended. */
export interface PageServer {
  /** Where a browser on this machine finds it. */
  readonly url: string;
  readonly finished: Promise<void>;
}

type Handler = (request: Request) => Response | Promise<Response>;

/** Addresses that stand for all that a machine has. */
const ALL = ["0.0.0.0", "::"];

/**
 * Begins to serve a page.
 *
 * @param hostname Where it listens.
 * @param port The port, 0 for any that is free.
 * @param handlerFor Makes the handler; it is told of the names by which the page may be asked for.
 * @param wayOn What the user can choose instead where nothing can listen there.
 * @throws {CommandError} If the port is in use, or the address is none of this machine's.
 */
export function servePage(
  hostname: string,
  port: number,
  handlerFor: (hosts: readonly string[]) => Handler,
  wayOn: string,
): PageServer {
  const hosts: string[] = [];
  const handler = byAddress(hostname, hosts, handlerFor(hosts));
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname, port, onListen() {} }, handler);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      // A task's permissions name what it may listen on, and no flag of the command adds to them.
      throw new CommandError(
        `the page can't be served at ${hostname}: this task may not listen there. ${wayOn}`,
      );
    }
    throw new CommandError(
      `the page can't be served at ${hostname}, port ${port}: ${
        (error as Error).message
      }. ${wayOn}`,
    );
  }
  const found = server.addr.port;
  // As browsers name them: without the port that they take for granted.
  for (const name of [hostname, "localhost", "127.0.0.1"]) hosts.push(addressOf(name, found).host);
  return { url: addressOf(hostname, found).href, finished: server.finished };
}

/**
 * Where all of a machine's addresses are listened on, the page may be asked for by any of them. A
 * name stays refused: whoever owns it can point it here, and no address can be pointed elsewhere.
 */
export function byAddress(hostname: string, hosts: readonly string[], handler: Handler): Handler {
  if (!ALL.includes(hostname)) return handler;
  return (request) => {
    const url = new URL(request.url);
    const isAddress = /^[\d.]+$|^\[[\da-f:.]+\]$/i.test(url.hostname);
    if (!isAddress || hosts.length === 0) return handler(request);
    url.host = hosts[0];
    return handler(new Request(url, request));
  };
}

function addressOf(name: string, port: number): URL {
  return new URL(`http://${name.includes(":") ? `[${name}]` : name}:${port}/`);
}
