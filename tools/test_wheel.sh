#!/usr/bin/env bash
# Tests against the wheel in dist/, installed in an environment of its own. They lie in sdist/, the sdist's sources,
# which were never built, and run from beside it: only the installed package can be imported.
#
#   tools/test_wheel.sh ENVIRONMENT                        the whole suite; ENVIRONMENT is made if it is not there
#   tools/test_wheel.sh ENVIRONMENT sdist/tests/svm -x     what pytest is given
set -euo pipefail
cd "$(dirname "$0")/.."

environment=$1
shift
[[ -e "$environment" ]] || "${PYTHON:-python3}" -m venv "$environment"
environment=$(cd "$environment" && pwd)
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$(echo dist/*.whl)[test]"
"$environment/bin/python" -m pip check

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tar -xzf dist/*.tar.gz -C "$scratch"
cd "$scratch"
mv fastml-*/ sdist
"$environment/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import fastml
from fastml.kernels.cpu import _sgd

for module in (fastml, _sgd):
    if not Path(module.__file__).is_relative_to(sys.prefix):
        sys.exit(f"{module.__name__} is not the wheel's: {module.__file__}")

installed, sources = Path(fastml.__file__).parent, Path("sdist/fastml")
for source in sources.rglob("*.py"):
    if (installed / source.relative_to(sources)).read_bytes() != source.read_bytes():
        sys.exit(f"the wheel has another {source}")
PYTHON

run() { "$environment/bin/pytest" -n "${JOBS:-2}" --dist worksteal "$@"; }
if (($#)); then
    run "$@"
else # in two runs, as `make test` does
    run sdist/tests --ignore sdist/tests/kernels
    run sdist/tests/kernels
fi
