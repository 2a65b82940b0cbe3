"""Boards as data: one module each, with `PROFILE`. `aa3` is the reference; `sim` is the virtual camera."""
