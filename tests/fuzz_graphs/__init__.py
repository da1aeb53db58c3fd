"""A differential fuzz of the compiler: random graphs, compiled in every way, run, and compared with their meaning.

`python -m tests.fuzz_graphs --minutes 30`; a failing graph is shrunk and printed as code in the DSL. A case follows
from its seed alone.

    program.py    what a case is made of: lines of the DSL as text, so that what runs is what is printed
    generate.py   random programs; calls_*.py: the random calls that they are made of
    respell.py    the same net, as other files would say it
    compare.py    one case through interpreter, targets, files and runtimes
    shrink.py     the smallest program that still fails
    worker.py     cases in a process of their own, whose death is a finding
"""
