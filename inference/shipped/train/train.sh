#!/bin/sh
# From nothing to inference/shipped/model, with the figures of the result in its config.json.
set -eu
cd "$(dirname "$0")"
export OMP_WAIT_POLICY=passive
python data.py
python train.py --run runs/shipped
python export.py runs/shipped/last.pt
python evaluate.py --figures runs/shipped/figures.json
python export.py runs/shipped/last.pt --figures runs/shipped/figures.json
