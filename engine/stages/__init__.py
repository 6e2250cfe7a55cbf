"""The stages of a run, one module or folder each, all of one shape.

identity(run, ...): what the output of the stage depends on. Output with the same identity is not made again. Some stages have
none: train, evaluate, split and correct keep each result under a mark of its own, and report compares that of the results.
run(run, ...): do the work of the stage, if the input and the command line ask for it. Where all ranks work it is collective.

`Run` is what every rank knows, `RootData` what rank 0 alone holds (module `shared.run`). `workflow` calls the stages in order.

Beside the stages: prepare (before any of them), check (what --check prints) and shared (what several of them need).
"""
