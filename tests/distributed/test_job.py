"""How jobs end, and that nothing is left of them. Their processes are shell scripts, without MXNet."""

from tests.distributed.conftest import ONLY_WORKERS, SAVING, WAIT, marked, wait_for


def test_whatever_fails_is_named_and_the_rest_is_ended(start, mark):
    again = '; ending the job (the same command resumes it)'
    cases = [
        ('worker1', 'exit 3', 3, 'worker 1 on localhost ended with status 3; ending the job'),
        ('worker1', 'exit 255', 255, 'worker 1 on localhost ended with status 255' + again),
        ('server0', 'kill -TERM $$', 143, 'server 0 on localhost was killed by signal 15 (SIGTERM)' + again),
        ('scheduler', 'exit 4', 4, 'the scheduler ended with status 4; ending the job'),
    ]
    code = 'if [ $DMLC_ROLE$DMLC_TASK_ID = {} ]; then {}; fi; ' + WAIT
    launchers = [start('-n', 2, '-s', 1, 'sh', '-c', code.format(process, ending)) for process, ending, _, _ in cases]
    for launcher, (_, _, expected, error) in zip(launchers, cases, strict=True):
        assert launcher.wait() == (expected, [], ['error: ' + error])
    assert marked(mark) == []


def test_of_workers_that_fail_together_one_is_named(start):
    status, _, errors = start('-n', 4, '-s', 1, 'sh', '-c', ONLY_WORKERS + 'exit 2').wait()
    assert status == 2 and len(errors) == 1 and 'ended with status 2' in errors[0]


def test_servers_and_scheduler_may_end_a_little_before_the_workers(start):
    code = 'case $DMLC_ROLE in worker) sleep 0.5;; esac'
    assert start('-n', 1, 'sh', '-c', code, settle=60).wait() == (0, [], [])


def test_servers_may_not_end_long_before_the_workers(start, mark):
    code = f'case $DMLC_ROLE in server) exit;; *) {WAIT};; esac'
    status, _, errors = start('-n', 1, 'sh', '-c', code).wait()
    assert status == 1 and 'server 0 on localhost ended before the workers' in errors[0] and marked(mark) == []


def test_nothing_outlives_a_launcher_that_is_killed(start, mark, tmp_path):
    """Not even what ignores SIGTERM."""
    launcher = start('-n', 2, 'sh', '-c', f"trap '' TERM; touch {tmp_path}/$DMLC_ROLE$DMLC_TASK_ID; {WAIT}")
    files = [tmp_path / name for name in ('scheduler', 'server0', 'server1', 'worker0', 'worker1')]
    assert wait_for(lambda: all(file.exists() for file in files))
    launcher.process.kill()
    assert len(marked(mark)) >= 10 and wait_for(lambda: not marked(mark))


def test_workers_save_before_a_job_that_is_stopped_ends(start, mark, tmp_path):
    launchers = []
    for how in 'key', 'signal':
        (tmp_path / how).mkdir()
        launchers.append(start('-n', 2, '-s', 1, 'sh', '-c', SAVING.format(tmp_path / how)))
    by_key, by_signal = launchers
    assert wait_for(lambda: len(list(tmp_path.glob('*/ready*'))) == 4)
    by_key.press_ctrl_c()
    by_signal.process.terminate()
    stopping = 'stopping: the workers save and end; Ctrl-C ends them at once'
    assert by_key.wait() == (130, ['saved'] * 2, [stopping]) and by_signal.wait() == (143, ['saved'] * 2, [stopping])
    assert marked(mark) == []


def test_workers_that_do_not_end_when_they_are_asked_to_are_killed(start, mark, tmp_path):
    """At the second Ctrl-C or SIGTERM, or after a time."""
    code = ONLY_WORKERS + f"trap '' TERM; touch {tmp_path}/ready$$; " + WAIT
    twice, terminated, once = (start('-n', 1, 'sh', '-c', code, save=save) for save in (600, 600, 0.5))
    assert wait_for(lambda: len(list(tmp_path.glob('ready*'))) == 3)
    terminated.process.terminate()
    assert wait_for(lambda: 'stopping' in terminated.errors())
    terminated.process.terminate()
    killed = 'error: worker 0 on localhost has not ended and is killed'
    status, _, errors = terminated.wait()
    assert status == 143 and errors[1:] == [killed]
    for launcher in twice, once:
        launcher.press_ctrl_c()
        assert wait_for(lambda launcher=launcher: 'stopping' in launcher.errors())
    twice.press_ctrl_c()
    for launcher, error in (twice, 'error: interrupted'), (once, killed):
        status, _, errors = launcher.wait()
        assert status == 130 and errors[1:] == [error]
    assert marked(mark) == []
