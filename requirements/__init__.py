"""Lock files: exactly which versions are installed, by the hashes of their files.

``make lock`` makes them (`requirements.make`), every check compares them with ``pyproject.toml``
(`requirements.check`). The ranges of the wheel itself are those of ``pyproject.toml``, and open.
"""
