/**
 * Zod tries whether it may make functions of texts, which a page's policy refuses and writes to the
 * console. This has to be imported before anything that makes a schema.
 */
import { config } from "zod";

config({ jitless: true });
