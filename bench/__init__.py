"""Side-by-side measurements: `make bench` runs them all and writes docs/performance.md; each module
here runs by itself as well.

`python -m bench.files`, `bench.kafka`, `bench.latency`, `bench.growth`, `bench.memory` measure and
keep their figures in `bench/.results`; `python -m bench.page` writes the page from those.
`BENCH_SIZE` (1G, 50M …), `BENCH_ROUNDS` and `BENCH_CORPORA` (a folder) make a run smaller or put
its corpora elsewhere. Figures are comparable within one run of one machine and nowhere else.
"""
