// Exact binomial tests.

/** Natural logarithms of 0! .. n!. */
function logFactorials(n) {
  const logs = new Float64Array(n + 1);
  for (let i = 2; i <= n; i++) logs[i] = logs[i - 1] + Math.log(i);
  return logs;
}

/** P(X >= k) for X ~ Binomial(n, p): how often chance alone does at least as well. */
function binomialTail(k, n, p) {
  if (k <= 0) return 1;
  if (k > n) return 0;
  const logs = logFactorials(n);
  let sum = 0;
  // From the smallest term up, so that nothing is lost in rounding.
  for (let i = n; i >= k; i--) {
    sum += Math.exp(logs[n] - logs[i] - logs[n - i] + i * Math.log(p) + (n - i) * Math.log1p(-p));
  }
  return Math.min(1, sum);
}

/** ABX: the chance of at least so many right answers by guessing. */
function abxPValue(correct, total) {
  return total ? binomialTail(correct, total, 0.5) : 1;
}

/**
 * Preference among `choices` versions: the chance that guessing favours any one of them at least as often.
 * Times the number of versions, because the favourite was picked after the fact (Bonferroni); with two
 * versions that is the exact two-sided binomial test.
 */
function preferencePValue(wins, rounds, choices) {
  if (!rounds || choices < 2) return 1;
  return Math.min(1, choices * binomialTail(wins, rounds, 1 / choices));
}
