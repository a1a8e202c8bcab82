// What the project relies on of @std/csv; the same tests hold for the package itself.
import { assertEquals, assertThrows } from "@std/assert";
import { parse, stringify } from "@std/csv";

Deno.test("@std/csv: parse gives rows of text, with or without an end of line at the end", () => {
  assertEquals(parse('a,b\r\n1,"x, ""y"""\r\n'), [["a", "b"], ["1", 'x, "y"']]);
  assertEquals(parse("1,2"), [["1", "2"]]);
  assertEquals(parse("1,2\n\n3,4\n"), [["1", "2"], ["3", "4"]]);
});

Deno.test("@std/csv: parse gives objects where the columns are known", () => {
  assertEquals<unknown>(parse("label,prediction\n3,5\n", { skipFirstRow: true }), [
    { label: "3", prediction: "5" },
  ]);
  assertEquals<unknown>(parse("3,5\n", { columns: ["a", "b"] }), [{ a: "3", b: "5" }]);
  assertEquals<unknown>(parse("x,y\n3,5\n", { skipFirstRow: true, columns: ["a", "b"] }), [
    { a: "3", b: "5" },
  ]);
});

Deno.test("@std/csv: parse refuses a row of another length, and quotes that do not close", () => {
  assertThrows(() => parse("a,b\n1,2,3\n", { skipFirstRow: true }), Error, "3 fields");
  assertThrows(() => parse('a,"b\n1,2\n'), SyntaxError);
});

Deno.test("@std/csv: stringify ends lines with CR LF and quotes what needs it", () => {
  assertEquals(stringify([[1, "x, y"], ['"', null]]), '1,"x, y"\r\n"""",\r\n');
  assertEquals(stringify([{ a: 1, b: true }], { columns: ["b", "a"] }), "b,a\r\ntrue,1\r\n");
  assertEquals(stringify([{ a: 1 }], { columns: ["a"], headers: false }), "1\r\n");
  assertEquals(
    stringify([{ a: { c: 2 } }], { columns: [{ header: "A", prop: "a" }] }),
    'A\r\n"{""c"":2}"\r\n',
  );
  assertEquals(stringify([], { columns: ["a", "b"] }), "a,b\r\n");
});

Deno.test("@std/csv: stringify needs columns where rows are objects", () => {
  assertThrows(() => stringify([{ a: 1 }]), TypeError);
});

Deno.test("@std/csv: parse reads what stringify wrote", () => {
  const rows = [["1", 'a "quoted", text'], ["2", "two\nlines"]];
  assertEquals(parse(stringify(rows)), rows);
});

Deno.test("@std/csv: what parse refuses, and what it takes for a field or a line", () => {
  for (const text of ['a"b', ' "a"', '"a"b', '"a" ,b', '"', 'a,"b']) {
    assertThrows(() => parse(text), SyntaxError);
  }
  assertThrows(() => parse("", { skipFirstRow: true }), TypeError);
  const read: [string, string[][]][] = [
    ["", []],
    ["\ufeffa,b", [["a", "b"]]],
    ["a\rb,c\r\n\r\n,\n", [["a\rb", "c"], ["", ""]]],
    ['1\n""\n', [["1"], [""]]],
    ['"a\r\nb",""""\r', [["a\nb", '"']]],
    [" a , b", [[" a ", " b"]]],
  ];
  for (const [text, rows] of read) assertEquals(parse(text), rows, JSON.stringify(text));
});

Deno.test("@std/csv: stringify puts quotes around what has to have them alone", () => {
  const row = [" a", "b ", "x\ry", "\ufeffz", "x\ny", true, -0, NaN];
  assertEquals(stringify([row]), ' a,b ,x\ry,\ufeffz,"x\ny",true,0,NaN\r\n');
  assertEquals(stringify([[""]]), "\r\n");
  assertEquals(stringify([{ a: 1 }], { columns: ["a", " b"] }), "a, b\r\n1,\r\n");
  assertThrows(() => stringify([["a"]], { columns: ["x"] }), TypeError);
});
