"""The batch plan of data/batches.ts, written from its description alone.

    python3 bench/peers/batch_plan.py

prints the golden vectors of data/batches_test.ts and data/split_test.ts as
JSON. Python's standard library only; checked first against the known answers
published with Random123.
"""

import json

MASK = 0xFFFFFFFF
SPLIT, SHUFFLE, AUGMENTATION = 2, 3, 4


def philox(key, counter):
    """Philox4x32-10."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        product0 = 0xD2511F53 * c0
        product1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            (product1 >> 32) ^ c1 ^ k0,
            product1 & MASK,
            (product0 >> 32) ^ c3 ^ k1,
            product0 & MASK,
        )
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(seed, use, substream, part=0):
    block = 0
    while True:
        yield from philox((seed, use), (block, 0, substream, part))
        block += 1


def below(stream, bound):
    limit = (1 << 32) // bound * bound
    return next(word for word in stream if word < limit) % bound


def shuffled(values, stream):
    values = list(values)
    for i in range(len(values) - 1, 0, -1):
        j = below(stream, i + 1)
        values[i], values[j] = values[j], values[i]
    return values


def split(count, training, validation, seed):
    order = shuffled(range(count), words(seed, SPLIT, 0))
    return sorted(order[:training]), sorted(order[training : training + validation])


def batch(seed, indices, size, padding, augmented, order, epoch_end, iteration):
    """Rows of (index, cropY, cropX, flip)."""
    n = len(indices)
    if epoch_end == "run-on":
        places = [divmod(at, n) for at in range((iteration - 1) * size, iteration * size)]
    else:
        batches = n // size if epoch_end == "drop-partial" else -(-n // size)
        epoch, number = divmod(iteration - 1, batches)
        places = [(epoch, at) for at in range(number * size, min((number + 1) * size, n))]
    orders = {
        epoch: shuffled(indices, words(seed, SHUFFLE, epoch)) if order == "shuffled" else indices
        for epoch in {epoch for epoch, _ in places}
    }
    rows = []
    for position, (epoch, at) in enumerate(places):
        view = [padding, padding, 0]
        if augmented:
            stream = words(seed, AUGMENTATION, iteration, position)
            view = [below(stream, bound) for bound in (2 * padding + 1, 2 * padding + 1, 2)]
        rows.append([orders[epoch][at], *view])
    return rows


def main():
    # Known answers of Random123, tests/kat_vectors.
    assert philox((0, 0), (0, 0, 0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox((MASK, MASK), (MASK,) * 4) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)

    tens = list(range(0, 100, 10))
    cases = [
        (7, tens, 4, 4, True, "shuffled", "run-on", 3),
        (7, tens, 4, 4, True, "shuffled", "keep-partial", 6),
        (7, tens, 4, 4, True, "shuffled", "drop-partial", 5),
        (7, tens, 4, 2, False, "sequential", "run-on", 3),
    ]
    names = "seed indices batchSize cropPadding augmented order epochEnd iteration".split()
    training, validation = split(50_000, 45_000, 5_000, 1)
    late = batch(1, training, 128, 4, True, "shuffled", "run-on", 64_000)
    print("batches:")
    for case in cases:
        print(json.dumps({**dict(zip(names, case)), "rows": batch(*case)}))
    print("last batch of the paper's run, seed 1, 45k of the split below:")
    print(json.dumps([late[0], late[1], late[127]]))
    print("split of 50000 in 45000 and 5000, seed 1:")
    print(json.dumps({"training": training[:8], "validation": validation[:8]}))
    print(json.dumps({"training": training[-4:], "validation": validation[-4:]}))


main()
