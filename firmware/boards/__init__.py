"""Boards as data: one module each, with `PROFILE`; a board's `-` is a `_` in its file's name.

docs/boards.md explains each key, and how to add a board. `aa3` is the reference; `sim` is the virtual camera.
"""
