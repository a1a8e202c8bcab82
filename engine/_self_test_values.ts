/**
 * What `self_test.ts` expects: of each array its Euclidean norm and its
 * projection on a fixed pattern.
 *
 * Made by `bench/peers/self_test_values.py`: PyTorch 2.13.0 in double
 * precision on a CPU. The smallest |pre-activation| of the differentiated pass
 * is 3.1e-04.
 */
export const SELF_TEST_VALUES: SelfTestValues = {
  "seed": 88,
  "inference": [
    10.902208,
    4.621871,
  ],
  "training": {
    "loss": 2.5242164,
    "output": [
      6.6040481,
      4.0224625,
    ],
    "inputGradient": [
      0.49137074,
      -0.18183292,
    ],
    "gradients": {
      "conv1.weight": [
        2.0794592,
        0.65674529,
      ],
      "bn1.weight": [
        0.52323498,
        0.35640172,
      ],
      "bn1.bias": [
        0.48283416,
        0.33894292,
      ],
      "layer1.0.conv1.weight": [
        3.4956648,
        -4.4708828,
      ],
      "layer1.0.bn1.weight": [
        0.46050415,
        -0.49523484,
      ],
      "layer1.0.bn1.bias": [
        0.33218058,
        -0.21242271,
      ],
      "layer1.0.conv2.weight": [
        2.791082,
        -2.8861065,
      ],
      "layer1.0.bn2.weight": [
        0.25854739,
        0.043841959,
      ],
      "layer1.0.bn2.bias": [
        0.26501145,
        0.16610494,
      ],
      "layer2.0.conv1.weight": [
        2.6192612,
        -0.556519,
      ],
      "layer2.0.bn1.weight": [
        0.27788681,
        -0.035464576,
      ],
      "layer2.0.bn1.bias": [
        0.23048808,
        -0.046696862,
      ],
      "layer2.0.conv2.weight": [
        3.4771228,
        0.39362163,
      ],
      "layer2.0.bn2.weight": [
        0.29319097,
        0.1522683,
      ],
      "layer2.0.bn2.bias": [
        0.28040482,
        0.067140914,
      ],
      "layer3.0.conv1.weight": [
        3.1191696,
        2.3419472,
      ],
      "layer3.0.bn1.weight": [
        0.21029556,
        -0.00061060955,
      ],
      "layer3.0.bn1.bias": [
        0.16893582,
        0.030786282,
      ],
      "layer3.0.conv2.weight": [
        3.7907584,
        0.25737524,
      ],
      "layer3.0.bn2.weight": [
        0.26017817,
        -0.25057952,
      ],
      "layer3.0.bn2.bias": [
        0.42230272,
        -0.13459774,
      ],
      "linear.weight": [
        2.9983707,
        1.4163132,
      ],
      "linear.bias": [
        0.38103627,
        0.23240282,
      ],
    },
  },
  "steps": {
    "losses": [
      2.7661968,
      3.800473,
    ],
    "weights": {
      "conv1.weight": [
        5.6286076,
        -3.857733,
      ],
      "bn1.weight": [
        4.2218528,
        0.91943711,
      ],
      "bn1.bias": [
        1.1077811,
        0.31168129,
      ],
      "bn1.running_mean": [
        0.81965518,
        0.057668801,
      ],
      "bn1.running_var": [
        3.6264736,
        1.797538,
      ],
      "layer1.0.conv1.weight": [
        5.6858713,
        4.0900205,
      ],
      "layer1.0.bn1.weight": [
        3.9208266,
        1.0051082,
      ],
      "layer1.0.bn1.bias": [
        1.1987695,
        -0.16498538,
      ],
      "layer1.0.bn1.running_mean": [
        1.0338026,
        -0.70567463,
      ],
      "layer1.0.bn1.running_var": [
        4.0340273,
        0.59144636,
      ],
      "layer1.0.conv2.weight": [
        5.6942416,
        -3.2407936,
      ],
      "layer1.0.bn2.weight": [
        3.8147925,
        0.50405192,
      ],
      "layer1.0.bn2.bias": [
        1.0983041,
        -0.4036074,
      ],
      "layer1.0.bn2.running_mean": [
        1.1648773,
        -0.30258867,
      ],
      "layer1.0.bn2.running_var": [
        4.3570009,
        0.090501449,
      ],
      "layer2.0.conv1.weight": [
        8.0341097,
        2.2143703,
      ],
      "layer2.0.bn1.weight": [
        5.7576867,
        1.4453443,
      ],
      "layer2.0.bn1.bias": [
        1.6217446,
        -0.33932544,
      ],
      "layer2.0.bn1.running_mean": [
        1.2956205,
        0.71716763,
      ],
      "layer2.0.bn1.running_var": [
        6.4033848,
        2.0852095,
      ],
      "layer2.0.conv2.weight": [
        8.1396139,
        -0.35921983,
      ],
      "layer2.0.bn2.weight": [
        6.0647555,
        0.19075087,
      ],
      "layer2.0.bn2.bias": [
        1.6344153,
        -0.031105095,
      ],
      "layer2.0.bn2.running_mean": [
        1.2363521,
        0.36302844,
      ],
      "layer2.0.bn2.running_var": [
        5.6616453,
        0.35151567,
      ],
      "layer3.0.conv1.weight": [
        11.339091,
        -6.8805124,
      ],
      "layer3.0.bn1.weight": [
        8.52619,
        3.5952923,
      ],
      "layer3.0.bn1.bias": [
        2.3043264,
        0.67443467,
      ],
      "layer3.0.bn1.running_mean": [
        2.2081449,
        -0.60434832,
      ],
      "layer3.0.bn1.running_var": [
        8.9318416,
        1.7606003,
      ],
      "layer3.0.conv2.weight": [
        11.45646,
        9.914358,
      ],
      "layer3.0.bn2.weight": [
        8.0004869,
        0.62256343,
      ],
      "layer3.0.bn2.bias": [
        2.281831,
        -0.67928573,
      ],
      "layer3.0.bn2.running_mean": [
        1.9707574,
        -1.6918604,
      ],
      "layer3.0.bn2.running_var": [
        7.2859692,
        -0.46327818,
      ],
      "linear.weight": [
        4.4481761,
        2.6768203,
      ],
      "linear.bias": [
        0.79606786,
        0.51730858,
      ],
    },
    "momentum": {
      "conv1.weight": [
        2.7711007,
        -0.64779456,
      ],
      "bn1.weight": [
        0.92999375,
        0.91477622,
      ],
      "bn1.bias": [
        0.64510138,
        0.69232784,
      ],
      "layer1.0.conv1.weight": [
        4.9917058,
        2.7737087,
      ],
      "layer1.0.bn1.weight": [
        0.5544094,
        -0.55304033,
      ],
      "layer1.0.bn1.bias": [
        0.32398035,
        0.20380356,
      ],
      "layer1.0.conv2.weight": [
        4.5461479,
        -2.0579178,
      ],
      "layer1.0.bn2.weight": [
        0.43954478,
        -0.037985892,
      ],
      "layer1.0.bn2.bias": [
        0.35251807,
        0.28975035,
      ],
      "layer2.0.conv1.weight": [
        5.2972864,
        4.9060761,
      ],
      "layer2.0.bn1.weight": [
        0.50496569,
        -0.041287532,
      ],
      "layer2.0.bn1.bias": [
        0.4053349,
        0.031198664,
      ],
      "layer2.0.conv2.weight": [
        6.8141824,
        -2.4299114,
      ],
      "layer2.0.bn2.weight": [
        0.5480375,
        0.20164741,
      ],
      "layer2.0.bn2.bias": [
        0.4345238,
        0.089872738,
      ],
      "layer3.0.conv1.weight": [
        7.8182864,
        -8.80009,
      ],
      "layer3.0.bn1.weight": [
        0.56918598,
        -0.29033131,
      ],
      "layer3.0.bn1.bias": [
        0.47935209,
        -0.055584204,
      ],
      "layer3.0.conv2.weight": [
        10.661774,
        6.2325612,
      ],
      "layer3.0.bn2.weight": [
        0.65738311,
        0.26390135,
      ],
      "layer3.0.bn2.bias": [
        0.52326278,
        -0.49828198,
      ],
      "linear.weight": [
        3.6039582,
        -1.5894941,
      ],
      "linear.bias": [
        0.50882407,
        0.34858764,
      ],
    },
  },
  "evaluation": {
    "loss": 3.2381616,
    "logits": [
      8.8654299,
      1.2450029,
    ],
    "predictions": [
      2,
      2,
      2,
      2,
      2,
      2,
    ],
  },
};

/** [Euclidean norm, projection on the pattern]. */
export type Fingerprint = readonly [number, number];

/** See `self_test.ts` for the case that these belong to. */
export interface SelfTestValues {
  readonly seed: number;
  readonly inference: Fingerprint;
  readonly training: {
    readonly loss: number;
    readonly output: Fingerprint;
    readonly inputGradient: Fingerprint;
    readonly gradients: Readonly<Record<string, Fingerprint>>;
  };
  readonly steps: {
    readonly losses: readonly number[];
    readonly weights: Readonly<Record<string, Fingerprint>>;
    readonly momentum: Readonly<Record<string, Fingerprint>>;
  };
  readonly evaluation: {
    readonly loss: number;
    readonly logits: Fingerprint;
    readonly predictions: readonly number[];
  };
}
