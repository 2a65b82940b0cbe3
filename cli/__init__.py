"""The `aperture` command: the only place that knows every part. `main` parses, one module a noun acts."""
