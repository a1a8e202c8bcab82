// What the page of `deno task watch` does in the browser: filter, choose, and show what changed.
// @ts-nocheck: plain JavaScript, so that no build step is needed.
const list = document.getElementById("runs");
const compared = document.getElementById("compared");
const filter = document.getElementById("filter");
const state = document.getElementById("state");
const live = document.getElementById("live");
const chosen = new Set(new URLSearchParams(location.search).getAll("run"));

async function fragment(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return await answer.text();
}

function query() {
  const words = new URLSearchParams();
  if (filter.value) words.set("filter", filter.value);
  if (state.value) words.set("state", state.value);
  for (const run of chosen) words.append("run", run);
  return words;
}

/** By what an element is known again after its part of the page was written anew. */
const keyOf = (element) =>
  [
    element.tagName,
    ...["value", "href", "aria-label", "aria-labelledby"].map((name) => element.getAttribute(name)),
  ].join(" ");

/** Writes a part of the page anew; what has the focus keeps it, what was scrolled stays there. */
function show(part, html) {
  const places = new Map();
  for (const element of part.querySelectorAll(".scroll")) {
    places.set(keyOf(element), [element.scrollLeft, element.scrollTop]);
  }
  const active = document.activeElement;
  const focused = part.contains(active) ? keyOf(active) : undefined;
  part.innerHTML = html;
  for (const element of part.querySelectorAll(".scroll")) {
    element.scrollTo(...places.get(keyOf(element)) ?? [0, 0]);
  }
  if (focused === undefined) return;
  const again = [...part.querySelectorAll("input, a, [tabindex]")];
  again.find((element) => keyOf(element) === focused)?.focus({ preventScroll: true });
}

let asked = 0;
async function refresh() {
  const mine = ++asked;
  const words = query();
  history.replaceState(null, "", words.size > 0 ? `?${words}` : location.pathname);
  try {
    const [rows, figures] = await Promise.all([
      fragment(`/runs?${words}`),
      fragment(`/compare?${words}`),
    ]);
    // An answer that a later question has overtaken is not shown.
    if (mine !== asked) return;
    show(list, rows);
    show(compared, figures);
    live.textContent = "";
  } catch (error) {
    live.textContent = `not connected: ${error.message}`;
  }
}

list.addEventListener("change", () => {
  // Runs that are drawn unasked stay when the first is added to them, or go when they are left out.
  for (const { value, checked } of list.querySelectorAll("input")) {
    if (checked) chosen.add(value);
    else chosen.delete(value);
  }
  refresh();
});
let waiting;
filter.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 150);
});
state.addEventListener("change", refresh);

const start = new URLSearchParams(location.search);
filter.value = start.get("filter") ?? "";
state.value = start.get("state") ?? "";

const changes = new EventSource("/changes");
changes.addEventListener("message", refresh);
changes.addEventListener("error", () => {
  live.textContent = "not connected; the page goes on by itself when the server is back";
});
changes.addEventListener("open", refresh);
