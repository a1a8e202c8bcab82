/** Right scripts in ten styles, none of which an audit may accuse of anything. */
import type { Change } from "./_mistake.ts";

/** A right script: a file of `styles/`, or one of them with a change that keeps it right. */
export interface CleanScript {
  /** The style, for example `accumulation`. */
  readonly id: string;
  /** The file of `styles/` that it is made of, without its ending. */
  readonly script: string;
  /** Recorded on all images; the others on a tenth of them, and into their second epoch. */
  readonly whole?: true;
  /** What makes this style of it. */
  readonly change?: Change;
}

const COMPILED = "model = ResNet()\ncriterion";

/** The ten styles. */
export const CLEAN: readonly CleanScript[] = [
  { id: "plain-loop", script: "loop", whole: true },
  { id: "class", script: "trainer" },
  { id: "lightning-like", script: "lightning_like" },
  {
    id: "accumulation",
    script: "loop",
    change: [{
      find: "        outputs = model(images)\n        loss = criterion(outputs, labels)\n" +
        "        loss.backward()\n",
      put: "        for half, half_labels in zip(images.chunk(2), labels.chunk(2)):\n" +
        "            outputs = model(half)\n" +
        "            loss = criterion(outputs, half_labels) * len(half) / len(images)\n" +
        "            loss.backward()\n",
    }],
  },
  {
    id: "amp",
    script: "trainer",
    change: [
      {
        find:
          "        logits = self.model(images)\n        loss = self.loss_function(logits, labels)\n",
        put: '        with torch.autocast("cpu", dtype=torch.bfloat16):\n' +
          "            logits = self.model(images)\n" +
          "            loss = self.loss_function(logits, labels)\n",
      },
      {
        find: "        loss.backward()\n        self.optimizer.step()\n",
        put: "        self.scaler.scale(loss).backward()\n" +
          "        self.scaler.step(self.optimizer)\n        self.scaler.update()\n",
      },
      {
        find: "        self.scheduler = ",
        put: '        self.scaler = torch.amp.GradScaler("cpu")\n        self.scheduler = ',
      },
    ],
  },
  {
    id: "compiled",
    script: "loop",
    change: [{ find: COMPILED, put: COMPILED.replace("ResNet()", "torch.compile(ResNet())") }],
  },
  {
    id: "data-parallel",
    script: "functional",
    change: [{ find: "model = ResNet()", put: "model = torch.nn.DataParallel(ResNet())" }],
  },
  { id: "own-dataset", script: "dataset" },
  { id: "functional", script: "functional" },
  {
    id: "channels-last",
    script: "trainer",
    change: [
      {
        find: "self.model = ResNet()",
        put: "self.model = ResNet().to(memory_format=torch.channels_last)",
      },
      {
        find: "        logits = self.model(images)\n",
        put: "        images = images.to(memory_format=torch.channels_last)\n" +
          "        logits = self.model(images)\n",
      },
    ],
  },
];
