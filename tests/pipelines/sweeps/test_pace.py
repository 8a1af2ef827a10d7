"""How long a sweep still takes."""

from pipelines.sweeps.pace import images_left, seconds_per_image, time_left
from pipelines.sweeps.trial import EARLIER, _reporter
from training.events import SnapshotSaved, Started


def left(tried, at_a_time=2):
    return time_left(tried.sweep, list(tried.record.trials.values()), at_a_time)


def test_nothing_is_said_before_something_was_timed(tried):
    assert left(tried) == ""
    tried.begin(0)
    assert seconds_per_image(list(tried.record.trials.values())) is None and left(tried) == ""


def test_images_of_an_earlier_run_are_not_timed(tried):
    tried.begin(0)
    tried.now[0] = 1.0
    tried.report(0, 10_016, earlier=True)
    trials = list(tried.record.trials.values())
    assert seconds_per_image(trials) is None
    tried.now[0] = 101.16
    tried.report(0, 20_032, earlier=False)
    assert seconds_per_image(trials) == 100.16 / 10_016


def test_at_least_the_first_rung_at_most_the_end_of_each(tried):
    tried.begin(0)
    tried.now[0] = 100.16  # 0.01 s an image
    tried.report(0, 10_016)
    trials = list(tried.record.trials.values())
    assert images_left(tried.sweep, trials) == ([0] + 3 * [10_016], [30_048] + 3 * [40_064])
    # 30,048 and 150,240 images, two at a time
    assert left(tried) == "2:30 to 12:31 left"
    assert left(tried, at_a_time=1) == "5:00 to 25:02 left"
    assert left(tried, at_a_time=9) == "1:40 to 6:41 left", "no trial is shorter than itself"


def test_a_trial_that_may_stop_at_once(tried):
    tried.sweep.config = tried.sweep.config.model_copy(update={"trials": 1})
    tried.begin(0)
    tried.now[0] = 100.16
    tried.report(0, 10_016)
    assert left(tried) == "at most 5:00 left"


def test_without_early_stopping_each_goes_to_its_end(tried):
    tried.sweep.config = tried.sweep.config.model_copy(update={"scheduler": "none"})
    tried.begin(0)
    tried.now[0] = 400.64
    tried.report(0, 40_064)
    tried.record.ended("t0")
    assert left(tried) == "about 10:01 left"


def test_nothing_is_left_when_all_are_over(tried):
    for number in range(4):
        tried.begin(number, lr=0.01 + number / 1000)
        tried.now[0] += 100
        tried.report(number, 10_016)
        tried.record.ended(f"t{number}")
    assert left(tried) == ""


def test_images_of_before_a_resume_are_not_timed(tried):
    """A trial goes on from a checkpoint, which may be of after its last rung."""
    tried.begin(0)
    tried.now[0] = 100.16
    tried.report(0, 10_016)
    tried.begin(0)  # it was stopped at 38,064 images
    tried.now[0] += 20.0
    tried.report(0, 40_064, begun_at=38_064)
    assert seconds_per_image(list(tried.record.trials.values())) == 120.16 / 12_016


def test_a_trial_tells_at_how_many_images_its_training_began():
    told = []
    report = _reporter(told.append, "f")
    report(SnapshotSaved(10_016, EARLIER, {"nimg": 10_016}))
    report(Started(38_064, 40_064, True))
    report(Started(10_016, 40_064, True))  # its workers began anew: the images in between took time
    report(SnapshotSaved(40_064, "path", {"nimg": 40_064}))
    assert [(one["earlier"], one["begun_at"]) for one in told] == [(True, 0), (False, 38_064)]
