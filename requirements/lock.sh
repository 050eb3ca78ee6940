#!/usr/bin/env bash
# Resolves pyproject.toml into the lock files. Everything is resolved at once; the smaller files are cuts of it.
# torch is left out: its CPU and CUDA builds differ, so no hash holds for both (requirements/torch.txt).
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-package torch \
            --no-header --quiet "$@"; }
compile --all-extras --output-file requirements/dev.txt
compile --extra export --constraints requirements/dev.txt --output-file requirements/export.txt
compile --constraints requirements/dev.txt --output-file requirements/service.txt
compile --extra pictures --constraints requirements/dev.txt --output-file requirements/pictures.txt
# The site's packages stand alone, in the versions of the others where both have one.
uv pip compile --group pyproject.toml:docs --universal --python-version 3.11 --generate-hashes --no-header --quiet \
  --constraints requirements/dev.txt --output-file requirements/docs.txt
# Installed beside dev.txt.
uv pip compile --group pyproject.toml:browser --universal --python-version 3.11 --generate-hashes --no-header --quiet \
  --constraints requirements/dev.txt --output-file requirements/browser.txt
# What browsers load is taken out of these two; what they depend on is not.
uv pip compile requirements/browser_libraries.in --no-deps --universal --python-version 3.11 --generate-hashes \
  --no-header --quiet --constraints requirements/dev.txt --output-file requirements/browser_libraries.txt
