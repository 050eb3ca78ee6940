#!/bin/sh
# Installs the torch of requirements/torch.txt, alone and before everything else. Only this call names PyTorch's index:
# one that cannot be reached costs seconds for each package asked of it.
set -eu
: "${PIP:=python -m pip}" "${TORCH_INDEX:=https://download.pytorch.org/whl/cpu}"

echo "Installing torch from $TORCH_INDEX"
if $PIP install --no-deps --retries 0 --timeout 15 --index-url "$TORCH_INDEX" -r requirements/torch.txt; then
    # What a CPU build needs is in the lock files; a CUDA build needs the libraries of its own version beside it.
    case $TORCH_INDEX in */cpu | */cpu/) exit 0 ;; esac
else
    # Neither the index nor a local folder (PIP_FIND_LINKS) has it for this Python. The package index has a build for
    # every Python, on Linux with CUDA.
    echo "torch cannot be had from $TORCH_INDEX nor from a local folder: taking the package index's own build," \
         "which on Linux brings about 3 GB of CUDA. Stop here and set TORCH_INDEX or PIP_FIND_LINKS to avoid that." >&2
fi
exec $PIP install -r requirements/torch.txt
