/**
 * Writes the strict schemas of what is read from files, out of the types that say what stands in
 * them: `deno task schemas`. So every field, its kind and its range are written once, where the
 * documentation has them.
 *
 * What a value may be is said by its type alone: an interface becomes an object that refuses
 * unknown fields, a union of interfaces is told apart by its `type` or `kind`, and every other name
 * is a leaf, a schema written by hand with its type, such as `Share` and `share` of `leaves.ts`. A
 * bare `number` is refused, since it would say nothing of the range.
 */
import { dirname, relative } from "node:path";

/** A file of types, and the file of schemas that is made of it. */
export interface SchemaFile {
  /** Path of the types' file, from the repository's root. */
  readonly types: string;
  /** Path of the file to write. */
  readonly schema: string;
  /** Where the schemas of names that the types' file imports come from, as the new file imports them. */
  readonly leaves: string;
  /** Types whose schemas are exported, by the exported name. */
  readonly roots: Readonly<Record<string, string>>;
}

/** All generated files. */
export const SCHEMA_FILES: readonly SchemaFile[] = [
  {
    types: "recipes/recipe.ts",
    schema: "recipes/schema/_recipe.ts",
    leaves: "./leaves.ts",
    roots: { recipe: "Recipe" },
  },
  {
    types: "log/events.ts",
    schema: "log/_schema.ts",
    leaves: "../recipes/schema/mod.ts",
    roots: { runEvent: "RunEvent", imageSample: "ImageSample", layerStatistics: "LayerStatistics" },
  },
];

/** A type as `deno doc --json` has it, as far as it is read here. */
type Type =
  | { readonly kind: "keyword"; readonly value: string }
  | { readonly kind: "literal"; readonly value: Record<string, string | number | boolean> }
  | { readonly kind: "union"; readonly value: readonly Type[] }
  | { readonly kind: "array"; readonly value: Type }
  | { readonly kind: "parenthesized"; readonly value: Type }
  | { readonly kind: "typeOperator"; readonly value: { readonly tsType: Type } }
  | { readonly kind: "typeLiteral"; readonly value: { readonly properties: readonly Property[] } }
  | {
    readonly kind: "typeRef";
    readonly value: { readonly typeName: string; readonly typeParams?: readonly Type[] };
  };

interface Property {
  readonly name: string;
  readonly optional?: boolean;
  readonly tsType: Type;
}

interface Declaration {
  readonly kind: string;
  readonly def: {
    readonly extends?: readonly Type[];
    readonly properties?: readonly Property[];
    readonly tsType?: Type;
  };
}

/** What `deno doc --json` prints of one file, as far as it is read here. */
export interface Documentation {
  /** By the file's address. */
  readonly nodes: Readonly<
    Record<
      string,
      {
        readonly symbols: readonly {
          readonly name: string;
          readonly declarations: readonly Declaration[];
        }[];
      }
    >
  >;
}

/**
 * The text of a file of schemas, not yet formatted.
 *
 * @param file Which.
 * @param documentation Of its types.
 * @throws {TypeError} On a type that says too little, or that no schema is made of here.
 */
export function schemaText(
  { types, leaves, roots, schema }: SchemaFile,
  documentation: Documentation,
): string {
  const declared = new Map<string, Declaration>();
  for (const { symbols } of Object.values(documentation.nodes)) {
    for (const { name, declarations } of symbols) {
      const found = declarations.find(({ kind }) => kind === "interface" || kind === "typeAlias");
      if (found) declared.set(name, found);
    }
  }
  const lines: string[] = [];
  const imported = new Set<string>();
  const written = new Map<string, string>();
  const exported = new Map(Object.entries(roots).map(([name, type]) => [type, name]));

  /** The name of a type's schema, which is written before the name is used. */
  function named(type: string): string {
    const before = written.get(type);
    if (before !== undefined) return before;
    const declaration = declared.get(type);
    const name = exported.get(type) ?? type[0].toLowerCase() + type.slice(1);
    written.set(type, name);
    if (!declaration) {
      imported.add(name);
      return name;
    }
    const text = declaration.kind === "interface"
      ? objectOf(propertiesOf(type), type)
      : expression(declaration.def.tsType!, type);
    lines.push(
      exported.has(type)
        ? `/** The schema of {@link ${type}}. */\nexport const ${name}: z.ZodType<${type}> = ${text};`
        : `const ${name} = ${text};`,
    );
    return name;
  }

  function propertiesOf(type: string): readonly Property[] {
    const { def } = declared.get(type)!;
    const inherited = (def.extends ?? []).flatMap((parent) =>
      parent.kind === "typeRef" ? propertiesOf(parent.value.typeName) : []
    );
    return [...inherited, ...def.properties ?? []];
  }

  function objectOf(properties: readonly Property[], where: string): string {
    const fields = properties.map(({ name, optional, tsType }) => {
      const value = expression(tsType, `${where}.${name}`);
      return value === name && !optional
        ? name
        : `${name}: ${value}${optional ? ".optional()" : ""}`;
    });
    return `z.strictObject({ ${fields.join(", ")} })`;
  }

  function unionOf(types: readonly Type[], where: string): string {
    const rest = types.filter((type) => !(type.kind === "keyword" && type.value === "null"));
    if (rest.length < types.length) return `${unionOf(rest, where)}.nullable()`;
    if (rest.length === 1) return expression(rest[0], where);
    if (rest.every((type) => type.kind === "literal" && type.value.kind === "string")) {
      return `z.enum([${rest.map(literal).join(", ")}])`;
    }
    if (rest.every((type) => type.kind === "literal")) {
      return `z.literal([${rest.map(literal).join(", ")}])`;
    }
    const members = rest.map((type) => type.kind === "typeRef" ? type.value.typeName : "");
    const key = ["type", "kind"].find((key) =>
      members.every((member) =>
        declared.has(member) &&
        propertiesOf(member).some(({ name, tsType }) => name === key && tsType.kind === "literal")
      )
    );
    if (key === undefined) {
      throw new TypeError(
        `${where}: a union is of literals or of interfaces with a type or a kind`,
      );
    }
    return `z.discriminatedUnion("${key}", [${members.map(named).join(", ")}])`;
  }

  function expression(type: Type, where: string): string {
    switch (type.kind) {
      case "keyword":
        if (type.value === "string" || type.value === "boolean") return `z.${type.value}()`;
        throw new TypeError(
          `${where}: "${type.value}" says too little; take a type of recipes/schema/leaves.ts`,
        );
      case "literal":
        return `z.literal(${literal(type)})`;
      case "union":
        return unionOf(type.value, where);
      case "array":
        return `z.array(${expression(type.value, where)})`;
      case "parenthesized":
        return expression(type.value, where);
      case "typeOperator":
        return expression(type.value.tsType, where);
      case "typeLiteral":
        return objectOf(type.value.properties, where);
      case "typeRef": {
        const { typeName, typeParams = [] } = type.value;
        const inner = () => typeParams.map((inner) => expression(inner, where));
        if (typeName === "Readonly") return inner()[0];
        if (typeName === "Record") return `z.record(${inner().join(", ")})`;
        return named(typeName);
      }
      default:
        throw new TypeError(`${where}: no schema is made of a ${(type as Type).kind}`);
    }
  }

  for (const type of Object.values(roots)) named(type);
  const path = relative(dirname(schema), types).replaceAll("\\", "/");
  return `/** Strict schemas of \`${types}\`, made by \`deno task schemas\`: change them there. */
import { z } from "zod";
import { ${[...imported].sort().join(", ")} } from "${leaves}";
import type { ${Object.values(roots).sort().join(", ")} } from "${
    path.startsWith(".") ? path : `./${path}`
  }";

${lines.join("\n\n")}
`;
}

function literal(type: Type): string {
  if (type.kind !== "literal") throw new TypeError(`expected a literal, found ${type.kind}`);
  return JSON.stringify(type.value[String(type.value.kind)]);
}

/**
 * What a file of schemas should hold, formatted.
 *
 * @param file Which.
 * @param root Path of the repository.
 * @returns Its text.
 */
export async function schemaOf(file: SchemaFile, root: string): Promise<string> {
  const documentation = JSON.parse(await deno(["doc", "--json", `${root}/${file.types}`]));
  const config = ["--config", `${root}/deno.json`];
  return await deno(["fmt", ...config, "--ext=ts", "-"], schemaText(file, documentation));
}

async function deno(args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  const root = `${import.meta.dirname}/../..`;
  for (const file of SCHEMA_FILES) {
    await Deno.writeTextFile(`${root}/${file.schema}`, await schemaOf(file, root));
  }
}
