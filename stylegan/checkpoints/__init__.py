"""Networks from files: fetched, read without running them, understood, and built.

Of a file's bytes `file_kinds` and `readers` say what they hold: `pickles`, `strays` and `torch_files` unpickle without
executing, `finding` looks for the generator by the names of tensors in `infer`, `official`, `tensorflow_files` and
`rosinality` know the layouts of others, `keywords`, `assumed` and `agreement` settle what network it is. `checkpoint`
is what others call.
"""
