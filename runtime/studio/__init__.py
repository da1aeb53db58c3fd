"""A page where a generator is seen and steered: `python -m runtime.studio`. Needs the extra [studio].

The page (`page/`) knows an engine by its interface alone: what makes pictures of recipes. Here it is a small server on
this machine with the native runtime; a recipe is the key=value of `python -m runtime.run`, so that what is seen is what
its command makes, to the byte.
"""
