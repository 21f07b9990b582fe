from benchmarks.solved import phases, summary

LINES = [
    (0.5, "ppo on CartPole-v1, 2,000,000 steps, seed 0, 2 devices: /somewhere/run\n"),
    (2.25, "compiled in 1.7 s\n"),
    (2.5, "    0.07M steps     490k steps/s     4 s left  return 25.0242, evaluation 106.098\n"),
    (3.0, "a return of 475 is reached: 480.162 at 1,262,144 steps\n"),
    (4.0, "curve: /somewhere/run/curve.png\n"),
]


def test_lines_of_a_run_tell_its_phases():
    assert phases(LINES) == {
        "solved_s": 3.0, "imports_s": 0.5, "devices": 2, "compilation_s": 1.75, "training_s": 0.75,
        "value": 480.162, "steps": 1262144,
    }  # fmt: skip


def test_a_run_that_never_reached_its_return_is_not_solved():
    assert phases(LINES[:3]) == {"solved_s": None, "imports_s": 0.5, "devices": 2, "compilation_s": 1.75}


def test_the_summary_counts_what_was_reached_and_takes_the_median_of_it():
    rows = [{"cache": "warm", "exit_s": 9.0, **phases(LINES)} for _ in range(3)]
    rows += [{"cache": "warm", "exit_s": 9.0, **phases(LINES[:3])}, {"cache": "cold", **phases(LINES)}]
    found = summary("warm", rows)
    assert (found["runs"], found["reached"], found["solved_s"]["median"]) == (4, 3, 3.0)
