"""Events reach the driver, and whatever goes wrong with them never reaches the training."""

import threading
import time
import warnings

import pytest

from pipelines.ray_jobs.event_queue import MOST_WAITING, Mailbox, Sender, forward, steady
from training.events import Ended


class Lost(Exception):
    """What Ray raises where an actor is gone."""


class Post:
    """Mailboxes as Ray has them: at most one at a time under a name; a killed one is gone."""

    def __init__(self):
        self.mailbox = None
        self.made = 0
        self.one_at_a_time = threading.Lock()  # as an actor answers

    def make(self):
        if self.mailbox is not None:
            raise ValueError("the name is taken")
        self.mailbox, self.made = Mailbox(), self.made + 1
        return self._call(self.mailbox, "drain")

    def find(self):
        if self.mailbox is None:
            raise ValueError("no actor of that name")
        return self._call(self.mailbox, "push")

    def kill(self):
        self.mailbox = None

    def _call(self, mailbox, method):
        def call(*arguments):
            with self.one_at_a_time:
                if self.mailbox is not mailbox:
                    raise Lost("the actor died")
                return getattr(mailbox, method)(*arguments)

        return call


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def driver(post):
    """driver.seen: what the driver has reported; driver.end() as at the end of a training."""

    class Driver:
        def __init__(self):
            self.seen, self.stop, self.arrived = [], threading.Event(), threading.Condition()
            self.thread = threading.Thread(
                target=forward, args=(post.make(), post.make, self.report, self.stop, 0.01)
            )
            self.thread.start()

        def report(self, event):
            with self.arrived:
                self.seen.append(event)
                self.arrived.notify()

        def wait_for(self, event):
            with self.arrived:
                assert self.arrived.wait_for(lambda: event in self.seen, 10), self.seen

        def end(self):
            self.stop.set()
            self.thread.join(10)
            assert not self.thread.is_alive()

    driver = Driver()
    yield driver
    driver.end()


def test_events_arrive_in_order(post, driver):
    send = Sender(post.find)
    for number in range(5):
        send({"n": number})
    driver.end()  # what lies in the mailbox then is fetched still
    assert driver.seen == [{"n": number} for number in range(5)]


def test_a_lost_mailbox_is_made_anew_and_found_again(post, driver):
    send = Sender(post.find, clock=lambda: 0.0)  # never rests
    send({"n": 0})
    driver.wait_for({"n": 0})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        post.kill()
        number = 1
        while post.made < 2:  # until the driver has noticed, events find no mailbox
            send({"n": number})
            number += 1
            time.sleep(0.002)
        send({"n": number})
        driver.wait_for({"n": number})
        driver.end()
    assert driver.seen == [{"n": n} for n in range(number + 1)], "what waited came late, in order"
    texts = [str(warning.message) for warning in told]
    assert len([t for t in texts if "lost and made anew" in t]) == 1
    assert len([t for t in texts if "do not arrive" in t]) <= 1


def test_a_worker_without_a_mailbox_trains_on_and_keeps_the_latest_events(post):
    send = Sender(post.find, clock=lambda: 0.0)  # never rests
    with pytest.warns(UserWarning, match="training goes on") as told:
        for number in range(MOST_WAITING + 10):
            send({"n": number})
    assert len(told) == 1
    post.make()
    send({"n": "last"})
    kept = post.mailbox.drain()
    assert len(kept) == MOST_WAITING and kept[-1] == {"n": "last"} and kept[0] == {"n": 11}


def test_a_driver_without_ray_ends(post):
    """Ray goes down: no mailbox can be reached or made."""

    def make():
        raise RuntimeError("Ray has been shut down")

    stop = threading.Event()
    drain = post.make()
    post.kill()
    thread = threading.Thread(target=forward, args=(drain, make, print, stop, 0.01))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_failing_report_costs_one_warning(post):
    seen = []

    def report(event):
        seen.append(event)
        raise OSError("disk full")

    safely = steady(report)
    with pytest.warns(UserWarning, match="cannot be shown.*disk full") as told:
        for number in range(3):
            safely({"n": number})
    assert len(told) == 1 and len(seen) == 3
    stop = threading.Event()
    stop.set()
    drain = post.make()
    post.mailbox.push([{"n": 3}, {"n": 4}])
    with pytest.warns(UserWarning, match="disk full"):
        forward(drain, post.make, report, stop, 0.01)
    assert len(seen) == 5


@pytest.mark.parametrize("meant", [KeyboardInterrupt, SystemExit])
def test_what_is_meant_for_the_training_passes(meant):
    def report(event):
        raise meant

    with pytest.raises(meant):
        steady(report)({})


def test_events_of_the_end_wait_for_a_mailbox_that_is_made_anew():
    tries, arrived = [], []

    def find():
        tries.append(1)
        if len(tries) < 5:
            raise ValueError("no such actor")
        return arrived.extend

    send = Sender(find)
    with pytest.warns(UserWarning, match="do not arrive"):
        send(Ended(8))
    assert not arrived
    send.close(every_s=0.0)
    assert arrived == [Ended(8)] and not send.waiting
    dead = Sender(lambda: 1 / 0)
    with pytest.warns(UserWarning, match="do not arrive"):
        dead(Ended(8))
    dead.close(seconds=0.0)
    assert list(dead.waiting) == [Ended(8)]


def test_a_mailbox_that_does_not_answer_slows_a_training_by_a_tenth():
    now, attempts = [0.0], []

    def find():
        attempts.append(now[0])
        now[0] += 60.0  # as long as Ray waits for an answer
        raise TimeoutError("no answer")

    send = Sender(find, clock=lambda: now[0])
    with pytest.warns(UserWarning, match="training goes on"):
        send(Ended(0))
    for nimg in range(1, 1300):
        now[0] += 1.0  # a step of training
        send(Ended(nimg))
    assert attempts == [0.0, 60.0, 1320.0, 1380.0]
    assert len(send.waiting) == MOST_WAITING and send.waiting[-1].nimg == 1299
