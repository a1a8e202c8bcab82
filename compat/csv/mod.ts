import Papa from "papaparse";
export function parse(text: string): string[][] {
  return Papa.parse(text).data as string[][];
}
