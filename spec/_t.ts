import { judge, STATIC_RULES, subjectOf } from "./mod.ts";
import { demo, paper, RECIPES } from "../recipes/mod.ts";
for (const r of [demo(), paper("resnet20"), paper("resnet110"), RECIPES["system-c"]("resnet34")]) {
  const t = performance.now();
  const j = judge(STATIC_RULES, subjectOf(r, 3));
  console.log(r.name, (performance.now() - t).toFixed(0), j.filter((x) => x.outcome === "fail").map((x) => x.id).join(" "));
}
