"""The benchmark of searches: which of its rows are compared."""

from benchmarks import searches


def test_searches_are_compared_with_random_search_of_the_same_runs():
    def row(search, design, score, metric="final", **more):
        same = {"env": "A-v0", "run_steps": 64, "repetition": 0, "steps": 10, "fresh": 0.0}
        return {**same, "metric": metric, "search": search, "design": design, "score": score, **more}

    rows = [
        row("asha", "45 trials, eta 4, rungs 2", 9.0, steps=3, error=0.8),
        row("asha", "45 trials, eta 4, rungs 2", 8.0, "mean"),
        row("pbt", "10 trials, 8 evaluations", 8.9, error=0.8),
        row("pbt", "10 trials, 16 evaluations", 10.0),
        row("random", "30 trials, 2 evaluations", 10.0, error=0.6),
        row("random", "30 trials, 8 evaluations", 9.0, "mean"),
        row("random", "30 trials, 16 evaluations", 8.0, "mean"),
    ]
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in searches.table(rows)[2:]]
    found = {(line[2], line[3].split(",")[0], line[3].split(", ")[-1]): line[4:6] + line[8:] for line in lines}
    # A standard error of the difference is 1.
    assert found["final", "asha", "rungs 2"] == ["0.30", "0.30", "0 of 1", "1 of 1"]
    assert found["final", "pbt", "8 evaluations"] == ["1.00", "1.00", "0 of 1", "0 of 1"]
    assert found["final", "pbt", "16 evaluations"] == ["1.00", "1.00", "1 of 1", ""]
    # Only with as many evaluations are means comparable.
    assert found["mean", "asha", "rungs 2"] == ["1.00", "1.00", "1 of 1", ""]
