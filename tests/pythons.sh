#!/bin/sh
# Try every Python from 3.10 to 3.13 that is found, each in an environment of its own, .venv-3.X: train a step, and
# evaluate a run, whose result must be the one of .venv.
# Usage: sh tests/pythons.sh RUN_DIR
set -u
run=$1
expected=$(.venv/bin/python eval.py "$run") || exit 1
found=0
failed=0

# The interpreter of a version: on the PATH, or one of pyenv's.
interpreter() {
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

for version in 3.10 3.11 3.12 3.13; do
    python=$(interpreter $version)
    if [ -z "$python" ]; then
        echo "Python $version: not installed"
        continue
    fi
    found=$((found + 1))
    venv=.venv-$version
    if make --no-print-directory .venv VENV=$venv PYTHON="$python" >$venv.log 2>&1 &&
        $venv/bin/python tests/one_step.py &&
        result=$($venv/bin/python eval.py "$run") && echo "$result" && [ "$result" = "$expected" ]; then
        rm -f $venv.log
    else
        echo "Python $version: FAILED"
        [ -f $venv.log ] && tail -5 $venv.log
        failed=$((failed + 1))
    fi
done
echo "$((found - failed)) passed, $failed failed"
[ $found -gt 0 ] && [ $failed -eq 0 ]
