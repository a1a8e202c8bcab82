"""The statistics of verdicts/statistics.ts, recomputed by SciPy.

    python3 bench/peers/scipy_statistics.py

prints the values that verdicts/statistics_test.ts compares with, one table a
function. Needs SciPy (the committed values were made with SciPy 1.16.2 and
NumPy 2.4.6).
"""

import numpy as np
from scipy import integrate, stats

# Test errors in percent, made up around Table 6.
SAMPLES = {
    "three": [8.69, 9.02, 8.55],
    "five": [8.81, 8.64, 8.92, 8.7, 8.75],
    "ten": [7.3, 7.62, 7.55, 7.41, 7.8, 7.49, 7.66, 7.58, 7.37, 7.52],
}
REFERENCE = 8.75


def summary(values):
    return len(values), np.mean(values), np.std(values, ddof=1)


def mean_interval(values, confidence):
    return stats.ttest_1samp(values, 0).confidence_interval(confidence)


def tost(values, reference, margin):
    """p values of both one-sided tests."""
    below = stats.ttest_1samp(values, reference - margin, alternative="greater").pvalue
    above = stats.ttest_1samp(values, reference + margin, alternative="less").pvalue
    return below, above


def difference_interval(values, reference, confidence):
    """SciPy's own interval takes no sample of one: its formula, written out for that case."""
    if len(reference) > 1:
        test = stats.ttest_ind(values, reference, equal_var=True)
        return test.confidence_interval(confidence)
    count, mean, deviation = summary(values)
    scale = deviation * np.sqrt(1 / count + 1)
    return stats.t.interval(confidence, count - 1, loc=mean - reference[0], scale=scale)


def prediction_interval(mean, count, deviation, deviation_count, confidence):
    scale = deviation * np.sqrt(1 + 1 / count)
    return stats.t.interval(confidence, deviation_count - 1, loc=mean, scale=scale)


def power(error, degrees, margin, difference, alpha=0.05):
    """By quadrature over the chi-squared distribution of the variance."""
    t = stats.t.ppf(1 - alpha, degrees)

    def integrand(q):
        half = t * np.sqrt(q / degrees)
        return stats.chi2.pdf(q, degrees) * (
            stats.norm.cdf((margin - difference) / error - half)
            - stats.norm.cdf(half - (margin + difference) / error)
        )

    empty = degrees * (margin / (t * error)) ** 2
    most = min(empty, stats.chi2.isf(1e-15, degrees))
    return integrate.quad(integrand, 0, most, epsabs=1e-12, epsrel=1e-11, limit=1000)[0]


def convergence_bound(epochs, submitted):
    """MLPerf's rcp_checker: the lowest mean that is not significantly below the reference's."""
    kept = sorted(epochs)[1:-1]
    mean, deviation, count = np.mean(kept), np.std(kept), len(kept)
    lower, upper = 0.0, mean
    while upper - lower > 1e-10:
        middle = (lower + upper) / 2
        test = stats.ttest_ind_from_stats(
            middle, deviation, submitted - 2, mean, deviation, count, alternative="less"
        )
        lower, upper = (lower, middle) if test.pvalue > 0.05 else (middle, upper)
    return count, mean, deviation, upper


def main():
    for name, values in SAMPLES.items():
        print(name, values)
        print("  summary", *summary(values))
        for confidence in (0.95, 0.9):
            print("  t interval", confidence, *mean_interval(values, confidence))
        print("  t test", stats.ttest_1samp(values, REFERENCE).pvalue)
        for margin in (0.5, 0.2):
            print("  TOST", margin, *tost(values, REFERENCE, margin))
        print("  minus one run", *difference_interval(values, [REFERENCE], 0.95))
        five = SAMPLES["five"]
        print("  minus five runs", *difference_interval(values, five, 0.9))
    print("prediction")
    for row in [(6.61, 5, 0.16, 5, 0.95), (8.75, 1, 0.16, 5, 0.95), (7.51, 1, 0.54, 10, 0.99)]:
        print(" ", *row, *prediction_interval(*row))
    print("power of TOST, margin 0.5")
    for runs in (2, 3, 5, 10):
        for spread in (0.16, 0.3, 0.54):
            for difference in (0, 0.25, 0.5):
                value = power(spread / np.sqrt(runs), runs - 1, 0.5, difference)
                print(" ", runs, spread, difference, value)
    print("MLPerf, resnet_ref_4096, submissions of 5 runs")
    print(" ", *convergence_bound([39, 42, 40, 41, 39, 40, 41, 39, 40, 39], 5))


if __name__ == "__main__":
    main()
